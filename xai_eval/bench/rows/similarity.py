"""The similarity functions of CLIP-Dissect beside the formulas as one writes them down, unit by unit in torch.

The loops have thousands of short steps. On a GPU, both ways compute there; with a number of threads, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from xai_eval.bench.contest import Contest
from xai_eval.bench.row import Row
from xai_eval.bench.scenes import threads
from xai_eval.bench.size import Size
from xai_eval.explainers.dissection.similarity import SIMILARITIES, Floats
from xai_eval.explainers.dissection.similarity_on_device import scores_on_device

_THREADS = (1, 2, 16)
_TOLERANCE = 2e-4
_RANDOM_ORDERS = 5
_UNIT_ALONE, _LOOPED = {"rank_reorder"}, 32

Opened = Callable[[torch.device], AbstractContextManager[Contest]]


def soft_wpmi_loop(similarity: Tensor, activations: Tensor, top_k: int = 100, a: float = 10, lam: float = 1) -> Tensor:
    """For each unit the softmax of its top images, the logarithms, and their sum: scores (J, M)."""
    top_k = min(top_k, len(activations))
    likely = torch.softmax(a * similarity, dim=1)
    top = activations.topk(top_k, dim=0).indices
    falling = 0.998 - 0.028 * torch.arange(top_k, dtype=similarity.dtype, device=similarity.device)[:, None] / top_k
    sums = [torch.log(1 + falling * (likely[ids] - 1) + 1e-7).sum(dim=0) for ids in top.T]
    return _less_prior(torch.stack(sums), lam)


def wpmi_loop(similarity: Tensor, activations: Tensor, top_k: int = 28, a: float = 2, lam: float = 0.6) -> Tensor:
    """The same without the falling probability that an image belongs to the top."""
    likely = torch.softmax(a * similarity, dim=1)
    top = activations.topk(min(top_k, len(activations)), dim=0).indices
    return _less_prior(torch.stack([torch.log(likely[ids] + 1e-7).sum(dim=0) for ids in top.T]), lam)


def cos_loop(similarity: Tensor, activations: Tensor) -> Tensor:
    """Cosine over images."""
    return _unit(activations, 1e-30).T @ _unit(similarity, 1e-30)


def cos_cubed_loop(similarity: Tensor, activations: Tensor) -> Tensor:
    """Cosine over images of cubed deviations from the mean."""
    cubes = [(each - each.mean(dim=0)) ** 3 for each in (activations, similarity)]
    return _unit(cubes[0], 1e-3).T @ _unit(cubes[1], 1e-3)


def rank_reorder_loop(similarity: Tensor, activations: Tensor) -> Tensor:
    """How well the similarity to each concept orders the top images of a unit."""
    count = int(0.05 * len(activations))
    generator = np.random.default_rng(0)
    orders = [torch.from_numpy(generator.permutation(count)) for _ in range(_RANDOM_ORDERS)]
    rows = []
    for column in activations.T:
        tau, ids = column.topk(count)
        ascending = tau.flip(0)
        chosen = similarity[ids]
        by_rank = tau[chosen.argsort(dim=0, stable=True)]
        errors = ((by_rank - ascending[:, None]).abs() ** 3).mean(dim=0)
        chance = torch.stack([((ascending - ascending[order.to(tau.device)]).abs() ** 3).mean() for order in orders])
        rows.append(-errors / chance.mean() / chosen.mean(dim=0).sqrt())
    return torch.stack(rows)


def _less_prior(sums: Tensor, lam: float) -> Tensor:
    found: Tensor = sums - lam * (sums.logsumexp(dim=0) - np.log(len(sums)))
    return found


def _unit(values: Tensor, least: float) -> Tensor:
    found: Tensor = values / torch.linalg.vector_norm(values, dim=0).clamp_min(least)
    return found


LOOPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "soft_wpmi": soft_wpmi_loop,
    "wpmi": wpmi_loop,
    "cos": cos_loop,
    "cos_cubed": cos_cubed_loop,
    "rank_reorder": rank_reorder_loop,
}


def similarity_rows(size: Size, device: torch.device) -> Iterator[Row]:
    """Yield a row for each function and number of threads, and one on the device if that is no CPU."""
    for name in SIMILARITIES:
        if device.type != "cpu":
            yield _row(size, name, f"{name}, on the {device.type} device", partial(_opened, size, name))
        for count in _THREADS:
            yield _row(size, name, f"{name}, {count} threads", partial(_on_threads, size, name, count))


def _row(size: Size, name: str, title: str, opened: Opened) -> Row:
    units = size.similarity[1]
    some = f", {min(units, _LOOPED)} of {units} units" if name in _UNIT_ALONE else ""
    return Row(title, f"the formula, unit by unit in torch{some}", "", opened, weight=0.1)


@contextmanager
def _on_threads(size: Size, name: str, count: int, _device: torch.device) -> Iterator[Contest]:
    with threads(count), _opened(size, name, torch.device("cpu")) as contest:
        yield contest


@contextmanager
def _opened(size: Size, name: str, device: torch.device) -> Iterator[Contest]:
    similarity, activations = (each.to(device) for each in random_probe(*size.similarity))
    loop, units = LOOPS[name], size.similarity[1]
    # Where a score depends on its own unit alone, the loop over some of them is enough; it takes a minute over 512.
    looped = min(units, _LOOPED) if name in _UNIT_ALONE else units
    some = activations[:, :looped].contiguous()

    def stock() -> Tensor:
        with torch.no_grad():
            return loop(similarity, some)

    def difference(_answer: Tensor, ours: Floats) -> float:
        exact = loop(similarity.double(), some.double())
        return float(np.abs(np.asarray(ours)[:looped] - exact.cpu().numpy()).max())

    yield Contest(stock, partial(_ours, name, similarity, activations), difference, _TOLERANCE, scale=units / looped)


def _ours(name: str, similarity: Tensor, activations: Tensor) -> Floats:
    if similarity.device.type != "cpu":
        return scores_on_device(name, similarity, activations)
    return SIMILARITIES[name](similarity.numpy(), activations.numpy())


def random_probe(images: int, units: int, concepts: int) -> tuple[Tensor, Tensor]:
    """Return similarities spread as those of CLIP (N, M), and activations without ties (N, J)."""
    generator = np.random.default_rng(0)
    similarity = (0.2 + 0.03 * generator.standard_normal((images, concepts))).astype(np.float32)
    activations = np.stack([generator.permutation(images) for _ in range(units)], axis=1).astype(np.float32)
    return torch.from_numpy(similarity), torch.from_numpy(activations / images)
