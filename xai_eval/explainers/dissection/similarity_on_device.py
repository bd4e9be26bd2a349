"""The similarity functions of CLIP-Dissect on the device where the embeddings are, such as a GPU.

They give what those of `similarity` give, which are written for processors: each step here is one operation over many
units, and nothing is read back before the scores are finished. The values are checked once, in one reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xai_eval.explainers.dissection.similarity import (
    EPSILON,
    RANK_SHARE,
    TINY,
    Floats,
    falling_probabilities,
    random_orders,
    require_finite,
    require_fitting,
)
from xai_eval.explainers.dissection.sums_of_logs import LEAST_PRODUCT

# Numbers that are processed at once.
_BLOCK = 2**24


def soft_wpmi(similarity: Tensor, activations: Tensor, *, top_k: int = 100, a: float = 10, lam: float = 1) -> Tensor:
    """Return `similarity.soft_wpmi`, (J, M), on the device of the tensors."""
    p = falling_probabilities(top_k)
    sums = _SumsOfLogs(a, ((1 - p + EPSILON) / p).tolist(), float(np.log(p).sum()))
    return _less_prior(similarity, activations, top_k, sums, lam)


def wpmi(similarity: Tensor, activations: Tensor, *, top_k: int = 28, a: float = 2, lam: float = 0.6) -> Tensor:
    """Return `similarity.wpmi`, (J, M), on the device of the tensors."""
    return _less_prior(similarity, activations, top_k, _SumsOfLogs(a, [EPSILON] * top_k), lam)


def cos(similarity: Tensor, activations: Tensor) -> Tensor:
    """Return `similarity.cos`, (J, M), on the device of the tensors."""
    return _without_dead(_cosines(similarity, activations, least_norm=TINY), activations)


def cos_cubed(similarity: Tensor, activations: Tensor) -> Tensor:
    """Return `similarity.cos_cubed`, (J, M), on the device of the tensors."""
    cubes = _cubed_deviations(similarity), _cubed_deviations(activations)
    return _without_dead(_cosines(cubes[0], cubes[1], least_norm=1e-3), activations)


def rank_reorder(similarity: Tensor, activations: Tensor, *, seed: int = 0) -> Tensor:
    """Return `similarity.rank_reorder`, (J, M), on the device of the tensors."""
    count = int(RANK_SHARE * len(activations))
    values, ids = _top(activations, count)
    ascending = values.flip(1)
    orders = torch.from_numpy(random_orders(count, seed)).to(values.device)
    chance = _cubed(ascending[:, None] - ascending[:, orders]).mean(dim=(1, 2))
    rows = []
    for unit in range(len(ids)):
        chosen = similarity[ids[unit]]
        by_rank = values[unit][torch.argsort(chosen, dim=0, stable=True)]
        errors = _cubed(by_rank - ascending[unit][:, None]).mean(dim=0)
        means = chosen.mean(dim=0)
        rows.append(torch.where(means > 0, -errors / chance[unit] / means.sqrt(), torch.nan))
    return _without_dead(torch.stack(rows), activations)


ON_DEVICE: Mapping[str, Callable[..., Tensor]] = {
    "soft_wpmi": soft_wpmi,
    "wpmi": wpmi,
    "cos": cos,
    "cos_cubed": cos_cubed,
    "rank_reorder": rank_reorder,
}


def scores_on_device(name: str, similarity: Tensor, activations: Tensor, **parameters: int) -> Floats:
    """Return the scores of a function, (J, M) on the CPU; higher is better, NaN for units that are dead.

    Args:
        name: one of `ON_DEVICE`.
        similarity: cosines of N images and M concepts, float32 (N, M).
        activations: activations of J units, float32 (N, J), on the same device.
        parameters: keyword arguments of the function.

    Raises:
        UsageError: the shapes do not fit, or there are too few images.
        ModelMisbehaves: a value is not finite.
    """
    require_fitting(name, similarity.shape, activations.shape, parameters.get("top_k", 1))
    finite = [torch.isfinite(each).all() for each in (similarity, activations)]
    if not bool(torch.stack(finite).all()):
        # The function for arrays says which value it is.
        require_finite(similarity.cpu().numpy(), activations.cpu().numpy())
    return ON_DEVICE[name](similarity, activations, **parameters).cpu().numpy()


@dataclass(frozen=True, eq=False)
class _SumsOfLogs:
    """As in `similarity`: sums log(S + offset) over the top images of a unit.

    Attributes:
        a: factor before the softmax over concepts that makes S.
        offsets: offset for each of the k top images, best first.
        constant: added to every sum.
    """

    a: float
    offsets: list[float]
    constant: float = 0.0

    def __call__(self, similarity: Tensor, top_ids: Tensor) -> Tensor:
        """Return the sums, float64 (J, M), for similarities (N, M) and top images (J, k)."""
        probabilities = torch.softmax(similarity * self.a, dim=1)
        sums = torch.empty(len(top_ids), similarity.shape[1], dtype=torch.float64, device=similarity.device)
        for part in _blocks(*sums.shape):
            self._add_up(probabilities, top_ids[part].T.contiguous(), sums[part])
        return sums.add_(self.constant)

    def _add_up(self, probabilities: Tensor, ranks: Tensor, sums: Tensor) -> None:
        """Write the sums (j, M) of j units; several factors are multiplied before their logarithm is taken."""
        factor = torch.empty(sums.shape, dtype=probabilities.dtype, device=sums.device)
        product = torch.ones_like(factor)
        sums.zero_()
        together = max(1, int(math.log(LEAST_PRODUCT) / math.log(min(self.offsets))))
        for t, offset in enumerate(self.offsets):
            torch.index_select(probabilities, 0, ranks[t], out=factor)
            product.mul_(factor.add_(offset))
            if (t + 1) % together == 0 or t + 1 == len(self.offsets):
                sums.add_(product.log_())
                product.fill_(1.0)


def _blocks(count: int, size: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, size))
    return (slice(start, start + step) for start in range(0, count, step))


def _less_prior(similarity: Tensor, activations: Tensor, top_k: int, sums_of_logs: _SumsOfLogs, lam: float) -> Tensor:
    """Return the sums minus lam times the prior, whose mean leaves dead units out."""
    sums = sums_of_logs(similarity, _top(activations, top_k)[1])
    alive = _alive(activations)[:, None]
    prior = sums.masked_fill(~alive, -torch.inf).logsumexp(dim=0) - alive.sum().log()
    return (sums - lam * prior).masked_fill(~alive, torch.nan).float()


def _top(activations: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return activations and ids of the top images of each unit, (J, count); of equal ones the smaller id is first."""
    ordered = torch.sort(activations.T, dim=1, descending=True, stable=True)
    return ordered.values[:, :count], ordered.indices[:, :count]


def _alive(activations: Tensor) -> Tensor:
    lowest, highest = activations.aminmax(dim=0)
    return highest != lowest


def _without_dead(scores: Tensor, activations: Tensor) -> Tensor:
    return scores.masked_fill(~_alive(activations)[:, None], torch.nan)


def _cosines(similarity: Tensor, activations: Tensor, least_norm: float) -> Tensor:
    """Return the cosines (J, M) of columns. The products are divided by the norms: there are fewer of them."""
    norms = [torch.linalg.vector_norm(each, dim=0).clamp_min(least_norm) for each in (activations, similarity)]
    found: Tensor = (activations.T @ similarity) / norms[0][:, None] / norms[1]
    return found


def _cubed_deviations(values: Tensor) -> Tensor:
    deviations = values - values.mean(dim=0, dtype=torch.float64).to(values.dtype)
    return deviations * deviations * deviations


def _cubed(values: Tensor) -> Tensor:
    sizes = values.abs()
    return sizes * sizes * sizes
