"""The similarity functions of CLIP-Dissect (Oikarinen and Weng, ICLR 2023).

Each function compares the activations of a unit over images with the similarity of those images to a concept. It takes
the similarities of N images to M concepts, (N, M), and the activations of J units, (N, J), and returns scores (J, M).
The label of a unit is the concept with the largest score. Scores can be compared only within one unit, one probe set
and one set of concepts. A unit with the same activation on all images is called dead; its row is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.dissection.in_blocks import BLOCK, blocks, on_threads
from xai_eval.explainers.dissection.sums_of_logs import SumsOfLogs
from xai_eval.explainers.dissection.top_images import refuse_what_is_not_finite, top_images

Floats = NDArray[np.float32]

EPSILON = 1e-7
# Smallest norm to divide by, so that a concept to which no image is similar has the score 0 instead of NaN.
TINY = 1e-30
# Probability that the concept is in a top image, given that the image is among the top: for the first image, and the
# value that it falls to after the last.
_FIRST, _LAST = 0.998, 0.97
# How many numbers are added at once, and how many columns numpy adds fast.
_SUMMED, _LONG = 2**18, 2**10
# Up to how many numbers the sum of each column takes no thought.
_ADDED_PLAINLY = 2**12
# Up to how many products it takes longer to call torch than to compute them in numpy.
_CALLED = 2**15
# How many numbers a thread has to rank at least.
_LEAST_RANKED = 2**12

RANK_SHARE = 0.05
_RANK_POWER = 3
_RANK_PERMUTATIONS = 5


def dead_units(activations: Floats) -> NDArray[np.bool_]:
    """Return which units have the same activation on all images, (J,), from activations (N, J)."""
    dead = np.asarray(activations[0] == activations[-1])
    if np.count_nonzero(dead):  # all others differ between two images already
        dead[dead] = (activations[:, dead] == activations[0, dead]).all(axis=0)
    return dead


def soft_wpmi(similarity: Floats, activations: Floats, *, top_k: int = 100, a: float = 10, lam: float = 1) -> Floats:
    """Return the soft weighted pointwise mutual information of the top images of each unit and each concept, (J, M).

    Let S = softmax(a similarity) over concepts, R_t the t-th top image of a unit, and p_t fall from 0.998 to 0.97. The
    score is L - lam * P, where L is the sum over t of log(1 + p_t (S[R_t] - 1) + 1e-7), and P, the prior of the
    concept, is the logarithm of the mean of exp(L) over the units that are not dead.

    Args:
        similarity: cosines of the embeddings of N images and M concepts, (N, M).
        activations: activations of all J units of a layer, (N, J). All are needed, because the prior is a mean over
            them.
        top_k: number of top images; of equal activations, the image with the smaller position is first.
        a: factor before the softmax.
        lam: weight of the prior.

    Raises:
        UsageError: the shapes do not fit, or there are fewer images than `top_k`.
        ModelMisbehaves: a value is not finite.
    """
    ids = _top_ids(similarity, activations, top_k)
    return soft_wpmi_of_top(similarity, ids, ~dead_units(activations), a=a, lam=lam)


def wpmi(similarity: Floats, activations: Floats, *, top_k: int = 28, a: float = 2, lam: float = 0.6) -> Floats:
    """Return the weighted pointwise mutual information, (J, M): `soft_wpmi`, L being the sum of log(S[R_t] + 1e-7)."""
    ids = _top_ids(similarity, activations, top_k)
    sums = SumsOfLogs(a, np.full(top_k, EPSILON))
    return _less_prior(similarity, ids, ~dead_units(activations), sums, lam)


def soft_wpmi_of_top(
    similarity: Floats, top_ids: NDArray[np.int64], alive: NDArray[np.bool_], *, a: float = 10, lam: float = 1
) -> Floats:
    """Return `soft_wpmi` for top images that are known already, (J, M).

    Args:
        similarity: cosines of images and concepts, (N, M).
        top_ids: rows of `similarity` of the k top images of each unit, best first, (J, k).
        alive: which units are not dead, (J,).
        a: factor before the softmax.
        lam: weight of the prior.
    """
    k = top_ids.shape[1]
    p = falling_probabilities(k)
    # 1 + p (S - 1) + epsilon = p (S + (1 - p + epsilon) / p), so each image, unit and concept needs one addition only.
    sums = SumsOfLogs(a, (1 - p + EPSILON) / p, float(np.log(p).sum()))
    return _less_prior(similarity, top_ids, alive, sums, lam)


def cos(similarity: Floats, activations: Floats) -> Floats:
    """Return the cosine, over images, of the activations of each unit and the similarities to each concept, (J, M)."""
    require_fitting("cos", similarity.shape, activations.shape)
    return _cosines_of_alive((similarity, activations), lambda values: values, TINY)


def cos_cubed(similarity: Floats, activations: Floats) -> Floats:
    """Return the cosine of cubed deviations from the mean over images, (J, M).

    The cubes let the images with the strongest activations decide. Norms below 1e-3 count as 1e-3.
    """
    require_fitting("cos_cubed", similarity.shape, activations.shape)
    return _cosines_of_alive((similarity, activations), _cubed_deviations, 1e-3)


def rank_reorder(similarity: Floats, activations: Floats, *, seed: int = 0) -> Floats:
    """Return how well the similarity to a concept orders the top images of a unit, (J, M); 0 is best.

    Only the top 5 % of the images of a unit count. Their activations, ordered by similarity to the concept, are
    compared with the same activations in descending order. The score is minus the mean cubed difference, divided by
    that of five random orders and by the square root of the mean similarity. It is NaN if the mean similarity is not
    above 0, and for units with the same activation on all of their top images.

    Args:
        similarity: cosines of images and concepts, (N, M).
        activations: activations of the units, (N, J).
        seed: seed of the random orders, which are the same for all units.

    Raises:
        UsageError: the shapes do not fit, or there are fewer than 20 images.
        ModelMisbehaves: a value is not finite.
    """
    require_fitting("rank_reorder", similarity.shape, activations.shape)
    count = int(RANK_SHARE * len(activations))
    top = top_images(activations, np.arange(len(activations)), count)  # checks the activations
    _check_similarity(similarity)
    orders = random_orders(count, seed)
    # Threads wait for each other if each has little to do at a time.
    large = similarity.shape[1] * count >= _LEAST_RANKED
    with on_threads(len(top.ids) if large else 1) as mapped:

        def errors(ids: NDArray[np.int64], tau: Floats) -> Floats:
            chosen = np.ascontiguousarray(similarity[ids].T)
            return _rank_errors(_in_order(chosen), chosen.mean(axis=1), tau, orders)

        rows = list(mapped(errors, top.ids, top.values))
    return _with_nan(-np.stack(rows), dead_units(activations))


SIMILARITIES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "soft_wpmi": soft_wpmi,
    "wpmi": wpmi,
    "cos": cos,
    "cos_cubed": cos_cubed,
    "rank_reorder": rank_reorder,
}


def require_fitting(name: str, similarity: tuple[int, ...], activations: tuple[int, ...], top_k: int = 1) -> None:
    """Check the shapes that a function is given.

    Raises:
        UsageError: they are not (N, M) and (N, J) of the same N images, or N is too small for the function.
    """
    if len(similarity) != 2 or len(activations) != 2 or similarity[0] != activations[0]:
        raise UsageError(
            f"similarity is {tuple(similarity)} and activations are {tuple(activations)}; expected (N, M) and (N, J) "
            "of the same N images."
        )
    images = activations[0]
    if name == "rank_reorder" and int(RANK_SHARE * images) < 1:
        raise UsageError(f"rank_reorder uses the top 5 % of the images; got {images} images, expected 20 or more.")
    if top_k > images:
        raise UsageError(f"top_k is {top_k}; expected at most the number of images, {images}. Take a smaller top_k.")


def require_finite(similarity: Floats, activations: Floats) -> None:
    """Raise ModelMisbehaves, which names the place, if a value is not finite."""
    refuse_what_is_not_finite(activations)
    _check_similarity(similarity)


def random_orders(count: int, seed: int) -> NDArray[np.int64]:
    """Return the random orders of `count` top images that `rank_reorder` compares with, (5, count)."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(count) for _ in range(_RANK_PERMUTATIONS)])


