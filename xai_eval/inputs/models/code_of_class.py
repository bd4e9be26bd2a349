"""Tells what a class of modules computes, by its code and not by its name."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

# Classes of torch that compute the same in evaluation mode, given the same settings.
_SAME: Mapping[str, str] = {
    "ReLU6": "Hardtanh",
    "BatchNorm1d": "BatchNorm",
    "BatchNorm2d": "BatchNorm",
    "BatchNorm3d": "BatchNorm",
    "SyncBatchNorm": "BatchNorm",
    "UpsamplingBilinear2d": "Upsample",
    "UpsamplingNearest2d": "Upsample",
    "NonDynamicallyQuantizableLinear": "Linear",
}
# Methods that make or describe a module; of what begins with two underscores, only these take part in a pass.
_DESCRIBING = frozenset({"extra_repr", "_get_name"})
_CALLING = frozenset({"__call__", "__getattr__", "__getattribute__"})
_Plain = bool | int | float | str | tuple  # type: ignore[type-arg]  # used in isinstance, not as an annotation


def code_of_class(kind: type[nn.Module]) -> str:
    """Describe what a class of modules computes.

    It is the name of the class of torch that it is derived from, with all methods and plain attributes that other
    classes add. A class that is renamed, copied, or derived without any change gets the same text. Training flags are
    described apart, so classes of torch that differ in training mode only get one name.
    """
    own = list(_own_classes(kind))
    base = next((each.__name__ for each in kind.__mro__ if _is_of_torch(each)), kind.__name__)
    added = [f"{place}{attribute}: {text}" for place, attribute, text in _added(own)]
    return "\n".join([_SAME.get(base, base), *sorted(added)])


def _own_classes(kind: type) -> Iterator[type]:
    """Yield the classes of a module that are not torch's, the most derived first."""
    yield from (each for each in kind.__mro__ if not _is_of_torch(each) and each is not object)


def _is_of_torch(kind: type) -> bool:
    return kind.__module__ == "torch" or kind.__module__.startswith("torch.")


def _added(own: list[type]) -> Iterator[tuple[str, str, str]]:
    """Yield what the classes define; of what one class overrides, only what it may still call by `super()`."""
    hidden: dict[str, int] = {}
    names = tuple(each.__name__ for each in own)
    for kind in own:
        for attribute, value in vars(kind).items():
            text = _text(attribute, value, names)
            if text is None or hidden.get(attribute) == 0:
                continue
            yield "above " * hidden.get(attribute, 0), attribute, text
            hidden[attribute] = hidden.get(attribute, 0) + 1 if "super(" in text else 0


def _text(attribute: str, value: Any, names: tuple[str, ...]) -> str | None:
    """Return an attribute of a class as text; None if it takes no part in a pass."""
    if attribute in _DESCRIBING or (attribute.startswith("__") and attribute not in _CALLING):
        return None
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, types.FunctionType):
        return _source(value, names)
    return repr(value) if isinstance(value, _Plain) else None


def _source(function: types.FunctionType, names: tuple[str, ...]) -> str:
    """Return the code of a function without comments, annotations and the names of its own classes."""
    source = _as_written(function)
    bare = _bare(source, tuple(name for name in names if name in source)) if source else ""
    return bare or _compiled(function.__code__)


@functools.lru_cache(maxsize=4096)
def _as_written(function: types.FunctionType) -> str:
    """Return the code of a function as it stands in its file; empty if it is not known."""
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError, SyntaxError):
        return ""


@functools.lru_cache(maxsize=4096)
def _bare(source: str, names: tuple[str, ...]) -> str:
    """Return code without comments, annotations and `names`; empty if it is not the definition of a function."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ""
    return ast.unparse(_Bare(names).visit(tree)) if isinstance(tree.body[0], ast.FunctionDef) else ""


def _compiled(code: types.CodeType) -> str:
    """Describe a function whose source is not known, such as one that was typed in."""
    inner = [_compiled(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {inner} {code.co_names}"


class _Bare(ast.NodeTransformer):
    """Removes what does not change a pass from the code of a method."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = "<this class>" if node.id in self._names else node.id
        return node
