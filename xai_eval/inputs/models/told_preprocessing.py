"""What the library that a module is from says about the preparation of its images."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision import transforms
from torchvision.models import ResNet18_Weights, get_model_builder, get_model_weights, list_models

from xai_eval.errors import UsageError
from xai_eval.inputs.models.attributes import attribute
from xai_eval.inputs.models.derived.derived_preprocessing import as_preprocessing
from xai_eval.inputs.models.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    TorchvisionPreset,
    fixed_size_preprocessing,
)
from xai_eval.inputs.models.size_hints import Size, sizes_named

_CLASSIFICATION = type(ResNet18_Weights.IMAGENET1K_V1.transforms())
_OTHERWISE = "If it was trained otherwise, return an xai_eval.Classifier with its preprocessing."


@dataclass(frozen=True, eq=False)
class KnownPreprocessing:
    """A preprocessing for a module that came without one.

    Attributes:
        preprocess: the preprocessing.
        how: how it is known, what was assumed, and how to change it, in whole sentences.
    """

    preprocess: Preprocessing
    how: str


def of_size(size: Size, mean: Sequence[float], std: Sequence[float]) -> Preprocessing:
    """Return the preprocessing for images of one size: resized (a square: shorter side, then cropped), normalised."""
    height, width = size
    if height == width:
        return fixed_size_preprocessing(height, tuple(mean), tuple(std))
    steps = [transforms.Resize((height, width)), transforms.ToTensor(), transforms.Normalize(mean, std)]
    return as_preprocessing(transforms.Compose(steps))


def imagenet_preprocessing_at(size: Size) -> Preprocessing:
    """Return the usual ImageNet preprocessing at another size: a square is cut from the centre, as 224 from 256 px."""
    height, width = size
    if height != width:
        return of_size(size, IMAGENET_MEAN, IMAGENET_STD)
    transforms_of = ResNet18_Weights.IMAGENET1K_V1.transforms
    return TorchvisionPreset(transforms_of(crop_size=height, resize_size=round(height * 256 / 224)))


def told_by_library(module: nn.Module) -> KnownPreprocessing | None:
    """Return what timm, open_clip, transformers or torchvision say about a module or its first part that is theirs."""
    for part in module.modules():
        for ask in (_timm, _open_clip, _transformers, _torchvision):
            told = ask(part)
            if told is not None:
                return told
    return None


def _timm(part: nn.Module) -> KnownPreprocessing | None:
    published = attribute(part, "pretrained_cfg") or attribute(part, "default_cfg")
    if not isinstance(published, Mapping) or "input_size" not in published:
        return None
    from xai_eval.inputs.models.timm_preprocessing import timm_preprocessing

    known = timm_preprocessing(part)
    _, height, width = known.config["input_size"]
    how = f"Images are prepared as timm's configuration of the {type(part).__name__} says ({width} x {height} px)."
    return KnownPreprocessing(known, f"{how} {_OTHERWISE}")


def _open_clip(part: nn.Module) -> KnownPreprocessing | None:
    config = attribute(part, "preprocess_cfg")
    if not isinstance(config, Mapping) or "size" not in config:
        return None
    from open_clip.transform import PreprocessCfg, image_transform_v2

    transform = image_transform_v2(PreprocessCfg(**config), is_train=False)
    how = f"Images are prepared as open_clip's configuration of the {type(part).__name__} says."
    return KnownPreprocessing(as_preprocessing(transform), f"{how} {_OTHERWISE}")


def _transformers(part: nn.Module) -> KnownPreprocessing | None:
    config = attribute(part, "config")
    if not any(base.__module__.startswith("transformers.") for base in type(config).__mro__):
        return None
    sizes = sizes_named(part)
    height, width = sizes[0] if sizes else (224, 224)
    mean, std, known_from = _normalisation(config)
    how = (
        f"Images are prepared at {width} x {height} px, {'the size in its configuration' if sizes else 'as is usual'}, "
        f"with the mean and the standard deviation {known_from}, which are assumed. If the model was trained "
        "otherwise, return an xai_eval.Classifier with its image processor as preprocess, or name it with hf:NAME."
    )
    return KnownPreprocessing(of_size((height, width), mean, std), how)


def _normalisation(config: Any) -> tuple[Sequence[float], Sequence[float], str]:
    """Return mean and deviation that the image processor for a configuration has by default, and whose they are."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING

    try:
        found: Any = IMAGE_PROCESSOR_MAPPING[type(config)]
    except KeyError:
        return IMAGENET_MEAN, IMAGENET_STD, "of ImageNet"
    classes = [each for each in (found.values() if isinstance(found, Mapping) else found) if each is not None]
    # Variants of one processor have longer names, and the same values.
    processor = min(classes, key=lambda each: len(each.__name__))()
    return processor.image_mean, processor.image_std, f"of {type(processor).__name__}"


def _torchvision(part: nn.Module) -> KnownPreprocessing | None:
    if not any(base.__module__.startswith("torchvision.models.") for base in type(part).__mro__):
        return None
    name, weights = _nearest(part)
    if weights is None:
        return None
    preset = weights.transforms()
    try:
        known = TorchvisionPreset(preset) if isinstance(preset, _CLASSIFICATION) else as_preprocessing(preset)
    except UsageError:
        # The preset is for videos, or for two images.
        return None
    size = f" ({preset.crop_size[0]} px)" if isinstance(preset, _CLASSIFICATION) else ""
    how = f"Images are prepared as torchvision prepares them for {name}{size}, like which the model is built."
    return KnownPreprocessing(known, f"{how} {_OTHERWISE}")


def _nearest(part: nn.Module) -> tuple[str, Any]:
    """Return the torchvision model of the same class that fits best, and its weights; ("", None) if none fits.

    Builders of one class differ in width, depth and image size. The right one has as many parameters, the last layer
    with its number of classes left out. If none has, all must agree on the size.
    """
    candidates = [(name, entry) for name in _built_as(part) for entry in get_model_weights(name)]
    same = [each for each in candidates if _without_head(part, each[1]) == 0] or candidates
    sizes = {size[0] for size in sizes_named(part)}
    fitting = [each for each in same if _crop(each[1]) in sizes] if sizes else same
    if not fitting or (same is candidates and len({_crop(entry) for _, entry in fitting}) > 1):
        return "", None
    name, weights = fitting[0]
    certain = same is not candidates or len({builder for builder, _ in candidates}) == 1
    return (name if certain else type(part).__name__), weights


def _built_as(part: nn.Module) -> Iterator[str]:
    for name in list_models():
        made = inspect.signature(get_model_builder(name)).return_annotation
        if isinstance(made, type) and made in type(part).__mro__:
            yield name


def _without_head(part: nn.Module, weights: Any) -> int:
    """Return by how many parameters a module differs from published weights, the last layer left out."""
    heads = [each for each in part.modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    own = sum(parameter.numel() for parameter in part.parameters())
    published = int(weights.meta.get("num_params", -1))
    if not heads or not isinstance(heads[-1], nn.Linear):
        return own - published
    inputs, outputs = heads[-1].in_features, heads[-1].out_features
    classes = len(weights.meta.get("categories") or ()) or outputs
    return own - published - (inputs + 1) * (outputs - classes)


def _crop(weights: Any) -> int | None:
    crop = getattr(weights.transforms(), "crop_size", None)
    return None if crop is None else int(crop[0])
