"""Exact quantiles of each unit's activation over all positions of all images, from the largest values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection.top_images import refuse_what_is_not_finite


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

    @classmethod
    def nothing(cls, units: int, m: int) -> Self:
        """State before the first image.

        Raises:
            UsageError: m is below 1.
        """
        _check(m)
        return cls(np.zeros((units, 0), dtype=np.float32), m, 0)

    @property
    def bound(self) -> NDArray[np.float32]:
        """The m-th largest value of each unit so far, (J,); -inf while fewer were seen.

        What is not above it cannot change the m largest, and no quantile for which m is enough lies below it.
        """
        if self.values.shape[1] < self.m:
            return np.full(len(self.values), -np.inf, dtype=np.float32)
        return self.values[:, -1]

    def merge(self, other: TopValues) -> TopValues:
        """Return the largest values of both.

        Raises:
            ValueError: they keep another number of values, or have other units.
        """
        if (self.m, len(self.values)) != (other.m, len(other.values)):
            raise ValueError(
                f"top {self.m} values of {len(self.values)} units cannot be merged with top {other.m} of "
                f"{len(other.values)}; expected the same of both."
            )
        both = np.concatenate([self.values, other.values], axis=1)
        return TopValues(_largest(torch.from_numpy(both), self.m), self.m, self.count + other.count)

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


def top_values(activations: NDArray[np.float32], m: int) -> TopValues:
    """Return the m largest values of each unit over images and positions.

    Args:
        activations: maps of n images, (n, J, H, W).
        m: how many to keep, see `values_to_keep`.

    Raises:
        UsageError: m is below 1.
        ModelMisbehaves: an activation is not finite.
    """
    _check(m)
    refuse_what_is_not_finite(activations)
    rows = np.moveaxis(activations, 1, 0).reshape(activations.shape[1], -1)
    # Adding 0.0 makes -0.0 equal to 0.0: else the order of images would show in the sign.
    return TopValues(_largest(torch.from_numpy(rows + np.float32(0.0)), m), m, rows.shape[1])


class ValueCollector:
    """Adds the maps of many batches to top values, at the price of comparing each value with a bound.

    Values that are not above what is known of the bound are dropped at once; the others wait until they are as many as
    are kept, and only then is the bound raised.
    """

    def __init__(self, begin: TopValues) -> None:
        """Go on from a state, such as `TopValues.nothing(units, m)`."""
        self._kept = begin
        self._count = begin.count
        self._bound = begin.bound
        self._waiting: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []

    @property
    def bound(self) -> NDArray[np.float32]:
        """A bound of the threshold from below, (J,): at most `TopValues.bound` of everything that was added."""
        return self._bound

    def add(self, activations: NDArray[np.float32]) -> None:
        """Add maps of n images, (n, J, H, W).

        Raises:
            ModelMisbehaves: an activation is not finite.
        """
        _, units, height, width = activations.shape
        if self._kept.values.shape[1] < self._kept.m:
            self._keep(self._kept.merge(top_values(activations, self._kept.m)))
            return
        refuse_what_is_not_finite(activations)
        places = np.flatnonzero(activations > self._bound[:, None, None])
        self._waiting.append((places // (height * width) % units, activations.reshape(-1)[places]))
        self._count += activations[:, 0].size
        if sum(len(values) for _, values in self._waiting) > self._kept.values.size:
            self._keep(self.top())

    def top(self) -> TopValues:
        """Return the top values of everything that was added."""
        if not self._waiting:
            return self._kept
        units, values = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        order = np.argsort(units, kind="stable")
        ends = np.cumsum(np.bincount(units, minlength=len(self._bound)))
        candidates = np.split(values[order], ends[:-1])
        m = self._kept.m
        rows = [np.partition(np.concatenate(pair), -m)[-m:] for pair in zip(self._kept.values, candidates, strict=True)]
        return TopValues(np.sort(rows)[:, ::-1] + np.float32(0.0), m, self._count)

    def _keep(self, top: TopValues) -> None:
        self._kept, self._count, self._bound, self._waiting = top, top.count, top.bound, []


def values_to_keep(positions: int, share: float) -> int:
    """Return how many values `TopValues.quantile(share)` needs, if at most this many positions are seen."""
    _position(positions, share)
    return int(np.floor((positions - 1) * share)) + 2


def _check(m: int) -> None:
    if m < 1:
        raise UsageError(f"the number of values to keep is {m}; expected at least 1.")


def _position(count: int, share: float) -> tuple[int, float]:
    """Where the quantile lies among `count` ascending values: the index below it, and how far it is to the next."""
    if not 0.0 < share < 1.0:
        raise UsageError(f"the share of positions above the threshold is {share!r}; expected one between 0 and 1.")
    if count < 1:
        raise UsageError("there is no quantile of no values; show the model at least one image.")
    place = (count - 1) * (1 - share)
    return int(np.floor(place)), place - np.floor(place)


def _largest(values: torch.Tensor, m: int) -> NDArray[np.float32]:
    return torch.topk(values, min(m, values.shape[1]), dim=1).values.numpy()
