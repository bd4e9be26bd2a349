"""Find out how the images of a bare module are prepared: from its library, from the module, or by an assumption."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from xai_eval.errors import UsageError
from xai_eval.inputs.models.host_state import settings_kept
from xai_eval.inputs.models.layers import evaluating, noise_image
from xai_eval.inputs.models.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    imagenet_preprocessing,
    prepared_shape,
)
from xai_eval.inputs.models.size_hints import Size, sizes_from_positions, sizes_named
from xai_eval.inputs.models.told_preprocessing import (
    KnownPreprocessing,
    imagenet_preprocessing_at,
    of_size,
    told_by_library,
)

_USUAL_SIZES = (32, 64, 96, 128, 160, 192, 256, 288, 299, 320, 384, 448, 512)
_COLOURS = 3
_REMEDY = (
    "If it was trained otherwise, return an xai_eval.Classifier with its preprocessing from the factory instead of the "
    "bare module."
)


def preprocessing_for(module: nn.Module, name: str) -> KnownPreprocessing:
    """Return the preprocessing of a module that came without one, and how it is known.

    These are tried in turn, and the first with which the module runs is taken: what the library says that the module is
    from (also if the module is a part of the given one), an image size that the module names, ImageNet's 224 px, a size
    that follows from position embeddings, usual sizes.

    Args:
        module: the model, or a model around it; it is not changed.
        name: its spec, for the error.

    Raises:
        UsageError: the module takes another number of channels than three, and says nothing about preparing them.
    """
    candidates = list(_known(module))
    for known in candidates:
        if _runs(module, tuple(prepared_shape(known.preprocess))):
            return known
    for size in (*sizes_from_positions(module), *((side, side) for side in _USUAL_SIZES)):
        if _runs(module, (_COLOURS, *size)):
            return _sized(of_size(size, IMAGENET_MEAN, IMAGENET_STD), size, "which was found by trying sizes")
    _check_channels(module, name)
    # The error of the module itself is shown when it is run for the first time.
    return candidates[0]


def _known(module: nn.Module) -> Iterator[KnownPreprocessing]:
    told = told_by_library(module)
    if told is not None:
        yield told
    for size in sizes_named(module):
        yield _sized(imagenet_preprocessing_at(size), size, "the size that the model names")
    yield KnownPreprocessing(
        imagenet_preprocessing(),
        "The model does not say how its images are prepared. They are prepared as is usual for ImageNet: the shorter "
        f"side to 256 px, the centre of 224 x 224 px, ImageNet's mean and standard deviation. {_REMEDY}",
    )


def _sized(preprocess: Preprocessing, size: Size, known_from: str) -> KnownPreprocessing:
    height, width = size
    return KnownPreprocessing(
        preprocess,
        f"Images are prepared at {width} x {height} px, {known_from}, with ImageNet's mean and standard deviation, "
        f"which are assumed. {_REMEDY}",
    )


def _runs(module: nn.Module, shape: tuple[int, ...]) -> bool:
    try:
        # The trial must not start a compilation, which can take minutes.
        with evaluating(module), torch.no_grad(), torch.compiler.set_stance("force_eager"), settings_kept():
            module(noise_image(module, shape))
    # Whatever a model raises on an input that it does not take.
    except KeyboardInterrupt:
        raise
    except BaseException:
        return False
    return True


def _check_channels(module: nn.Module, name: str) -> None:
    found = next(((key, part) for key, part in module.named_modules() if isinstance(part, nn.Conv2d)), None)
    if found is None or found[1].in_channels == _COLOURS:
        return
    key, channels = found[0], found[1].in_channels
    steps = "Grayscale(), Resize(256), CenterCrop(224), ToTensor()" if channels == 1 else "..., ToTensor(), ..."
    raise UsageError(
        f"{name} takes images of {channels} {'channel' if channels == 1 else 'channels'} (its first convolution is "
        f"{key!r}), but an image has red, green and blue, and nothing says how to make {channels} of three. Return an "
        "xai_eval.Classifier from the factory, with a preprocessing that does, such as torchvision's "
        f"Compose([{steps}])."
    )