def falling_probabilities(count: int) -> NDArray[np.float64]:
    """Return the probability that each of `count` top images of a unit shows its concept, best first, (count,)."""
    return _FIRST - np.arange(count) / count * (_FIRST - _LAST)


def _check_similarity(similarity: Floats) -> None:
    if not np.isfinite(similarity).all():
        image, concept = np.argwhere(~np.isfinite(similarity))[0]
        raise ModelMisbehaves(
            f"the similarity of image {image} to concept {concept} is not finite; expected a cosine. Look for an "
            "embedding of length 0."
        )


def _top_ids(similarity: Floats, activations: Floats, top_k: int) -> NDArray[np.int64]:
    require_fitting("soft_wpmi", similarity.shape, activations.shape, top_k)
    ids = top_images(activations, np.arange(len(activations)), top_k).ids  # checks the activations
    _check_similarity(similarity)
    return ids


def _less_prior(
    similarity: Floats, top_ids: NDArray[np.int64], alive: NDArray[np.bool_], sums_of_logs: SumsOfLogs, lam: float
) -> Floats:
    """Return the sums minus lam times the prior, see `soft_wpmi`, (J, M); rows of dead units are NaN."""
    living = np.count_nonzero(alive)
    if not living:
        return np.full((len(top_ids), similarity.shape[1]), np.nan, np.float32)
    sums = sums_of_logs(similarity, top_ids if living == len(alive) else top_ids[alive])
    most = sums.max(axis=0)
    # These are at most 1, and the largest of each concept is 1: single precision is enough, and far faster.
    shares = np.exp((sums - most).astype(np.float32)).sum(axis=0, dtype=np.float64) / len(sums)
    found: Floats = (sums - lam * (most + np.log(shares))).astype(np.float32)
    if living == len(alive):
        return found
    scores = np.full((len(top_ids), similarity.shape[1]), np.nan, np.float32)
    scores[alive] = found
    return scores


