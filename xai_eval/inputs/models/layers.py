"""Find the layer that a class activation map explains if the user names none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from xai_eval.errors import UsageError
from xai_eval.inputs.models.model_errors import as_model_error

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass
class _LastMap:
    """The last spatial map so far, and the innermost module that returned it.

    Attributes:
        name: name of the module.
        tensor: the map.
        version: PyTorch's count of in-place changes of the tensor when it was returned.
    """

    name: str = ""
    tensor: torch.Tensor | None = None
    version: int = -1

    def offer(self, name: str, output: object) -> None:
        if not isinstance(output, torch.Tensor) or output.dim() != 4 or max(output.shape[2:]) == 1:
            return
        # The same tensor may come again from an outer module, and is ignored. After an in-place activation it has
        # another version, and counts as a new map.
        if output is not self.tensor or output._version != self.version:
            self.name, self.tensor, self.version = name, output, output._version


def default_layer(module: nn.Module, input_shape: tuple[int, ...]) -> str:
    """Return the name of the last convolutional block: the innermost module that returns the last spatial map.

    The order is found by one forward pass on zeros. Modules count that are or contain a convolution and return a map
    (N, C, h, w) larger than 1 x 1; the result is the one that returns last. In models of torchvision this is `layer4.1`
    or `layer4.2` of a ResNet, `features.18` of MobileNetV2, and `features` of VGG and DenseNet. The model is not
    changed.

    Args:
        module: the model.
        input_shape: shape (3, H, W) of one prepared image.

    Raises:
        UsageError: no submodule returns such a map.
        ModelMisbehaves: the model raises on an image of zeros.
    """
    last = _LastMap()
    with evaluating(module), _watching(module, last):
        forward_zeros(module, input_shape)
    if not last.name:
        raise UsageError(
            f"{type(module).__name__} has no convolutional block that gives a spatial map, so there is no "
            "default layer to explain. Name one with --layer."
        )
    return last.name


def forward_zeros(module: nn.Module, input_shape: tuple[int, ...]) -> object:
    """Return the output of `module` for one image of zeros; it may be of any type.

    Raises:
        ModelMisbehaves: the model raises.
    """
    parameter = next(module.parameters(), torch.empty(0))
    # Inference mode is left, because tensors created in it have no version.
    with torch.inference_mode(False), torch.no_grad():
        batch = torch.zeros((1, *input_shape), device=parameter.device, dtype=parameter.dtype)
        with as_model_error(type(module).__name__, batch.shape):
            output: object = module(batch)
    return output


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode inside the context, and restore the mode of every module on leaving."""
    flags = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in flags:
            part.training = training


@contextmanager
def _watching(module: nn.Module, last: _LastMap) -> Iterator[None]:
    def watch(name: str, part: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return part.register_forward_hook(lambda _module, _inputs, output: last.offer(name, output))

    handles = [
        watch(name, part)
        for name, part in module.named_modules()
        if name and any(isinstance(inner, _CONVOLUTIONS) for inner in part.modules())
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
