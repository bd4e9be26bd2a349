"""Network Dissection on one picture: where units are active, and which concepts are there (Bau et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Overlap:
    """Pixels that n units and the l concepts of one picture share.

    Attributes:
        concepts: which concepts it shows, ascending, (l,).
        both: int64 (n, l).
        unit: pixels where each unit is active, int64 (n,).
        label: pixels of each concept, int64 (l,).
    """

    concepts: NDArray[np.int64]
    both: NDArray[np.int64]
    unit: NDArray[np.int64]
    label: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ActivePixels:
    """Where n units are active on one picture: 1 or 0, float32 (n, H * W), and how many pixels that is, int64 (n,)."""

    pixels: NDArray[np.float32]
    area: NDArray[np.int64]

    @classmethod
    def of(cls, masks: NDArray[np.bool_]) -> ActivePixels:
        """Take masks (n, H, W) as they are needed for counting with many label maps."""
        flat = masks.reshape(len(masks), masks.shape[1] * masks.shape[2])
        # Products of zeros and ones in single precision are exact up to 2**24 pixels, and faster than whole numbers.
        return cls(flat.astype(np.float32), flat.sum(axis=1, dtype=np.int64))


def active(maps: NDArray[np.float32], thresholds: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Say at which pixels units exceed their thresholds, bool (n, H, W).

    Args:
        maps: of n units on one picture, (n, h, w).
        thresholds: of these units, (n,).
        size: H and W of the label maps, to which maps are enlarged with bilinear interpolation.
    """
    enlarged = F.interpolate(torch.from_numpy(maps)[:, None], size=size, mode="bilinear", align_corners=False)
    return enlarged[:, 0].numpy() > thresholds[:, None, None]


def overlap(units: ActivePixels, labels: NDArray[np.int32]) -> Overlap:
    """Count what units share with the concepts of label maps, int32 (S, H, W): 0 is none, 1 + i is concept i."""
    shown = np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1
    places = np.array([(labels == each).any(axis=0).ravel() for each in shown], dtype=np.float32)
    places = places.reshape(len(shown), units.pixels.shape[1])
    return Overlap(
        concepts=shown.astype(np.int64) - 1,
        both=(units.pixels @ places.T).astype(np.int64),
        unit=units.area,
        label=places.sum(axis=1, dtype=np.float64).astype(np.int64),
    )
