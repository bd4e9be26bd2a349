"""The similarity functions of CLIP-Dissect (Oikarinen and Weng, ICLR 2023).

Each function compares the activations of a unit over images with the similarity of those images to a concept. It takes
the similarities of N images to M concepts, (N, M), and the activations of J units, (N, J), and returns scores (J, M).
The label of a unit is the concept with the largest score. Scores can be compared only within one unit, one probe set
and one set of concepts. A unit with the same activation on all images is called dead; its row is NaN.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.dissection.top_images import refuse_what_is_not_finite, top_images

Floats = NDArray[np.float32]

EPSILON = 1e-7
# Smallest norm to divide by, so that a concept to which no image is similar has the score 0 instead of NaN.
TINY = 1e-30
# Probability that the concept is in a top image, given that the image is among the top: for the first image, and the
# value that it falls to after the last.
_FIRST, _LAST = 0.998, 0.97
# How many numbers are processed at once, so that they stay in the cache of the processor.
_BLOCK = 2**16
# Up to how many exponentials are kept until they are needed (16 MB), instead of computed again.
_KEPT = 2**22
# How many numbers are added at once, and how many columns numpy adds fast.
_SUMMED, _LONG = 2**18, 2**10
# Up to how many numbers the sum of each column takes no thought.
_ADDED_PLAINLY = 2**12
# How many factors are multiplied in one step if there are no more, and how many numbers a thread has to rank at least.
_AT_ONCE, _LEAST_RANKED = 2**14, 2**12
# Products of factors stay above this value, which is well above the smallest number of single precision.
LEAST_PRODUCT = 1e-34

RANK_SHARE = 0.05
_RANK_POWER = 3
_RANK_PERMUTATIONS = 5


def dead_units(activations: Floats) -> NDArray[np.bool_]:
    """Return which units have the same activation on all images, (J,), from activations (N, J)."""
    dead = np.asarray(activations[0] == activations[-1])
    if dead.any():  # all others differ between two images already
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
    sums = _SumsOfLogs(a, np.full(top_k, EPSILON))
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
    sums = _SumsOfLogs(a, (1 - p + EPSILON) / p, float(np.log(p).sum()))
    return _less_prior(similarity, top_ids, alive, sums, lam)


def cos(similarity: Floats, activations: Floats) -> Floats:
    """Return the cosine, over images, of the activations of each unit and the similarities to each concept, (J, M)."""
    require_fitting("cos", similarity.shape, activations.shape)
    return _with_nan(_cosines((similarity, activations), lambda values: values, TINY), dead_units(activations))


def cos_cubed(similarity: Floats, activations: Floats) -> Floats:
    """Return the cosine of cubed deviations from the mean over images, (J, M).

    The cubes let the images with the strongest activations decide. Norms below 1e-3 count as 1e-3.
    """
    require_fitting("cos_cubed", similarity.shape, activations.shape)
    return _with_nan(_cosines((similarity, activations), _cubed_deviations, 1e-3), dead_units(activations))


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
    with _on_threads(len(top.ids) if large else 1) as mapped:

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


@dataclass(frozen=True, eq=False)
class _SumsOfLogs:
    """Sums log(S + offset) over the top images of a unit, where S is the softmax of the similarities over concepts.

    Attributes:
        a: factor before the softmax.
        offsets: offset for each of the k top images, best first, (k,).
        constant: added to every sum.
    """

    a: float
    offsets: NDArray[np.float64]
    constant: float = 0.0

    def __call__(self, similarity: Floats, top_ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sums (J, M) for similarities (N, M) and top images (J, k).

        A few concepts are processed at a time, so that everything stays in the cache. Each thread takes the next few
        concepts when it is ready. torch's own threads are not used, because they wait for each other at every step:
        with steps this short they wait longer than they work, and a hundred times longer if another process uses one of
        the cores.
        """
        used, top_ids = _used_rows(similarity, top_ids)
        ranks = np.ascontiguousarray(top_ids.T)
        softmax = _Softmax.of(used, self.a)
        sums = np.empty((len(top_ids), similarity.shape[1]))
        waiting = deque(_blocks(similarity.shape[1], len(top_ids)))
        workers = min(torch.get_num_threads(), len(waiting))
        widest = min(waiting[0].stop, similarity.shape[1])

        def work(_worker: int) -> None:
            # Arrays are used again and again: threads that ask for memory at every step wait for each other.
            arrays = _Arrays.of(len(used), len(top_ids), widest)
            with contextlib.suppress(IndexError):  # no part is left
                while True:
                    part = waiting.popleft()
                    sums[:, part] = self._of_block(softmax.block(part, arrays.probabilities), ranks, arrays)

        with _on_threads(workers) as mapped:
            list(mapped(work, range(workers)))  # `list` raises what a thread raised
        sums += self.constant
        return sums

    def _of_block(self, probabilities: Floats, ranks: NDArray[np.int64], arrays: _Arrays) -> NDArray[np.float64]:
        """Return the sums (J, w) for w concepts.

        Several factors are multiplied before their logarithm is taken, because multiplying is faster.

        Args:
            probabilities: S of the R images that are in any top list, (R, w); it may be changed.
            ranks: row in `probabilities` of each of the k top images of each unit, (k, J).
            arrays: to compute in.
        """
        width = probabilities.shape[1]
        offsets = self.offsets.tolist()
        together = max(1, int(math.log(LEAST_PRODUCT) / math.log(min(offsets))))
        if min(offsets) == max(offsets):  # images are fewer than places in top lists
            probabilities += offsets[0]
            offsets = [0.0] * len(offsets)
        if 1 < ranks.size * width <= _AT_ONCE:
            return _at_once(probabilities, ranks, offsets, together)
        shape = ranks.shape[1], width
        factor, product, sums = (_shaped(each, shape) for each in (arrays.factor, arrays.product, arrays.sums))
        sums.fill(0.0)
        for t, offset in enumerate(offsets):
            # With "clip" numpy does not check for indices out of range, for which it would copy the result once more.
            taken = factor if t % together else product
            probabilities.take(ranks[t], 0, taken, "clip")
            if offset:
                taken += offset
            if taken is factor:
                product *= factor
            if (t + 1) % together == 0 or t + 1 == len(offsets):
                sums += np.log(product, out=product)
        return sums