def _cosines_of_alive(given: tuple[Floats, Floats], of: Callable[[Floats], Floats], least: float) -> Floats:
    """Return `_cosines`; rows of dead units are NaN."""
    similarity, activations = given
    dead = dead_units(activations)
    if np.count_nonzero(dead) == len(dead):  # such as those of a single image
        require_finite(similarity, activations)
        return np.full((len(dead), similarity.shape[1]), np.nan, np.float32)
    return _with_nan(_cosines(given, of, least), dead)


def _cosines(given: tuple[Floats, Floats], of: Callable[[Floats], Floats], least: float) -> Floats:
    """Return the cosines (J, M) of the columns of `of(similarity)`, (N, M), and of `of(activations)`, (N, J).

    Either the columns or their products are divided by the norms, whichever are fewer. If a norm is too large for
    single precision, products are divided, which gives NaN; columns would give 0.

    Args:
        given: the similarities and the activations.
        of: leaves a column that holds a value that is not finite without a finite norm.
        least: smaller norms count as this.

    Raises:
        ModelMisbehaves: a value is not finite.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        concepts, units = of(given[0]), of(given[1])
        norms, count = _norms(concepts, units, least), concepts.shape[1]
        of_concepts, of_units = norms[:count], norms[count:]
        finite = math.isfinite(np.add.reduce(norms))
        if not finite:
            require_finite(*given)
        if finite and concepts.size + units.size < count * len(of_units):
            return _products(units / of_units, concepts / of_concepts)
        cosines = np.asarray(units.T @ concepts)
        cosines /= of_units[:, None]
        cosines /= of_concepts
    return cosines


def _products(units: Floats, concepts: Floats) -> Floats:
    """Return the products (J, M) of columns (N, J) and (N, M), for few images and many products of them."""
    if units.shape[1] * concepts.shape[1] <= _CALLED:
        return np.asarray(units.T @ concepts)
    # With so few images, torch multiplies faster than numpy.
    return np.asarray((torch.from_numpy(units).T @ torch.from_numpy(concepts)).numpy())


def _norms(concepts: Floats, units: Floats, least: float) -> Floats:
    """Return the norms of the columns of both, one after the other, at least `least`; numpy's own copies twice."""
    norms: Floats = np.concatenate([_column_sums(concepts, _squares), _column_sums(units, _squares)])
    np.sqrt(norms, out=norms)
    return np.maximum(norms, least, out=norms)


