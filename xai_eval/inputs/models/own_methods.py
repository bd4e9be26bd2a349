"""Find what modules define in place of the methods of `torch.nn.Module`, where that keeps a model from being explained.

Such a method has a name of torch's by chance (an `eval` that measures accuracy), or hides a part of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from torch import Tensor, nn

from xai_eval.errors import UsageError, XaiEvalError, error_line

_REMEDY = (
    "torch and the explaining libraries call this method. Let it do what it does in torch.nn.Module, or give it "
    "another name."
)
_Held = TypeVar("_Held", bound=Tensor)
# What a module is expected to define.
_USUAL = frozenset({"forward", "__call__", "__init__"})


def parts_of(module: nn.Module) -> dict[str, nn.Module]:
    """Return a module and all modules in it by their names, whatever methods they define."""
    found: dict[str, nn.Module] = {}
    known: set[int] = set()

    def walk(name: str, part: nn.Module) -> None:
        if id(part) not in known:
            known.add(id(part))
            found[name] = part
            for key, inside in children_of(part).items():
                walk(f"{name}.{key}" if name else key, inside)

    walk("", module)
    return found


def children_of(part: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that a module holds itself, by their names."""
    return {key: inside for key, inside in part._modules.items() if inside is not None}


def parameters_of(module: nn.Module, recurse: bool = True) -> list[nn.Parameter]:
    """Return the parameters of a module (its own alone if not `recurse`), whatever its `parameters` returns."""
    if not recurse:
        return _distinct(module._parameters)
    return [value for _, value in nn.Module.named_parameters(module)]


def buffers_of(module: nn.Module, recurse: bool = True) -> list[Tensor]:
    """Return the buffers of a module (its own alone if not `recurse`), whatever its `buffers` returns."""
    if not recurse:
        return _distinct(module._buffers)
    return [value for _, value in nn.Module.named_buffers(module)]


def _distinct(held: Mapping[str, _Held | None]) -> list[_Held]:
    """Return each tensor once, as torch does, whose own lists take ten times as long for a single module."""
    return list({id(value): value for value in held.values() if value is not None}.values())


def check_parts(module: nn.Module, model: str) -> None:
    """Check that torch finds all modules of a model, and that its parameters and buffers can be listed.

    Args:
        module: the model.
        model: its name, for errors.

    Raises:
        UsageError: `modules`, `named_modules`, `children` or `named_children` of a module raises, leaves out modules,
            or names others; or a list of parameters or buffers raises, or libraries cannot take the first one from it.
    """
    parts = parts_of(module)
    for method in ("named_modules", "modules"):
        _check_listed(module, parts, method, model)
    for part in parts.values():
        for method in ("named_children", "children"):
            _check_listed(part, children_of(part), method, model)
    for method in ("named_parameters", "parameters", "named_buffers", "buffers"):
        _check_listed(module, {}, method, model)
    if parameters_of(module):
        _check_first(module, model)


def _check_first(module: nn.Module, model: str) -> None:
    # pytorch-grad-cam takes the device of the model from there.
    parameters: object = module.parameters()
    if not isinstance(parameters, Iterator):
        found = f"returns a {type(parameters).__name__}; expected an iterator"
    elif next(parameters, None) is None:
        found = "leaves out all parameters"
    else:
        return
    raise UsageError(f"{model}: parameters() of {type(module).__name__} {found}. {_REMEDY}")


def _check_listed(part: nn.Module, expected: dict[str, nn.Module], method: str, model: str) -> None:
    where = f"{model}: {method}() of {type(part).__name__}"
    try:
        listed = list(getattr(part, method)())
        found = {id(each[1] if method.startswith("named_") else each) for each in listed}
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UsageError(f"{where} raises {_line(error)}. {_remedy(part)}") from error
    missing = next((name for name, each in expected.items() if id(each) not in found), None)
    if missing is not None:
        what = repr(missing) if missing else "the module itself"
        raise UsageError(f"{where} leaves out {what}. {_remedy(part)}")
    if expected and found - {id(each) for each in expected.values()}:
        raise UsageError(f"{where} names what the module does not hold. {_remedy(part)}")


def _remedy(part: nn.Module) -> str:
    kinds = {type(each) for each in parts_of(part).values()}
    usual = nn.Module.__eq__, nn.Module.__hash__
    compared = [each for each in kinds if (each.__eq__, each.__hash__) != usual]
    if compared:
        return (
            f"{compared[0].__name__} defines when two modules are equal (__eq__, __hash__), and torch tells modules "
            "apart by that. Leave both as they are in torch.nn.Module."
        )
    return _REMEDY


@contextmanager
def methods_called(model: str) -> Iterator[None]:
    """Raise UsageError if a method that a module defines in place of torch's raises inside the context.

    Args:
        model: name of the model, for errors.
    """
    try:
        yield
    except (XaiEvalError, KeyboardInterrupt):
        raise
    except BaseException as error:
        told = told_method(error)
        if not told:
            raise
        raise UsageError(f"{model} cannot be prepared: {_line(error)}. {told}") from error


def told_method(error: BaseException) -> str:
    """Say which method that stands in for one of torch's raised an error, and what to do; empty if none did."""
    own = [frame for frame in _frames(error) if _stands_in(frame)]
    if not own:
        return ""
    code = own[-1].f_code
    return f"It is raised in {code.co_qualname}; {_REMEDY}"


def _frames(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _stands_in(frame: FrameType) -> bool:
    """Whether a frame runs a method of a user's module that has the name of one of torch's."""
    code, library = frame.f_code, str(frame.f_globals.get("__name__", "")).partition(".")[0]
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    usual = library in ("torch", "xai_eval") or code.co_name in _USUAL
    return not usual and isinstance(first, nn.Module) and hasattr(nn.Module, code.co_name)


def _line(error: BaseException) -> str:
    return error_line(error).rstrip(".")
