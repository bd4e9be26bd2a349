"""Finds the model behind modules that only hand its input and its output on, and its layers behind such modules."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from xai_eval.inputs.models.attributes import attribute
from xai_eval.inputs.models.own_methods import children_of

# The modules of torch that compute what their only child computes, with the name that they give to this child.
_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_IN_PARALLEL, _COMPILED = "module", "_orig_mod"
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
# The names that wrappers of torch give to what they wrap.
_USUAL = (_IN_PARALLEL, _COMPILED, "0")


@dataclass(frozen=True)
class Wrapper:
    """A module around a model.

    Attributes:
        kind: name of its class, such as `DataParallel`.
        path: the name that it gives to what it wraps, such as `module`.
    """

    kind: str
    path: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.path}"


def unwrapped(module: nn.Module) -> tuple[nn.Module, tuple[Wrapper, ...]]:
    """Return the model behind all wrappers, and the wrappers, the outermost first.

    Wrappers are `nn.DataParallel`, what `torch.compile` returns, an `nn.Sequential` that holds nothing but the model
    (and `nn.Identity`), and a module whose `forward` does nothing but to call its only child, such as the
    `AveragedModel` of torch. A wrapper that has hooks or a replaced forward may do more, and so is none.
    """
    found: list[Wrapper] = []
    # A single layer is no model: it has no layer that could be explained.
    while (name := wrapped_child(module)) is not None and any(True for _ in getattr(module, name).children()):
        found.append(Wrapper(type(module).__name__, name))
        module = getattr(module, name)
    return module, tuple(found)


def wrapped_child(module: nn.Module) -> str | None:
    """Return the name of the only child whose output a module hands on as it is; None if it is no wrapper."""
    inside = _only_child(module)
    return inside if inside is None or inside == _COMPILED or not _does_more(module) else None


def _only_child(module: nn.Module) -> str | None:
    """Return the name of the only child whose output a module hands on if it has no hooks; None if there is none."""
    children = children_of(module)
    if not children:
        return None
    if _COMPILED in children:
        return _COMPILED
    if isinstance(module, _PARALLEL):
        return _IN_PARALLEL
    # A subclass of Sequential may do more than to call its children.
    if type(module) is not nn.Sequential:
        return _only_called(module) if len(children) == 1 else None
    inside = [name for name, each in module.named_children() if not hands_on(each)]
    return inside[0] if len(inside) == 1 else None


class _Calls(nn.Module):
    """The ways to write a `forward` that only calls a child."""

    child: nn.Module

    def one(self, x: Any) -> Any:
        return self.child(x)

    def all(self, *args: Any, **kwargs: Any) -> Any:
        return self.child(*args, **kwargs)


_ONLY_CALLS = tuple(method.__code__ for method in (_Calls.one, _Calls.all))
_PASSED = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def _only_called(module: nn.Module) -> str | None:
    """Return the name of the only child if `forward` does nothing but to call it, by its compiled code."""
    kind, names = type(module), [name for name, _ in module.named_children()]
    usual = kind.__call__ is nn.Module.__call__ and kind.__getattr__ is nn.Module.__getattr__
    code = attribute(attribute(kind, "forward"), "__code__")  # the class of a traced module has none
    if not usual or code is None or len(names) != 1 or code.co_names != (names[0],):
        return None
    same = (code.co_code == each.co_code and _passed(code) == _passed(each) for each in _ONLY_CALLS)
    return names[0] if any(same) else None


def _passed(code: Any) -> tuple[int, int]:
    return code.co_argcount, code.co_flags & _PASSED


def hands_on(module: nn.Module) -> bool:
    """Whether a module in evaluation mode returns its input as it is."""
    return type(module) is nn.Identity or type(module) in _DROPOUTS


def _does_more(module: nn.Module) -> bool:
    hooks = (value for name, value in vars(module).items() if name.endswith("_hooks"))
    return "forward" in vars(module) or any(hooks)


def plain_names(module: nn.Module) -> dict[str, str]:
    """Return the names of all submodules as they are (the keys), and without the parts that wrappers add."""
    wrappers = {name for name, part in module.named_modules() if name and adds_a_name(part)}
    wrappers |= {""} if isinstance(module, _PARALLEL) else set()
    return {name: _without(name, wrappers) for name, _ in module.named_modules() if name}


def adds_a_name(part: nn.Module) -> bool:
    """Whether a module stands around another one for no reason of its own.

    An `nn.Sequential` of one block is a stage of one block, as many networks have it. One around another
    `nn.Sequential` is there for nothing else.
    """
    inside = wrapped_child(part)
    if inside is None:
        return False
    return type(part) is not nn.Sequential or type(getattr(part, inside)) is nn.Sequential


def _without(name: str, wrappers: set[str]) -> str:
    parts = name.split(".")
    above = (".".join(parts[:place]) for place in range(len(parts)))
    return ".".join(part for part, parent in zip(parts, above, strict=True) if parent not in wrappers)


def names_behind(name: str, wrappers: tuple[Wrapper, ...]) -> Iterator[str]:
    """Yield the names that a layer may have in a model without wrappers if `name` is its name in a wrapped one.

    Args:
        name: such as `module.layer4`.
        wrappers: those that the model had when it was given.
    """
    yield name
    inside = name
    for wrapper in wrappers:
        if not inside.startswith(f"{wrapper.path}."):
            break
        inside = inside.removeprefix(f"{wrapper.path}.")
        yield inside
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in _USUAL:
        parts = parts[1:]
        yield ".".join(parts)
    yield ".".join(part for part in name.split(".") if part not in (_IN_PARALLEL, _COMPILED))
