"""Compute exact quantiles of the activation of each unit over all positions of all images.

Only the largest values of each unit are kept, as many as the quantile needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import UsageError


@dataclass(frozen=True, eq=False)
class TopValues:
    """The m largest values of each of J units.

    Attributes:
        values: the largest values, descending, float32 (J, m') with m' <= m, on any device.
        m: largest number of values to keep.
        count: number of values per unit from which these are the largest.
    """

    values: torch.Tensor
    m: int
    count: int

    @property
    def bound(self) -> torch.Tensor:
        """The m-th largest value of each unit so far, (J,), on the same device; -inf while fewer than m are kept.

        A further value changes the m largest only if it is above this bound. Every quantile that can be computed from m
        values is at least as large as this bound.
        """
        if self.values.shape[1] < self.m:
            return self.values.new_full((len(self.values),), -torch.inf)
        return self.values[:, -1]

    @staticmethod
    def merged(parts: Sequence[TopValues]) -> TopValues:
        """Return the largest values of all parts together, on the device of the last one.

        Order and grouping of the parts do not matter for the values.

        Raises:
            ValueError: the parts have different m or different numbers of units.
        """
        kinds = {(part.m, len(part.values)) for part in parts}
        if len(kinds) != 1:
            raise ValueError(
                f"top values that keep {', '.join(f'{m} of {units} units' for m, units in kinds)} cannot be merged; "
                "expected the same numbers in all parts."
            )
        values = torch.cat([part.values.to(parts[-1].values.device) for part in parts], dim=1)
        return TopValues(_largest(values, parts[0].m), parts[0].m, sum(part.count for part in parts))

    def quantile(self, share: float) -> NDArray[np.float64]:
        """Return for each unit the value that a share of all its values exceed, (J,) float64.

        The result equals `np.quantile(all_values, 1 - share)` in double precision, bit for bit.

        Raises:
            UsageError: `share` is not between 0 and 1, there are no values, or too few values were kept.
        """
        lower, part = _position(self.count, share)
        kept = self.values.shape[1]
        if kept < self.count - lower:
            raise UsageError(
                f"the quantile that {share:.2%} exceed needs the {self.count - lower} largest of {self.count} values; "
                f"{kept} were kept. Keep values_to_keep() of all positions of the probe set."
            )
        descending = self.count - 1 - lower
        pair = self.values[:, [descending, max(descending - 1, 0)]].cpu().double().numpy()
        # numpy itself interpolates between the two values, so the rounding is the same as that of `np.quantile`.
        return np.asarray(np.quantile(pair, part, axis=1))


def top_values(maps: torch.Tensor, m: int, bound: torch.Tensor | None = None) -> TopValues:
    """Return the m largest values of each unit over images and positions, on the device of the maps.

    Args:
        maps: finite activation maps of n images, (n, J, h, w), on any device.
        m: largest number of values to keep per unit, see `values_to_keep`.
        bound: `TopValues.bound` of other images, (J,). Values that are not above it are left out, because the m largest
            values of those images are at least as large.

    Raises:
        UsageError: m is below 1.
    """
    if m < 1:
        raise UsageError(f"the number of values to keep is {m}; expected at least 1.")
    # Adding 0.0 turns -0.0 into 0.0. Otherwise the sign of a zero would depend on the order of the images.
    rows = maps.transpose(0, 1).flatten(1) + 0.0
    kept = m
    if bound is not None:
        above = rows > bound.to(rows.device)[:, None]
        kept = min(m, int(above.sum(dim=1).max()))
    return TopValues(_largest(rows, kept), m, rows.shape[1])


def values_to_keep(positions: int, share: float) -> int:
    """Return how many values per unit `TopValues.quantile(share)` needs for at most this many values in all."""
    _position(positions, share)
    return int(np.floor((positions - 1) * share)) + 2


def _position(count: int, share: float) -> tuple[int, float]:
    """Return the index below the quantile among `count` ascending values, and the fraction of the way to the next."""
    if not 0.0 < share < 1.0:
        raise UsageError(f"the share of positions above the threshold is {share!r}; expected one between 0 and 1.")
    if count < 1:
        raise UsageError(
            "there are no values to take a quantile of; expected at least one image. Add images to the probe set."
        )
    place = (count - 1) * (1 - share)
    return int(np.floor(place)), place - np.floor(place)


def _largest(values: torch.Tensor, m: int) -> torch.Tensor:
    return torch.topk(values, min(m, values.shape[1]), dim=1).values
