"""What a model says of an image with some superpixels hidden: lime's loop over samples, on the model's device."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.explainers.lime.probabilities import Predict, check_probabilities


@dataclass(eq=False)
class PerturbedImages:
    """Predictions on perturbed images; identical ones are predicted once.

    Attributes:
        predict: from views, uint8 (N, H, W, 3), to probabilities (N, C).
        batch_size: images a call of `predict`.
        device: where images are put together; the model's.
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
            hidden: what shows where a superpixel is hidden, (H, W, 3).
            segments: number of the superpixel of each pixel, (H, W).
            samples: 1 where a superpixel is kept, 0 where it is hidden, (N, F).

        Returns:
            Probabilities, (N, C).

        Raises:
            ModelMisbehaves: `predict` returns no probabilities.
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
        """Predict every sample of a loop, (N, C)."""
        starts = range(0, len(loop.kept), self.batch_size)
        batches = (self._batch(loop, slice(start, start + self.batch_size)) for start in starts)
        first = next(batches)
        # One block for all, taken before the others come: small ones between the images of a batch would keep the
        # allocator from giving that memory back, gigabytes of it.
        found = np.empty((len(loop.kept), first.shape[1]), first.dtype)
        for start, batch in zip(starts, itertools.chain([first], batches), strict=True):
            found[start : start + len(batch)] = batch
        return found

    def _batch(self, loop: _Loop, part: slice) -> NDArray[np.float32]:
        return np.asarray(check_probabilities(self.predict(loop.views(part))).cpu().numpy())


@dataclass(frozen=True, eq=False)
class _Loop:
    """What the loop over samples needs, laid out so that each step is one pass over bytes.

    A pixel is hidden ^ (mask & (hidden ^ shown)): several times faster than `torch.where` on pixels of three bytes.

    Attributes:
        hidden: (3, H * W) uint8.
        change: hidden ^ shown, (3, H * W) uint8.
        labels: superpixel of each pixel, (1, H * W).
        kept: 255 where a superpixel is kept, 0 where it is hidden, (N, F) uint8.
        shape: H and W.
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
        """Perturbed images of some samples, uint8 (N, H, W, 3)."""
        kept = self.kept[part]
        mask = torch.gather(kept, 1, self.labels.expand(len(kept), -1))[:, None]
        planes = (mask & self.change).bitwise_xor_(self.hidden)
        return planes.view(len(kept), 3, *self.shape).permute(0, 2, 3, 1)