def _squares(values: Floats) -> Floats:
    return values * values


def _column_sums(values: Floats, of: Callable[[Floats], NDArray[Any]]) -> NDArray[Any]:
    """Return the sum of each column of `of(values)`, (w,), from values (n, w)."""
    if values.size <= _ADDED_PLAINLY:
        return np.asarray(np.add.reduce(of(values)))
    found = [_folded(of(values[rows])) for rows in blocks(len(values), values.shape[1], _SUMMED)]
    return np.asarray(np.add.reduce(found)) if len(found) > 1 else found[0]


def _folded(values: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of each column, (w,). numpy adds short rows slowly, so several are taken for a long one."""
    count, width = values.shape
    together = max(1, min(_LONG // max(1, width), math.isqrt(count)))
    whole = count - count % together
    sums = np.add.reduce(np.add.reduce(values[:whole].reshape(-1, together * width)).reshape(together, width))
    return np.asarray(sums if whole == count else sums + np.add.reduce(values[whole:]))


def _in_double(values: Floats) -> NDArray[np.float64]:
    return values.astype(np.float64)


def _cubes(values: Floats) -> Floats:
    return values * values * values


def _cubed_deviations(values: Floats) -> Floats:
    mean = (_column_sums(values, _in_double) / len(values)).astype(np.float32)
    if values.size <= BLOCK:
        return _cubes(values - mean)
    cubes = np.empty(values.shape, np.float32)
    for rows in blocks(*values.shape):
        deviations = values[rows] - mean
        np.multiply(deviations * deviations, deviations, out=cubes[rows])
    return cubes


def _in_order(similarity: Floats) -> NDArray[np.int32]:
    """Return whole numbers in the order of similarities, in the same shape."""
    bits = (similarity + np.float32(0.0)).view(np.int32)
    return bits ^ ((bits >> 31) & np.int32(2**31 - 1))


def _rank_errors(ranked: NDArray[np.int32], means: Floats, tau: Floats, orders: NDArray[np.int64]) -> Floats:
    """Return the error of each concept for one unit, (M,).

    Args:
        ranked: numbers in the order of the similarities of the n top images to each concept, (M, n).
        means: mean similarity of these images to each concept, (M,).
        tau: activations of the top images, descending, (n,).
        orders: five random orders, (5, n).
    """
    ascending = tau[::-1]
    # The image with the q-th smallest similarity gets the q-th smallest activation. Of equal similarities, the image
    # with the larger activation gets the lower rank. numpy sorts whole numbers many times faster than it finds the
    # order of floats, so each holds a similarity in its upper half, and the place of its image in its lower half.
    keys = ranked.astype(np.int64)
    keys <<= 32
    keys |= np.arange(len(tau))
    keys.sort(axis=1)
    keys &= 2**32 - 1
    moved = tau[keys]
    moved -= ascending
    np.abs(moved, out=moved)
    errors = (moved * moved * moved).mean(axis=1)
    random = (np.abs(ascending - ascending[orders]) ** _RANK_POWER).mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(means > 0, errors / random / np.sqrt(means), np.nan), dtype=np.float32)


def _with_nan(scores: Floats, dead: NDArray[np.bool_]) -> Floats:
    if np.count_nonzero(dead):  # takes a fifth of the time of `any`
        scores[dead] = np.nan
    return scores
