"""Load the classifier that a model spec names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from torch import nn

from xai_eval.errors import UsageError, unknown_name
from xai_eval.inputs.models.bundled_models import load_scenes_model
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.devices import move
from xai_eval.inputs.models.file_models import load_file_model
from xai_eval.inputs.models.hf_models import load_hf
from xai_eval.inputs.models.model_options import read_options
from xai_eval.inputs.models.places365 import load_places365
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.inputs.models.timm_models import load_timm
from xai_eval.inputs.models.torchvision_models import load_torchvision


def _load_zero_shot(rest: str) -> Classifier:
    # open_clip takes seconds to import.
    from xai_eval.inputs.clip.zero_shot import load_zero_shot

    return load_zero_shot(rest)


# These models say themselves what they return.
_LOADERS: Mapping[str, Callable[[str], Classifier]] = {
    "scenes": load_scenes_model,
    "torchvision": load_torchvision,
    "places365": load_places365,
    "hf": load_hf,
    "open_clip": _load_zero_shot,
}
# How many classes these models have depends on what their output is.
_ASKING: Mapping[str, Callable[[str, OutputKind | None], Classifier]] = {"timm": load_timm, "file": load_file_model}
_FORMS = (
    "scenes:objects",
    "scenes:places",
    "scenes:vit",
    "scenes:vit_pooled",
    "scenes:swin",
    "torchvision:NAME",
    "torchvision:NAME@WEIGHTS",
    "places365:resnet18",
    "timm:NAME",
    "hf:NAME",
    "open_clip:ARCHITECTURE/WEIGHTS:WORDS",
    "file:PATH.py:FACTORY",
)


def load_model(spec: str | Classifier, *, device: str = "cpu") -> Classifier:
    """Load the classifier that a spec names, with its preprocessing and classes, in evaluation mode.

    Args:
        spec: "scenes:objects", "scenes:places", "scenes:vit", "scenes:vit_pooled" or "scenes:swin" (bundled),
            "torchvision:resnet50" (the library's default weights), "torchvision:resnet50@IMAGENET1K_V1",
            "places365:resnet18", "timm:NAME" (needs the extra `timm`), "hf:NAME", "hf:NAME@REVISION" or "hf:FOLDER"
            (transformers; needs the extra `hf`), "open_clip:ViT-B-16/openai:cat,dog,car" (CLIP with words as classes),
            "file:PATH.py:FACTORY" (a function returning an `nn.Module` or a `Classifier`), or a classifier. Any spec
            may end in "?output=multilabel" or "?reshape=14x14", see `model_options`.
        device: a PyTorch device such as "cpu" or "cuda:0"; "auto" is the GPU if there is one, else the CPU.

    Raises:
        UsageError: the spec is malformed or of a wrong type, a name in it is unknown, or the device cannot be used.
        InputUnavailable: the model or its weights cannot be downloaded or read, or do not fit together.
        ModelMisbehaves: a module from a factory returns nothing that can be explained.
    """
    classifier = spec if isinstance(spec, Classifier) else _load(spec)
    move(classifier.module.eval(), device)
    return classifier


def _load(spec: object) -> Classifier:
    if isinstance(spec, nn.Module):
        raise UsageError(
            f"the model is a bare {type(spec).__name__}, which says neither how images are prepared nor how its "
            "classes are called. Wrap it: xai_eval.Classifier(name, module, preprocess, class_names)."
        )
    if not isinstance(spec, str):
        raise UsageError(f"the model is a {type(spec).__name__}; expected a spec as text, or an xai_eval.Classifier.")
    base, _, asked = spec.partition("?")
    kind, _, rest = base.partition(":")
    if kind not in (*_LOADERS, *_ASKING):
        raise unknown_name("model spec", spec, _FORMS, hint=f"Expected one of {', '.join(_FORMS)}.")
    if not rest:
        raise UsageError(f"model spec {spec!r} names no model; expected one of {', '.join(_FORMS)}.")
    options = read_options(asked, spec)
    found = _LOADERS[kind](rest) if kind in _LOADERS else _ASKING[kind](rest, options.output)
    if not asked:
        return found
    return dataclasses.replace(
        found,
        name=f"{found.name}?{asked}",
        output=options.output or found.output,
        reshape=options.reshape or found.reshape,
    )
