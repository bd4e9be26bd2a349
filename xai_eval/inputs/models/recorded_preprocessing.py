"""Rebuild a preprocessing from its recorded description.

It computes what the description says, without torchvision's transforms. So a change of the library can be told from a
change of the parameters.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from xai_eval.errors import UsageError
from xai_eval.inputs.models.preprocessing import Preprocessing

_KIND = "torchvision ImageClassification"
_TIMM = {"input_size", "interpolation", "mean", "std", "crop_pct"}
_INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class RecordedPreset:
    """torchvision's classification preset as recorded in a provenance, computed by Pillow and numpy.

    Attributes:
        described: what `TorchvisionPreset.describe` returned when the golden was made.
    """

    described: Mapping[str, Any]

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Resize, crop and normalise an image: float32 (3, H, W)."""
        return self.from_view(torch.from_numpy(self.view(image))[None])[0]

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the resized and cropped image, uint8 (H, W, 3)."""
        return np.array(self._geometry(image, _INTERPOLATIONS[self.described["interpolation"]]), dtype=np.uint8)

    def from_view(self, views: torch.Tensor) -> torch.Tensor:
        """Normalise views, uint8 (N, H, W, 3) to float32 (N, 3, H, W)."""
        mean, std = (np.array(self.described[name], dtype=np.float32)[:, None, None] for name in ("mean", "std"))
        scaled = views.cpu().numpy().transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        return torch.from_numpy(np.ascontiguousarray((scaled - mean) / std)).to(views.device)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Resize and crop a mask like the image, by nearest neighbour."""
        drawn = Image.fromarray(np.asarray(mask, dtype=np.uint8) * 255)
        return np.asarray(self._geometry(drawn, Image.Resampling.NEAREST)) > 0

    def describe(self) -> dict[str, Any]:
        """Return the description that it was made from."""
        return dict(self.described)

    def _geometry(self, image: Image.Image, resampling: Image.Resampling) -> Image.Image:
        shorter, crop = self.described["resize"], self.described["crop"]
        width, height = (int(shorter * side / min(image.size)) for side in image.size)
        resized = image if image.size == (width, height) else image.resize((width, height), resampling)
        # torchvision rounds half pixels in this way.
        left, top = (round((side - crop) / 2.0) for side in (width, height))
        return resized.crop((left, top, left + crop, top + crop))


def recorded_preprocessing(described: object) -> Preprocessing:
    """Return the preprocessing that a provenance describes.

    Args:
        described: the recorded description.

    Raises:
        UsageError: this kind of preprocessing cannot be rebuilt from its description.
    """
    if isinstance(described, Mapping) and described.get("kind") == "callable":
        raise UsageError(
            "the golden's preprocessing was a function, which is not stored, only what was measured of it. Put the "
            "former code into a file and name it with --old-model: its preprocessing comes with the model"
        )
    if isinstance(described, Mapping) and described.get("kind") == "timm" and described.keys() >= _TIMM:
        return _of_timm(described)
    if not isinstance(described, Mapping) or described.get("kind") != _KIND:
        kind = described.get("kind") if isinstance(described, Mapping) else described
        raise UsageError(f"a preprocessing of the kind {kind!r} cannot be rebuilt from its description")
    if described["interpolation"] not in _INTERPOLATIONS or described["crop"] > described["resize"]:
        raise UsageError(f"the preprocessing {dict(described)} cannot be rebuilt from its description")
    return RecordedPreset(described)


def _of_timm(described: Mapping[str, Any]) -> Preprocessing:
    """Return timm's transform with the recorded configuration. The transform is that of the timm that is installed."""
    if importlib.util.find_spec("timm") is None:
        raise UsageError("the golden's preprocessing is timm's, which is not installed. Install the extra timm")
    from xai_eval.inputs.models.timm_preprocessing import TimmPreprocessing

    config = {name: tuple(value) if isinstance(value, list) else value for name, value in described.items()}
    return TimmPreprocessing({name: value for name, value in config.items() if name != "kind"})
