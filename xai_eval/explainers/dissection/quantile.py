"""Exact quantiles of each unit's activation over all positions of all images, from the largest values alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import UsageError


@dataclass(frozen=True, eq=False)
class TopValues:
    """The m largest values of each unit.

    Attributes:
        values: (J, m') with m' <= m, descending.
        m: how many values are kept.
        count: values of a unit that were seen.
    """

    values: NDArray[np.float32]
    m: int
    count: int

    @property
    def bound(self) -> NDArray[np.float32]:
        """The m-th largest value of each unit so far, (J,); -inf while fewer were seen.

        What is not above it cannot change the m largest, and no quantile for which m is enough lies below it.
        """
        if self.values.shape[1] < self.m:
            return np.full(len(self.values), -np.inf, dtype=np.float32)
        return self.values[:, -1]

    @staticmethod
    def merged(parts: Sequence[TopValues]) -> TopValues:
        """Return the largest values of all parts: the same in whatever order and grouping.

        Raises:
            ValueError: they keep another number of values, or have other units.
        """
        kinds = {(part.m, len(part.values)) for part in parts}
        if len(kinds) != 1:
            raise ValueError(
                f"top values cannot be merged that keep {', '.join(f'{m} of {units} units' for m, units in kinds)}; "
                "expected the same of all."
            )
        values = torch.from_numpy(np.concatenate([part.values for part in parts], axis=1))
        return TopValues(_largest(values, parts[0].m), parts[0].m, sum(part.count for part in parts))

    def quantile(self, share: float) -> NDArray[np.float64]:
        """Return the value of each unit that `share` of all values exceed, (J,).

        It is `np.quantile(all, 1 - share)` in double precision, bit for bit.

        Raises:
            UsageError: `share` is not between 0 and 1, nothing was seen, or too few values were kept.
        """
        lower, part = _position(self.count, share)
        kept = self.values.shape[1]
        if kept < self.count - lower:
            raise UsageError(
                f"the quantile that {share:.2%} exceed needs the {self.count - lower} largest of {self.count} values; "
                f"{kept} were kept. Keep values_to_keep() of all positions of the probe set."
            )
        descending = self.count - 1 - lower
        pair = self.values[:, [descending, max(descending - 1, 0)]].astype(np.float64)
        # numpy interpolates, so that its rounding is ours.
        return np.asarray(np.quantile(pair, part, axis=1))


def top_values(maps: torch.Tensor, m: int, bound: NDArray[np.float32] | None = None) -> TopValues:
    """Return the m largest values of each unit over images and positions.

    Args:
        maps: finite, of n images, (n, J, H, W), on any device.
        m: how many to keep, see `values_to_keep`.
        bound: `TopValues.bound` of other images, (J,): values that are not above it are left out, because what it came
            from holds enough of them.

    Raises:
        UsageError: m is below 1.
    """
    if m < 1:
        raise UsageError(f"the number of values to keep is {m}; expected at least 1.")
    # Adding 0.0 makes -0.0 equal to 0.0: else the order of images would show in the sign.
    rows = maps.transpose(0, 1).flatten(1) + 0.0
    kept = m
    if bound is not None:
        above = rows > torch.from_numpy(bound).to(rows.device)[:, None]
        kept = min(m, int(above.sum(dim=1).max()))
    return TopValues(_largest(rows, kept), m, rows.shape[1])


def values_to_keep(positions: int, share: float) -> int:
    """Return how many values `TopValues.quantile(share)` needs, if at most this many positions are seen."""
    _position(positions, share)
    return int(np.floor((positions - 1) * share)) + 2


def _position(count: int, share: float) -> tuple[int, float]:
    """Where the quantile lies among `count` ascending values: the index below it, and how far it is to the next."""
    if not 0.0 < share < 1.0:
        raise UsageError(f"the share of positions above the threshold is {share!r}; expected one between 0 and 1.")
    if count < 1:
        raise UsageError("there is no quantile of no values; show the model at least one image.")
    place = (count - 1) * (1 - share)
    return int(np.floor(place)), place - np.floor(place)


def _largest(values: torch.Tensor, m: int) -> NDArray[np.float32]:
    return torch.topk(values, min(m, values.shape[1]), dim=1).values.cpu().numpy()
