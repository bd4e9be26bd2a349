"""Load models of timm, an optional dependency that is imported only if a spec names such a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from xai_eval.errors import InputUnavailable, UsageError, unknown_name
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.inputs.models.timm_preprocessing import timm_preprocessing


def load_timm(name: str, output: OutputKind | None = None) -> Classifier:
    """Load the model with the spec `timm:NAME` and its pretrained weights.

    Args:
        name: the spec after "timm:".
        output: what the numbers of the model's output are; found out if None.

    Raises:
        UsageError: timm is not installed, or has no such model.
        InputUnavailable: the weights cannot be downloaded or read.
        ModelMisbehaves: the model has no head, and is not loaded as an encoder.
    """
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            f"model spec 'timm:{name}' needs timm, which is not installed. Run: pip install 'xai-eval[timm]'."
        ) from error
    # With no classes, timm returns the features that its head would read.
    module = _create(timm, name, {"num_classes": 0} if output is OutputKind.EMBEDDING else {})
    return wrap_module(module.eval(), f"timm:{name}", timm_preprocessing(module), output)


def _create(timm: Any, name: str, options: Mapping[str, Any]) -> nn.Module:
    if not timm.is_model(name):
        raise unknown_name("timm model", name, timm.list_models())
    try:
        module: nn.Module = timm.create_model(name, pretrained=True, **options)
    # timm, huggingface_hub and the HTTP client below them raise exceptions of their own.
    except Exception as error:
        raise InputUnavailable(
            f"timm:{name} cannot be loaded with pretrained weights ({type(error).__name__}: {error}). "
            "Connect to the network once, or put the weights into timm's cache."
        ) from error
    return module
