"""How much a unit's activations over images resemble the similarity of those images to a concept: CLIP-Dissect.

Oikarinen and Weng 2023. Each function takes the similarity of N images to M concepts, (N, M), and the activations of J
units, (N, J), and returns scores (J, M): the label of a unit is the concept with the largest. Scores compare within one
unit, one probe set and one set of concepts only. The rows of dead units, which are the same for all images, are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.dissection.top_images import refuse_what_is_not_finite, top_images

Floats = NDArray[np.float32]

_EPSILON = 1e-7
# Least norm of a column: a concept that no image resembles scores 0.
_TINY = 1e-30
# Probability that the concept is there given that the image is among the top: of the first, and after the last.
_FIRST, _LAST = 0.998, 0.97
# Numbers that are worked on at once, so that they stay in the cache.
_BLOCK = 2**16
# A product of factors must stay far above the smallest number of single precision.
_LEAST_PRODUCT = 1e-34

_RANK_SHARE = 0.05
_RANK_POWER = 3
_RANK_PERMUTATIONS = 5


def dead_units(activations: Floats) -> NDArray[np.bool_]:
    """Say which units of activations (N, J) are the same for all images, (J,)."""
    return np.asarray(activations.max(axis=0) == activations.min(axis=0))


def soft_wpmi(similarity: Floats, activations: Floats, *, top_k: int = 100, a: float = 10, lam: float = 1) -> Floats:
    """Soft weighted pointwise mutual information of each unit's top images with each concept, (J, M).

    With S = softmax(a similarity) over concepts, R_t the top images of a unit, and p_t falling from 0.998 to 0.97: the
    sum over t of log(1 + p_t (S[R_t] - 1) + 1e-7), less lam times the logarithm of its mean (of exponentials) over the
    live units.

    Args:
        similarity: of N images to M concepts, (N, M): cosines of embeddings.
        activations: (N, J), of whole layers: the mean over units is a prior.
        top_k: number of top images, ties by position.
        a: factor before the softmax.
        lam: weight of the prior.

    Raises:
        UsageError: the shapes do not fit, or there are fewer images than `top_k`.
        ModelMisbehaves: a value is not finite.
    """
    ids = _top_ids(similarity, activations, top_k)
    return soft_wpmi_of_top(similarity, ids, ~dead_units(activations), a=a, lam=lam)


def wpmi(similarity: Floats, activations: Floats, *, top_k: int = 28, a: float = 2, lam: float = 0.6) -> Floats:
    """Weighted pointwise mutual information: as `soft_wpmi`, with log(S[R_t] + 1e-7) summed over t, (J, M)."""
    ids = _top_ids(similarity, activations, top_k)
    sums = _SumsOfLogs(a, np.full(top_k, _EPSILON))
    return _less_prior(similarity, ids, ~dead_units(activations), sums, lam)


def soft_wpmi_of_top(
    similarity: Floats, top_ids: NDArray[np.int64], alive: NDArray[np.bool_], *, a: float = 10, lam: float = 1
) -> Floats:
    """Return `soft_wpmi` where the top images are known already, (J, M).

    Args:
        similarity: (N, M).
        top_ids: rows of `similarity` that move each unit most, best first, (J, k).
        alive: which units are not dead, (J,).
        a: factor before the softmax.
        lam: weight of the prior.
    """
    k = top_ids.shape[1]
    p = _FIRST - np.arange(k) / k * (_FIRST - _LAST)
    # 1 + p (S - 1) + epsilon, with p taken out: what is left to do for each image, unit and concept is one addition.
    sums = _SumsOfLogs(a, (1 - p + _EPSILON) / p, float(np.log(p).sum()))
    return _less_prior(similarity, top_ids, alive, sums, lam)


def cos(similarity: Floats, activations: Floats) -> Floats:
    """Cosine over images of each unit's activations with each concept's similarities, (J, M)."""
    _check(similarity, activations)
    return _with_nan(_cosines(similarity, activations, least_norm=_TINY), dead_units(activations))


def cos_cubed(similarity: Floats, activations: Floats) -> Floats:
    """Cosine of what is left when the mean over images is taken away, cubed: strong images decide, (J, M).

    Norms below 1e-3 count as 1e-3.
    """
    _check(similarity, activations)
    scores = _cosines(_cubed_deviations(similarity), _cubed_deviations(activations), least_norm=1e-3)
    return _with_nan(scores, dead_units(activations))


def rank_reorder(similarity: Floats, activations: Floats, *, seed: int = 0) -> Floats:
    """How well a concept orders the images that move a unit most, (J, M); at most 0.

    Over the top 5 % of the images: the activations in the concept's order against the activations in descending order,
    as mean cubed difference relative to that of five random orders, over the root of the concept's mean similarity.
    NaN where that mean is not above 0, and for units whose top images all move them alike.

    Args:
        similarity: (N, M).
        activations: (N, J).
        seed: of the random orders, which are the same for all units.

    Raises:
        UsageError: the shapes do not fit, or there are fewer than 20 images.
        ModelMisbehaves: a value is not finite.
    """
    count = int(_RANK_SHARE * len(activations))
    if count < 1:
        raise UsageError(f"rank_reorder looks at the top 5 % of the images; {len(activations)} are too few, take 20.")
    _check(similarity, activations)
    top = top_images(activations, np.arange(len(activations)), count)
    generator = np.random.default_rng(seed)
    orders = np.stack([generator.permutation(count) for _ in range(_RANK_PERMUTATIONS)])
    by_concept = np.ascontiguousarray(similarity.T)
    rows = [_rank_errors(by_concept[:, ids], tau, orders) for ids, tau in zip(top.ids, top.values, strict=True)]
    return _with_nan(-np.stack(rows), dead_units(activations))


SIMILARITIES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "soft_wpmi": soft_wpmi,
    "wpmi": wpmi,
    "cos": cos,
    "cos_cubed": cos_cubed,
    "rank_reorder": rank_reorder,
}


def _check(similarity: Floats, activations: Floats) -> None:
    if similarity.ndim != 2 or activations.ndim != 2 or len(similarity) != len(activations):
        raise UsageError(
            f"similarity is {similarity.shape} and activations are {activations.shape}; expected (N, M) and (N, J) of "
            "the same N images."
        )
    refuse_what_is_not_finite(activations)
    _check_similarity(similarity)


def _check_similarity(similarity: Floats) -> None:
    if not np.isfinite(similarity).all():
        image, concept = np.argwhere(~np.isfinite(similarity))[0]
        raise ModelMisbehaves(
            f"the similarity of image {image} to concept {concept} is not finite; expected a cosine. Look for an "
            "embedding of length 0."
        )


def _top_ids(similarity: Floats, activations: Floats, top_k: int) -> NDArray[np.int64]:
    _check(similarity, activations)
    if top_k > len(activations):
        raise UsageError(f"top_k is {top_k}, and there are {len(activations)} images; take a smaller top_k.")
    return top_images(activations, np.arange(len(activations)), top_k).ids


@dataclass(frozen=True, eq=False)
class _SumsOfLogs:
    """Sums over a unit's top images of log(S + offset), where S is the softmax over concepts of a similarity.

    Attributes:
        a: factor before the softmax.
        offsets: of the first, second, ... image, (k,).
        constant: added to every sum.
    """

    a: float
    offsets: NDArray[np.float64]
    constant: float = 0.0

    def __call__(self, similarity: Floats, top_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sums of similarity (N, M) over top images (J, k), (J, M).

        Few concepts at a time, so that everything stays in the cache. Each thread takes the next few when it is done:
        torch's threads wait for each other at every step, and for steps as short as these longer than they work; where
        another process has one of the cores, a hundred times as long.
        """
        rows, places = np.unique(top_ids, return_inverse=True)
        seen = similarity
        if len(rows) < len(similarity) / 2:
            seen, top_ids = similarity[rows], places.reshape(top_ids.shape)
        ranks = np.ascontiguousarray(top_ids.T)
        sums = np.empty((len(top_ids), similarity.shape[1]))
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            peaks, shares = _softmax_parts(seen, self.a, threads)

            def add_up(part: slice) -> None:
                probabilities = _exponentials(seen[:, part], peaks, self.a)
                probabilities *= shares
                sums[:, part] = self._of_block(probabilities, ranks)

            list(threads.map(add_up, _blocks(similarity.shape[1], len(top_ids))))  # raises what a thread raised
        sums += self.constant
        return sums

    def _of_block(self, probabilities: Floats, ranks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sums for some concepts: from S (R, w) and the rows of the first, second, ... image (k, J), to (J, w).

        Several factors are multiplied before one logarithm is taken.
        """
        shape = ranks.shape[1], probabilities.shape[1]
        factor, product, sums = np.empty(shape, np.float32), np.ones(shape, np.float32), np.zeros(shape)
        together = max(1, int(np.log(_LEAST_PRODUCT) / np.log(self.offsets.min())))
        for t, offset in enumerate(self.offsets.tolist()):
            # numpy copies twice where it has to look for indices out of range.
            np.take(probabilities, ranks[t], axis=0, out=factor, mode="clip")
            factor += offset
            product *= factor
            if (t + 1) % together == 0 or t + 1 == len(self.offsets):
                sums += np.log(product, out=product)
                product.fill(1.0)
        return sums


def _softmax_parts(similarity: Floats, a: float, threads: ThreadPoolExecutor) -> tuple[Floats, Floats]:
    """Largest similarity of each image (R, M), and the softmax there, (R, 1) each."""

    def parts(rows: slice) -> tuple[Floats, Floats]:
        peaks: Floats = similarity[rows].max(axis=1, keepdims=True)
        return peaks, np.reciprocal(_exponentials(similarity[rows], peaks, a).sum(axis=1, keepdims=True))

    peaks, shares = zip(*threads.map(parts, _blocks(*similarity.shape)), strict=True)
    return np.concatenate(peaks), np.concatenate(shares)


def _blocks(count: int, size: int) -> Iterator[slice]:
    """Cut `count` rows or columns of `size` numbers each into parts that fit into the cache."""
    step = max(1, _BLOCK // size)
    return (slice(start, start + step) for start in range(0, count, step))


def _exponentials(similarity: Floats, peaks: Floats, a: float) -> Floats:
    """Softmax of similarities (R, w) as a multiple of that of the largest of each image, (R, 1)."""
    values: Floats = similarity - peaks
    values *= a
    np.exp(values, out=values)
    return values


def _less_prior(
    similarity: Floats, top_ids: NDArray[np.int64], alive: NDArray[np.bool_], sums_of_logs: _SumsOfLogs, lam: float
) -> Floats:
    """Take lam times the log of the mean over live units from their sums; rows of NaN for the others, (J, M)."""
    scores = np.full((len(top_ids), similarity.shape[1]), np.nan, dtype=np.float32)
    if alive.any():
        sums = sums_of_logs(similarity, top_ids[alive])
        most = sums.max(axis=0)
        scores[alive] = sums - lam * (most + np.log(np.exp(sums - most).mean(axis=0)))
    return scores


def _cosines(similarity: Floats, activations: Floats, least_norm: float) -> Floats:
    """Cosines of the columns of activations (N, J) with those of similarity (N, M), (J, M)."""
    columns = [each / np.linalg.norm(each, axis=0).clip(least_norm) for each in (activations, similarity)]
    return np.asarray(columns[0].T @ columns[1])


def _cubed_deviations(values: Floats) -> Floats:
    mean: Floats = values.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviations = values - mean
    return np.asarray(deviations * deviations * deviations)


def _rank_errors(similarity: Floats, tau: Floats, orders: NDArray[np.int64]) -> Floats:
    """Errors of each concept for one unit, (M,).

    Args:
        similarity: of the top images, (M, n).
        tau: their activations, (n,), descending.
        orders: random orders, (5, n).
    """
    ascending = tau[::-1]
    # The image with rank q takes the q-th smallest activation; ties of similarity rank the better image lower.
    by_rank = torch.argsort(torch.from_numpy(similarity), dim=1, stable=True).numpy()
    errors = (np.abs(tau[by_rank] - ascending) ** _RANK_POWER).mean(axis=1)
    random = (np.abs(ascending - ascending[orders]) ** _RANK_POWER).mean()
    means = similarity.mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(means > 0, errors / random / np.sqrt(means), np.nan), dtype=np.float32)


def _with_nan(scores: Floats, dead: NDArray[np.bool_]) -> Floats:
    return np.where(dead[:, None], np.float32(np.nan), scores)
