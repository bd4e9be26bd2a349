"""Load models of torchvision with their published weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn
from torchvision.models import ResNet18_Weights, get_model, get_model_weights, list_models
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from xai_eval.errors import UsageError, unknown_name
from xai_eval.inputs.downloads import Download, download_entries, downloads, obtain
from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.derived.derived_preprocessing import as_preprocessing
from xai_eval.inputs.models.model_weights import other_architecture, read_checkpoint
from xai_eval.inputs.models.preprocessing import TorchvisionPreset

_CLASSIFICATION = type(ResNet18_Weights.IMAGENET1K_V1.transforms())
_DETECTION = type(FasterRCNN_ResNet50_FPN_Weights.COCO_V1.transforms())


def load_torchvision(spec: str) -> Classifier:
    """Load the model with the spec `torchvision:NAME` or `torchvision:NAME@WEIGHTS`.

    Without weights, torchvision's default weights are used; the name of the classifier says which these are.

    Args:
        spec: the spec after "torchvision:".

    Raises:
        UsageError: the model or the weights are unknown, or the model is neither an image classifier nor a detector.
        InputUnavailable: the weights cannot be downloaded or read, or do not fit.
    """
    model, _, wanted = spec.partition("@")
    weights = _weights(model, wanted)
    name = f"torchvision:{model}@{weights.name}"
    preset = weights.transforms()
    if not isinstance(preset, _CLASSIFICATION | _DETECTION):
        raise UsageError(
            f"{name} is prepared by {type(preset).__name__}; expected an image classifier "
            "or a detector (ImageClassification, ObjectDetection). Choose such a model."
        )
    categories = weights.meta.get("categories")
    if not categories:
        raise UsageError(f"{name}: the weights {weights.name} come without class names. Choose other weights.")
    return Classifier(
        name=name,
        module=_build(model, weights, name),
        preprocess=TorchvisionPreset(preset) if isinstance(preset, _CLASSIFICATION) else as_preprocessing(preset),
        class_names=tuple(categories),
        class_ids=_wordnet_ids(weights),
        classes_from=f"torchvision, {type(weights).__name__}.{weights.name}",
    )


def _weights(model: str, wanted: str) -> Any:
    if model not in list_models():
        raise unknown_name("torchvision model", model, list_models())
    published = get_model_weights(model)
    names = list(published.__members__)
    if not names:
        raise UsageError(f"torchvision publishes no weights for {model}; choose another model.")
    if wanted and wanted not in names:
        raise unknown_name("weights", wanted, names, hint=f"Model: torchvision:{model}.")
    return published[wanted or "DEFAULT"]


def _wordnet_ids(weights: Any) -> tuple[str, ...] | None:
    if not weights.name.startswith("IMAGENET1K"):
        return None
    return tuple(entry.wnid for entry in imagenet_classes())


def _build(model: str, weights: Any, name: str) -> nn.Module:
    download = _download(weights, name)
    cached = Path(torch.hub.get_dir()) / download.file
    path = obtain(download, also=[cached])
    with _states_read_from(path, type(weights)):
        try:
            module: nn.Module = get_model(model, weights=weights)
        except RuntimeError as error:
            raise other_architecture(model, path, error) from error
    return module


def _download(weights: Any, name: str) -> Download:
    if name in downloads():
        return download_entries(name)[0]
    file = PurePosixPath(urlparse(weights.url).path).name
    # torchvision ends file names with the first digits of the SHA-256.
    prefix = PurePosixPath(file).stem.rpartition("-")[2]
    return Download(name, weights.url, f"checkpoints/{file}", sha256_prefix=prefix)


@contextmanager
def _states_read_from(path: Path, published: Any) -> Iterator[None]:
    """Let torchvision's builder of a model read its weights from `path`.

    The builder is used, because some builders adapt the architecture or the names of the weights (Inception, DenseNet).
    Its own way of reading the file is replaced, because it would unpickle any object.
    """
    published.get_state_dict = lambda _weights, *_args, **_options: read_checkpoint(path)
    try:
        yield
    finally:
        del published.get_state_dict
