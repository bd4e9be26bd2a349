"""Finds the model behind modules that only hand its input and its output on, and its layers behind such modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from xai_eval.inputs.models.attributes import attribute

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

    Wrappers are `nn.DataParallel`, what `torch.compile` returns, and an `nn.Sequential` that holds nothing but the
    model (and `nn.Identity`). A wrapper that has hooks or a forward of its own may do more, and so is none.
    """
    found: list[Wrapper] = []
    # A single layer is no model: it has no layer that could be explained.
    while (name := wrapped_child(module)) is not None and any(True for _ in getattr(module, name).children()):
        found.append(Wrapper(type(module).__name__, name))
        module = getattr(module, name)
    return module, tuple(found)


def wrapped_child(module: nn.Module) -> str | None:
    """Return the name of the only child whose output a module hands on as it is; None if it is no wrapper."""
    if isinstance(attribute(module, _COMPILED), nn.Module):
        return _COMPILED
    if _does_more(module):
        return None
    if isinstance(module, _PARALLEL):
        return _IN_PARALLEL
    # A subclass of Sequential may do more than to call its children.
    if type(module) is not nn.Sequential:
        return None
    inside = [name for name, each in module.named_children() if not hands_on(each)]
    return inside[0] if len(inside) == 1 else None


def hands_on(module: nn.Module) -> bool:
    """Whether a module in evaluation mode returns its input as it is."""
    return type(module) is nn.Identity or type(module) in _DROPOUTS


def _does_more(module: nn.Module) -> bool:
    hooks = (value for name, value in vars(module).items() if name.endswith("_hooks"))
    return "forward" in vars(module) or any(hooks)


def plain_names(module: nn.Module) -> dict[str, str]:
    """Return the names of all submodules as they are (the keys), and without the part that `DataParallel` adds."""
    parallel = {name for name, part in module.named_modules() if isinstance(part, _PARALLEL)}
    return {name: _without(name, parallel) for name, _ in module.named_modules() if name}


def _without(name: str, parallel: set[str]) -> str:
    parts = name.split(".")
    above = (".".join(parts[:place]) for place in range(len(parts)))
    return ".".join(part for part, parent in zip(parts, above, strict=True) if parent not in parallel)


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