def _at_once(
    probabilities: Floats, ranks: NDArray[np.int64], offsets: Sequence[float], together: int
) -> NDArray[np.float64]:
    """As `_SumsOfLogs._of_block`, in the same order, for so few numbers that the steps would take longer than they."""
    factors = probabilities[ranks]
    if any(offsets):
        factors += np.asarray(offsets, np.float32)[:, None, None]
    sums = np.zeros(factors.shape[1:])
    for start in range(0, len(factors), together):
        sums += np.log(np.multiply.reduce(factors[start : start + together]))
    return sums


@dataclass(frozen=True, eq=False)
class _Arrays:
    """What one thread computes in, for up to w concepts: room for (R, w) of R images, and for (J, w) of J units."""

    probabilities: Floats
    factor: Floats
    product: Floats
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, images: int, units: int, concepts: int) -> _Arrays:
        """Allocate them."""
        size = units * concepts
        of_units = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size)
        return cls(np.empty(images * concepts, np.float32), *of_units)


def _shaped(room: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return the beginning of an array in another shape, without gaps between its rows."""
    return room[: shape[0] * shape[1]].reshape(shape)


@contextlib.contextmanager
def _on_threads(parts: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a `map` that works on torch's number of threads; for a single thread or part, the ordinary one."""
    count = min(torch.get_num_threads(), parts)
    if count < 2:
        yield map
        return
    with ThreadPoolExecutor(count) as threads:
        yield threads.map


@dataclass(frozen=True, eq=False)
class _Softmax:
    """The softmax over concepts of factor `a` times the similarities (R, M).

    Attributes:
        similarity: the similarities, (R, M).
        a: the factor.
        peaks: the largest similarity of each image, (R, 1).
        shares: the softmax at that concept, (R, 1).
        whole: all exponentials, (R, M), if they are few; else those of some concepts are computed when they are needed.
    """

    similarity: Floats
    a: float
    peaks: Floats
    shares: Floats
    whole: Floats | None = None

    @classmethod
    def of(cls, similarity: Floats, a: float) -> _Softmax:
        """Find the parts of the softmax, a few images at a time."""

        whole = np.empty(similarity.shape, np.float32) if similarity.size <= _KEPT else None

        def parts(rows: slice) -> tuple[Floats, Floats]:
            some = similarity[rows]
            peaks: Floats = some.max(axis=1, keepdims=True)
            found = _exponentials(some, peaks, a, np.empty(some.shape, np.float32) if whole is None else whole[rows])
            return peaks, np.reciprocal(found.sum(axis=1, keepdims=True))

        if similarity.size <= _BLOCK:
            return cls(similarity, a, *parts(slice(None)), whole)
        blocks = list(_blocks(*similarity.shape))
        with _on_threads(len(blocks)) as mapped:
            peaks, shares = zip(*mapped(parts, blocks), strict=True)
        return cls(similarity, a, np.concatenate(peaks), np.concatenate(shares), whole)

    def block(self, concepts: slice, out: Floats) -> Floats:
        """Return the softmax of some concepts, (R, w), within `out`."""
        some = (self.similarity if self.whole is None else self.whole)[:, concepts]
        found = _shaped(out, (len(some), some.shape[1]))
        if self.whole is not None:
            np.multiply(some, self.shares, out=found)
            return found
        _exponentials(some, self.peaks, self.a, found)
        found *= self.shares
        return found


def _used_rows(similarity: Floats, top_ids: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the rows of images that are in any top list, if that saves work, and where `top_ids` are among them."""
    if similarity.size > _BLOCK:  # otherwise it takes longer to find out which rows are needed
        rows, places = np.unique(top_ids, return_inverse=True)
        if len(rows) < len(similarity) / 2:
            return similarity[rows], places.reshape(top_ids.shape)
    return similarity, top_ids


def _blocks(count: int, size: int, at_once: int = _BLOCK) -> Iterator[slice]:
    """Divide `count` rows or columns of `size` numbers each into parts of `at_once` numbers."""
    step = max(1, at_once // max(1, size))
    return (slice(start, start + step) for start in range(0, count, step))


def _exponentials(similarity: Floats, peaks: Floats, a: float, out: Floats) -> Floats:
    """Return exp(a (similarity - peak)), the softmax divided by its largest value per image, (R, w), in `out`."""
    np.subtract(similarity, peaks, out=out)
    out *= a
    np.exp(out, out=out)
    return out


def _less_prior(
    similarity: Floats, top_ids: NDArray[np.int64], alive: NDArray[np.bool_], sums_of_logs: _SumsOfLogs, lam: float
) -> Floats:
    """Return the sums minus lam times the prior, see `soft_wpmi`, (J, M); rows of dead units are NaN."""
    scores = np.full((len(top_ids), similarity.shape[1]), np.nan, dtype=np.float32)
    if alive.any():
        sums = sums_of_logs(similarity, top_ids if alive.all() else top_ids[alive])
        most = sums.max(axis=0)
        # These are at most 1, and the largest of each concept is 1: single precision is enough, and far faster.
        shares = np.exp((sums - most).astype(np.float32)).sum(axis=0, dtype=np.float64) / len(sums)
        scores[alive] = sums - lam * (most + np.log(shares))
    return scores


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
        concepts, units = (of(each) for each in given)
        of_concepts, of_units = _norms(concepts, least), _norms(units, least)
        finite = math.isfinite(of_concepts.sum() + of_units.sum())
        if not finite:
            require_finite(*given)
        if finite and concepts.size + units.size < len(of_concepts) * len(of_units):
            # With so few images, torch multiplies faster than numpy.
            columns = torch.from_numpy(units / of_units), torch.from_numpy(concepts / of_concepts)
            return np.asarray((columns[0].T @ columns[1]).numpy())
        cosines = np.asarray(units.T @ concepts)
        cosines /= of_units[:, None]
        cosines /= of_concepts
    return cosines


def _norms(values: Floats, least: float) -> Floats:
    """Return the norm of each column, at least `least`; numpy's own copies its argument twice."""
    return np.asarray(np.maximum(np.sqrt(_column_sums(values, lambda some: some * some)), np.float32(least)))


def _column_sums(values: Floats, of: Callable[[Floats], NDArray[Any]]) -> NDArray[Any]:
    """Return the sum of each column of `of(values)`, (w,), from values (n, w)."""
    if values.size <= _ADDED_PLAINLY:
        return np.asarray(np.add.reduce(of(values)))
    found = [_folded(of(values[rows])) for rows in _blocks(len(values), values.shape[1], _SUMMED)]
    return np.asarray(np.add.reduce(found)) if len(found) > 1 else found[0]


def _folded(values: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of each column, (w,). numpy adds short rows slowly, so several are taken for a long one."""
    count, width = values.shape
    together = max(1, min(_LONG // max(1, width), math.isqrt(count)))
    whole = count - count % together
    sums = np.add.reduce(np.add.reduce(values[:whole].reshape(-1, together * width)).reshape(together, width))
    return np.asarray(sums if whole == count else sums + np.add.reduce(values[whole:]))


def _cubed_deviations(values: Floats) -> Floats:
    mean = (_column_sums(values, lambda some: some.astype(np.float64)) / len(values)).astype(np.float32)
    cubes = np.empty(values.shape, np.float32)
    for rows in _blocks(*values.shape):
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
    if dead.any():
        scores[dead] = np.nan
    return scores
