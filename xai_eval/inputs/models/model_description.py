"""Describe what a model consists of now, to name a change: a patched method, a replaced layer, a wrong mode."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from xai_eval.inputs.models.attributes import attribute
from xai_eval.inputs.models.block_digests import BlockDigests
from xai_eval.inputs.models.canonical_settings import canonical_settings
from xai_eval.inputs.models.code_of_class import code_of_class
from xai_eval.inputs.models.wrappers import adds_a_name, hands_on, wrapped_child

# Attributes of modules, by torch's own names, that change what a module computes besides its type and its weights.
_SETTINGS = (
    "kernel_size",
    "stride",
    "padding",
    "padding_mode",
    "dilation",
    "groups",
    "eps",
    "negative_slope",
    "output_size",
    "ceil_mode",
    "count_include_pad",
    "scale_factor",
    "mode",
    "num_heads",
    "norm_type",
    "transform_input",
    "normalized_shape",
    "approximate",
    # Attributes of activations, resampling, other normalisations, attention and flattening.
    "alpha",
    "beta",
    "lambd",
    "lower",
    "upper",
    "min_val",
    "max_val",
    "threshold",
    "value",
    "align_corners",
    "upscale_factor",
    "downscale_factor",
    "divisor_override",
    "num_groups",
    "size",
    "k",
    "scale",
    "window_size",
    "shift_size",
    "dim",
    "start_dim",
    "end_dim",
    # Of transformers: which axis is the batch, what is attended to, where norms stand, which tokens the head reads.
    "batch_first",
    "add_zero_attn",
    "norm_first",
    "scaling",
    "global_pool",
    # Of detectors: how images are prepared inside, which boxes are proposed, and which of those found are kept.
    "image_mean",
    "image_std",
    "min_size",
    "max_size",
    "fixed_size",
    "sizes",
    "aspect_ratios",
    "sampling_ratio",
    "score_thresh",
    "nms_thresh",
    "detections_per_img",
    "topk_candidates",
)
# Settings that are told only where they are others: goldens were accepted before these were told.
_USUAL: Mapping[str, Any] = {"batch_first": True, "add_zero_attn": False}
_NAMES = frozenset(_SETTINGS)
# Of what resizes images inside a model. open_clip notes them on its networks, which do nothing with them.
_OF_RESIZING = ("image_mean", "image_std")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)
# Batch normalisation counts its training batches in this buffer. The logits do not depend on it.
_COUNTER = "num_batches_tracked"
# What modules of torch keep in buffers, by the beginning of its name; whole numbers and masks are no parameters either.
_STATISTICS = ("running_",)
# If a model has more blocks than this, its direct children are listed instead, so that the list stays short.
_MOST_BLOCKS = 32


@dataclass(frozen=True)
class ModelDescription:
    """What a model consists of, as texts and digests that differ if a part of the model changes.

    Attributes:
        module_types: one line per module: its type, and settings such as a stride.
        training_flags: names of the modules in training mode, one per line.
        hooks: hooks of all modules, and methods that were replaced on a single module.
        weights: SHA-256 of the weights of each block, by its name. Weights are compared in single precision, so the
            precision in which they are stored does not count. The number of training batches that batch normalisation
            counted does not count either.
        function: what the modules compute, however they are written: the code of their classes in place of the names,
            settings in one form, and neither wrappers nor modules that hand their input on. Of two models with the same
            text and the same weights, training flags and hooks, one may be put in place of the other.
        plain_weights: SHA-256 of the same blocks as in `weights`, however their tensors are registered: without what
            wrappers add to names, and in the usual order (see `usual_order`).
    """

    module_types: str
    training_flags: str
    hooks: str
    weights: Mapping[str, str]
    function: str
    plain_weights: Mapping[str, str]


def describe_model(module: nn.Module, digests: BlockDigests | None = None) -> ModelDescription:
    """Describe a model as it is now. `digests` are those of an earlier description of the model."""
    known = BlockDigests() if digests is None else digests
    weights = {name: known.of(name, list(_tensors(block)), _digest_of) for name, block in _blocks(module)}
    return ModelDescription(
        module_types=_told(_types(module)),
        training_flags=_told(name for name, part in module.named_modules() if part.training),
        hooks=_told(_hooks(module)),
        weights=weights,
        function=_told(_functions(module)),
        plain_weights={name: _plain_digest(block, weights[name]) for name, block in _blocks(module)},
    )


def _told(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _types(module: nn.Module) -> Iterator[str]:
    for name, part in module.named_modules():
        yield f"{name}: {type(part).__name__} {_settings(part)}"


def _settings(part: nn.Module) -> dict[str, Any]:
    found = {key: attribute(part, key) for key in _possible_settings(part)}
    if found.get("min_size") is None:
        found = {key: value for key, value in found.items() if key not in _OF_RESIZING}
    told = {key: value for key, value in found.items() if _is_plain(value) and _USUAL.get(key) is not value}
    return {**told, **_own_functions(part)}


def _is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, or several: torchvision keeps the shift of a window in a list."""
    return isinstance(value, _Plain) or (isinstance(value, list) and all(map(_is_plain, value)))


def _own_functions(part: nn.Module) -> dict[str, str]:
    """Return the names of functions that a module was given to call, such as its activation, by attribute.

    A function that hides a method is no setting: it is listed among the hooks.
    """
    return {
        name: value.__name__
        for name, value in vars(part).items()
        if isinstance(value, _Function) and not name.startswith("_") and not hasattr(type(part), name)
    }


