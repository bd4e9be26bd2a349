"""Describe what a model consists of now, to name a change: a patched method, a replaced layer, a wrong mode."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules import module as torch_module

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
)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)
# Batch normalisation counts its training batches in this buffer. The logits do not depend on it.
_COUNTER = "num_batches_tracked"
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
    """

    module_types: str
    training_flags: str
    hooks: str
    weights: Mapping[str, str]


def describe_model(module: nn.Module) -> ModelDescription:
    """Describe a model as it is now."""
    return ModelDescription(
        module_types=_told(_types(module)),
        training_flags=_told(name for name, part in module.named_modules() if part.training),
        hooks=_told(_hooks(module)),
        weights={name: _digest(block) for name, block in _blocks(module)},
    )


def _told(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _types(module: nn.Module) -> Iterator[str]:
    for name, part in module.named_modules():
        settings = {key: getattr(part, key) for key in _SETTINGS if isinstance(getattr(part, key, None), _Plain)}
        yield f"{name}: {type(part).__name__} {settings}"


_Plain = int | float | str | tuple  # type: ignore[type-arg]  # used in isinstance, not as an annotation


def _hooks(module: nn.Module) -> Iterator[str]:
    for name, part in module.named_modules():
        counts = {kind: len(getattr(part, kind, ())) for kind in _HOOKS}
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
    fine = [
        (f"{name}.{inner}", each) if inner else (name, each)
        for name, part in module.named_children()
        for inner, each in (part.named_children() if isinstance(part, nn.Sequential) else [("", part)])
    ]
    blocks = fine if len(fine) <= _MOST_BLOCKS else list(module.named_children())
    yield from ((name, block) for name, block in blocks if next(_tensors(block), None) is not None)
    own = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
    yield from own.items()


def _tensors(block: nn.Module | torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(block, torch.Tensor):
        yield "", block
        return
    yield from block.named_parameters(remove_duplicate=False)
    yield from (each for each in block.named_buffers(remove_duplicate=False) if not each[0].endswith(_COUNTER))


def _digest(block: nn.Module | torch.Tensor) -> str:
    digest = hashlib.sha256()
    for name, tensor in _tensors(block):
        values = tensor.detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().data)
    return digest.hexdigest()
