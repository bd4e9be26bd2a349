"""The preprocessing of timm, which is imported only where a model of timm is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from xai_eval.inputs.models.preprocessing import normalised
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


def timm_preprocessing(module: nn.Module) -> TimmPreprocessing:
    """Return the preprocessing in timm's configuration of a module, at the image size that the module was built for."""
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(module)
    built_for = sizes_named(module)
    # timm's configuration belongs to the published weights. With `img_size`, the module may have another size.
    return TimmPreprocessing(
        {**config, "input_size": (config["input_size"][0], *built_for[0])} if built_for else config
    )
