"""Predict images in which some superpixels are hidden: lime's loop over samples, on the model's device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.explainers.lime.probabilities import Predict
from xai_eval.explainers.model.gathered import gathered
from xai_eval.inputs.models.later_checks import checked_at_the_end


@dataclass(eq=False)
class PerturbedImages:
    """Predicts perturbed images; identical images are predicted once.

    Attributes:
        predict: takes images as the model sees them, uint8 (N, H, W, 3), and returns probabilities (N, C).
        batch_size: images per call of `predict`.
        device: where the images are put together: the device of the model.
    """

    predict: Predict
    batch_size: int
    device: torch.device | str = "cpu"
    _known: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)

    def probabilities(
        self,
        image: NDArray[np.uint8],
        hidden: NDArray[np.uint8],
        segments: NDArray[np.int64],
        samples: NDArray[Any],
    ) -> NDArray[np.float32]:
        """Predict every sample.

        Args:
            image: the image, (H, W, 3).
            hidden: the pixels to show where a superpixel is hidden, (H, W, 3).
            segments: index of the superpixel of each pixel, (H, W).
            samples: 1 where a superpixel is kept, 0 where it is hidden, (N, F).

        Returns:
            Probabilities, (N, C) float32.

        Raises:
            ModelMisbehaves: `predict` raises it.
        """
        source = hashlib.sha256(b"".join(array.tobytes() for array in (image, hidden, segments))).digest()
        keys = [source + row.tobytes() for row in np.packbits(samples.astype(bool), axis=1)]
        new = {key: place for place, key in reversed(list(enumerate(keys))) if key not in self._known}
        rows = sorted(new.values())
        if rows:
            predicted = self._predicted(_Loop.prepare(image, hidden, segments, samples[rows], self.device))
            self._known.update(zip((keys[row] for row in rows), predicted, strict=True))
        return np.stack([self._known[key] for key in keys])

    def _predicted(self, loop: _Loop) -> NDArray[np.float32]:
        """Predict every sample of a loop, batch by batch, (N, C)."""
        parts = (slice(start, start + self.batch_size) for start in range(0, len(loop.kept), self.batch_size))
        with checked_at_the_end():
            return gathered((self._batch(loop, part) for part in parts), len(loop.kept))

    def _batch(self, loop: _Loop, part: slice) -> torch.Tensor:
        return self.predict(loop.views(part))


@dataclass(frozen=True, eq=False)
class _Loop:
    """What the loop over samples needs, laid out so that each step is one pass over bytes.

    A pixel is computed as hidden ^ (mask & (hidden ^ shown)), which is several times faster than `torch.where`.

    Attributes:
        hidden: pixels of hidden superpixels, (3, H * W) uint8.
        change: hidden ^ shown, where shown are the pixels of the image, (3, H * W) uint8.
        labels: index of the superpixel of each pixel, (1, H * W).
        kept: 255 where a superpixel is kept, 0 where it is hidden, (N, F) uint8.
        shape: height and width of the image.
    """

    hidden: torch.Tensor
    change: torch.Tensor
    labels: torch.Tensor
    kept: torch.Tensor
    shape: tuple[int, int]

    @classmethod
    def prepare(
        cls,
        image: NDArray[np.uint8],
        hidden: NDArray[np.uint8],
        segments: NDArray[np.int64],
        samples: NDArray[Any],
        device: torch.device | str,
    ) -> Self:
        shown, covered = (torch.tensor(p.transpose(2, 0, 1).copy(), device=device).flatten(1) for p in (image, hidden))
        labels = torch.tensor(segments.reshape(1, -1), device=device)
        kept = torch.tensor(samples.astype(bool), device=device).to(torch.uint8) * 255
        return cls(covered, covered ^ shown, labels, kept, (segments.shape[0], segments.shape[1]))

    def views(self, part: slice) -> torch.Tensor:
        """Return the perturbed images of some samples, uint8 (N, H, W, 3)."""
        kept = self.kept[part]
        mask = torch.gather(kept, 1, self.labels.expand(len(kept), -1))[:, None]
        planes = (mask & self.change).bitwise_xor_(self.hidden)
        return planes.view(len(kept), 3, *self.shape).permute(0, 2, 3, 1)
