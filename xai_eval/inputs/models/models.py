"""Load the classifier that a model spec names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec

from torch import nn
from torchvision.models import list_models

from xai_eval.errors import UsageError, unknown_name
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.models.bundled_models import load_scenes_model
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.devices import move
from xai_eval.inputs.models.file_models import load_file_model
from xai_eval.inputs.models.hf_models import load_hf
from xai_eval.inputs.models.model_options import ModelOptions, read_options, without_paths
from xai_eval.inputs.models.places365 import load_places365
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.inputs.models.timm_models import load_timm
from xai_eval.inputs.models.torchvision_models import load_torchvision


def _load_zero_shot(rest: str, output: OutputKind | None) -> Classifier:
    # open_clip takes seconds to import.
    from xai_eval.inputs.clip.zero_shot import load_image_encoder, load_zero_shot

    return load_image_encoder(rest) if output is OutputKind.EMBEDDING else load_zero_shot(rest)


# These models say themselves what they return.
_LOADERS: Mapping[str, Callable[[str], Classifier]] = {
    "scenes": load_scenes_model,
    "torchvision": load_torchvision,
    "places365": load_places365,
}
# What is loaded, or how many classes it has, depends on what the output is.
_ASKING: Mapping[str, Callable[[str, OutputKind | None], Classifier]] = {
    "timm": load_timm,
    "hf": load_hf,
    "open_clip": _load_zero_shot,
    "file": load_file_model,
}
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
_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors", ".onnx")


def load_model(spec: str | Classifier, *, device: str = "cpu") -> Classifier:
    """Load the classifier that a spec names, with its preprocessing and classes, in evaluation mode.

    Args:
        spec: "scenes:objects", "scenes:places", "scenes:vit", "scenes:vit_pooled" or "scenes:swin" (bundled),
            "torchvision:resnet50" (the library's default weights), "torchvision:resnet50@IMAGENET1K_V1",
            "places365:resnet18", "timm:NAME" (needs the extra `timm`), "hf:NAME", "hf:NAME@REVISION" or "hf:FOLDER"
            (transformers; needs the extra `hf`), "open_clip:ViT-B-16/openai:cat,dog,car" (CLIP with words as classes),
            "file:PATH.py:FACTORY" (a function returning an `nn.Module` or a `Classifier`), or a classifier. Any spec
            may end in "?output=multilabel", "?reshape=14x14" or "?output=embedding&similar_to=cat.jpg", see
            `model_options`.
        device: a PyTorch device such as "cpu" or "cuda:0"; "auto" is the GPU if there is one, else the CPU.

    Raises:
        UsageError: the spec is malformed or of a wrong type, a name in it is unknown, or the device cannot be used.
        InputUnavailable: the model or its weights cannot be downloaded or read, or do not fit together.
        ModelMisbehaves: a module from a factory returns nothing that can be explained.
    """
    classifier = spec if isinstance(spec, Classifier) else _load(spec)
    classifier.module.eval()
    move(classifier.module, device)
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
        raise _unknown_spec(spec, base)
    if not rest:
        raise UsageError(f"model spec {spec!r} names no model; expected one of {', '.join(_FORMS)}.")
    options = read_options(asked, spec)
    if kind in _LOADERS and options.output is OutputKind.EMBEDDING:
        raise UsageError(
            f"{base} is a classifier: it returns the scores of its classes, not features of the image. For --output "
            "embedding, name a model without a head (timm:NAME, hf:NAME, open_clip:...), or return one from a factory "
            "(file:PATH.py:FACTORY), such as a ResNet whose fc is torch.nn.Identity()."
        )
    found = _LOADERS[kind](rest) if kind in _LOADERS else _ASKING[kind](rest, options.output)
    return _as_asked(found, asked, options) if asked else found


def _unknown_spec(spec: str, base: str) -> UsageError:
    """Return the error for a spec of no known form; a name that a library of models knows is told with its form."""
    known = _known_form(base)
    if known:
        return UsageError(f"unknown model spec {spec!r}. Did you mean {known}?")
    if base.endswith(_WEIGHTS):
        return UsageError(
            f"{base} holds weights, which alone are no model. Write a function that builds the network and loads them "
            "(docs/how-to/own-model.md), and name it: file:PATH.py:FACTORY."
        )
    return unknown_name("model spec", spec, _FORMS)


def _known_form(base: str) -> str:
    path, found, factory = base.partition(".py")
    if found:
        return f"file:{path}.py:{factory.lstrip(':') or 'FACTORY'}"
    if base in list_models():
        return f"torchvision:{base}"
    return f"timm:{base}" if find_spec("timm") and base in import_module("timm").list_models() else ""


def _as_asked(found: Classifier, asked: str, options: ModelOptions) -> Classifier:
    told = dataclasses.replace(
        found,
        name=f"{found.name}?{asked if options.similar_to is None else without_paths(asked, options.similar_to)}",
        output=options.output or found.output,
        reshape=options.reshape or found.reshape,
        box=options.box or found.box,
    )
    if options.similar_to is None:
        return told
    if told.references is not None:
        raise UsageError(f"{told.name} has references already: {told.references}. Leave out --similar-to.")
    return told.similar_to(load_images(options.similar_to))
