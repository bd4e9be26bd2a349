"""Keep where each unit is active on the images on which it is most active, so that no image is looked at twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

# Images that are shown of each unit.
SHOWN = 5


@dataclass(frozen=True, eq=False)
class StrongestMaps:
    """The maps of J units on the t <= SHOWN images with the largest activation; of equal ones the first come first.

    Attributes:
        positions: positions of the images in the probe set, best first, int64 (J, t).
        values: activations of the units on them, one number per image and unit, float32 (J, t).
        maps: their maps, float32 (J, t, h, w).
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float32]
    maps: NDArray[np.float32]

    @classmethod
    def of(cls, activations: torch.Tensor, maps: torch.Tensor, positions: NDArray[np.int64]) -> Self:
        """Choose from n images.

        Args:
            activations: one number per image and unit, (n, J), on any device.
            maps: activation maps, (n, J, h, w), on the same device.
            positions: positions of the images in the probe set, ascending, (n,).
        """
        order = torch.sort(activations.T, dim=1, descending=True, stable=True).indices[:, :SHOWN]
        units = torch.arange(len(order), device=order.device)[:, None]
        values, chosen = activations[order, units], maps[order, units]
        return cls(positions[order.cpu().numpy()], values.cpu().numpy(), chosen.cpu().numpy())

    @staticmethod
    def merged(parts: Sequence[StrongestMaps]) -> StrongestMaps:
        """Return the strongest of parts whose positions follow each other.

        Raises:
            ValueError: the parts have maps of different sizes, or different numbers of units.
        """
        values = np.concatenate([part.values for part in parts], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :SHOWN]
        units = np.arange(len(values))[:, None]
        positions = np.concatenate([part.positions for part in parts], axis=1)[units, order]
        maps = np.concatenate([part.maps for part in parts], axis=1)[units, order]
        return StrongestMaps(positions, values[units, order], maps)

    def map_of(self, unit: int, position: int) -> NDArray[np.float32] | None:
        """Return the map of a unit on an image, (h, w), or None if the image is not one of its strongest."""
        place = np.flatnonzero(self.positions[unit] == position)
        return self.maps[unit, place[0]] if len(place) else None