def _possible_settings(part: nn.Module) -> Iterable[str]:
    """Return the names of settings that a module may have: to ask for all of them takes most of the time."""
    kind = type(part)
    usual = kind.__mro__[-len(nn.Module.__mro__) :] == nn.Module.__mro__ and type(kind) is type
    if (
        not usual
        or kind.__getattr__ is not nn.Module.__getattr__
        or kind.__getattribute__ is not object.__getattribute__
    ):
        return _SETTINGS
    found = vars(part).keys() & _NAMES  # what torch keeps apart from these are tensors and modules
    for each in kind.__mro__[: -len(nn.Module.__mro__)]:
        found |= vars(each).keys() & _NAMES
    return [key for key in _SETTINGS if key in found] if found else ()


def _functions(module: nn.Module) -> Iterator[str]:
    plain = _name_outside(module)
    for name, part in module.named_modules():
        if wrapped_child(part) is None and not hands_on(part):
            settings = canonical_settings(_settings(part))
            yield f"{plain(name)}: {code_of_class(type(part))} {settings}"


def _name_outside(module: nn.Module) -> Callable[[str], str]:
    """Return a function from the name of a module or tensor to its name without the wrappers around it."""
    wrappers = {name: wrapped_child(part) for name, part in module.named_modules()}

    def outside(name: str) -> str:
        parts = name.split(".")
        above = (".".join(parts[:place]) for place in range(len(parts)))
        return ".".join(part for part, parent in zip(parts, above, strict=True) if wrappers.get(parent) != part)

    return outside


_Plain = int | float | str | tuple  # type: ignore[type-arg]  # used in isinstance, not as an annotation
_Function = types.FunctionType | types.BuiltinFunctionType


def _hooks(module: nn.Module) -> Iterator[str]:
    for name, part in module.named_modules():
        counts = {kind: len(attribute(part, kind) or ()) for kind in _HOOKS}
        counts["own forward"] = int("forward" in vars(part))
        if any(counts.values()):
            yield f"{name}: {counts}"
        others = sorted(set(_own_methods(part)) - {"forward"})
        if others:
            yield f"{name}: own {', '.join(others)}"
    for kind in _GLOBAL_HOOKS:
        if getattr(torch_module, kind, None):
            yield f"every module: {kind} {len(getattr(torch_module, kind))}"


def _own_methods(part: nn.Module) -> Iterator[str]:
    """Yield the names of attributes of a module that hide a method of its type, such as a patched `_conv_forward`."""
    for name, value in vars(part).items():
        if callable(value) and callable(getattr(type(part), name, None)):
            yield name


def _blocks(module: nn.Module) -> Iterator[tuple[str, nn.Module | torch.Tensor]]:
    """Yield the blocks of a model by name: children, those of an `nn.Sequential` one by one, and its own tensors."""
    # A wrapper around a part would otherwise make one block of it.
    children = [(name, _behind_wrappers(part)) for name, part in module.named_children()]
    fine = [
        (f"{name}.{inner}", each) if inner else (name, each)
        for name, part in children
        for inner, each in (part.named_children() if isinstance(part, nn.Sequential) else [("", part)])
    ]
    blocks = fine if len(fine) <= _MOST_BLOCKS else children
    yield from ((name, block) for name, block in blocks if next(_tensors(block), None) is not None)
    own = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
    yield from own.items()


def _behind_wrappers(part: nn.Module) -> nn.Module:
    while adds_a_name(part):
        part = getattr(part, str(wrapped_child(part)))
    return part


def _tensors(block: nn.Module | torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(block, torch.Tensor):
        yield "", block
        return
    # As torch names them: a wrapper may leave its own name out of the names of what it holds.
    yield from nn.Module.named_parameters(block, remove_duplicate=False)
    buffers = nn.Module.named_buffers(block, remove_duplicate=False)
    yield from (each for each in buffers if not each[0].endswith(_COUNTER))


def _plain_digest(block: nn.Module | torch.Tensor, digest: str) -> str:
    """Return the digest of a block without its wrappers, in the usual order; `digest` is that of the block as it is."""
    if isinstance(block, torch.Tensor):
        return digest
    tensors, wrapped = usual_order(block), any(wrapped_child(part) is not None for part in block.modules())
    if not wrapped and [name for name, _ in tensors] == [name for name, _ in _tensors(block)]:
        return digest
    return _digest_of(tensors, _name_outside(block) if wrapped else str)


def usual_order(block: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors of a block by name, in the order in which modules of torch usually have them.

    A module computes the same whether a tensor is a parameter or a buffer, is saved or not, and was registered first or
    last. Usually, weights and then biases are parameters; statistics and whole numbers are buffers, which come last.
    """
    modules = {name: place for place, (name, _) in enumerate(block.named_modules(remove_duplicate=False))}

    def key(named: tuple[str, torch.Tensor]) -> tuple[bool, int, bool, str]:
        place, _, own = named[0].rpartition(".")
        return _is_buffer(own, named[1]), modules[place], own.endswith("bias"), own

    return sorted(_tensors(block), key=key)


def _is_buffer(name: str, tensor: torch.Tensor) -> bool:
    return name.startswith(_STATISTICS) or not (tensor.is_floating_point() or tensor.is_complex())


def _digest_of(tensors: Iterable[tuple[str, torch.Tensor]], named: Callable[[str], str] = str) -> str:
    digest = hashlib.sha256()
    for name, tensor in tensors:
        values = _numbers_of(tensor.detach()).to("cpu", torch.float32).contiguous()
        digest.update(f"{named(name)} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().data)
    return digest.hexdigest()


def _numbers_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return the real numbers that a tensor holds, all of them: float32 alone would drop what is imaginary."""
    if tensor.is_quantized:
        return tensor.dequantize()
    dense = tensor if tensor.layout is torch.strided else tensor.to_dense()
    return torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense
