"""Load models of timm, an optional dependency that is imported only if a spec names such a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from xai_eval.errors import InputUnavailable, UsageError, unknown_name
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.preprocessing import normalised
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.inputs.models.size_hints import sizes_named


@dataclass(frozen=True)
class TimmPreprocessing:
    """The transform that timm uses to evaluate a model.

    Attributes:
        config: what `timm.data.resolve_model_data_config` returns.
    """

    config: dict[str, Any]

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return timm's own tensor, float32 (3, H, W)."""
        tensor: torch.Tensor = self._transform()(image)
        return tensor

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the resized and cropped image, uint8 (H, W, 3)."""
        return np.asarray(self._geometry(image), dtype=np.uint8)

    def from_view(self, views: torch.Tensor) -> torch.Tensor:
        """Normalise views as timm does after resizing and cropping, float32 (N, 3, H, W)."""
        last = self._transform().transforms[-1]
        return normalised(views, [float(value) for value in last.mean], [float(value) for value in last.std])

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Resize and crop a mask like the image, bool (h, w) to bool (H, W)."""
        drawn = Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255).convert("RGB")
        return np.asarray(self._geometry(drawn, interpolation="nearest"))[:, :, 0] > 0

    def describe(self) -> dict[str, Any]:
        """Return timm's data configuration as JSON values."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in self.config.items()}
        return {"kind": "timm", **values}

    def _transform(self, **changes: Any) -> Any:
        from timm.data import create_transform

        return create_transform(**{**self.config, **changes}, is_training=False)

    def _geometry(self, image: Image.Image, **changes: Any) -> Image.Image:
        # The last two steps of timm's transform convert to a tensor and normalise. The steps before them work on
        # images.
        for step in self._transform(**changes).transforms[:-2]:
            image = step(image)
        return image


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


def timm_preprocessing(module: nn.Module) -> TimmPreprocessing:
    """Return the preprocessing in timm's configuration of a module, at the image size that the module was built for."""
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(module)
    built_for = sizes_named(module)
    # timm's configuration belongs to the published weights. With `img_size`, the module may have another size.
    return TimmPreprocessing(
        {**config, "input_size": (config["input_size"][0], *built_for[0])} if built_for else config
    )


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
