"""Block means and what makes a map degenerate, against loops and the definitions."""

import itertools

import numpy as np
import pytest

from xai_eval.result.fields import Heatmap, HeatmapTolerance
from xai_eval.result.fields.heatmap import block_means


@pytest.mark.parametrize(
    ("sides", "shape"),
    [
        ((96, 96), (56, 56)),
        ((224, 224), (56, 56)),
        ((7, 500), (7, 56)),
        ((57, 56), (56, 56)),
        ((5, 5), (5, 5)),
        ((9, 4), (1, 1)),
    ],
)
def test_block_means_equal_a_loop_over_blocks(sides, shape):
    array = np.random.default_rng(0).random(sides).astype(np.float32)
    edges = [np.linspace(0, side, count + 1).astype(int) for side, count in zip(sides, shape, strict=True)]
    expected = [
        [array[top:bottom, left:right].astype(np.float64).mean() for left, right in itertools.pairwise(edges[1])]
        for top, bottom in itertools.pairwise(edges[0])
    ]
    np.testing.assert_allclose(block_means(array, shape), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([[0.0, 0.0]], "all zero"),
        ([[0.0, -0.0]], "all zero"),
        ([[0.5, 0.5]], "constant"),
        ([[0.5, np.nan]], "NaN"),
        ([[np.nan, np.nan]], "NaN"),
        ([[0.0, np.inf]], "NaN"),
        ([[-np.inf, 0.0]], "NaN"),
        ([[0.0, 0.25]], None),
        (np.zeros((0, 0)), "all zero"),
    ],
)
def test_degenerate_maps_are_named(values, word, dtype):
    assert Heatmap(np.array(values, dtype), HeatmapTolerance(0.02)).degenerate == word


def test_a_map_is_compared_alike_again_and_with_maps_of_other_sizes():
    rng, tolerance = np.random.default_rng(1), HeatmapTolerance(0.02)
    now = Heatmap(rng.random((96, 96)).astype(np.float32), tolerance)
    for was in (Heatmap(rng.random((96, 96)), tolerance).condensed(), Heatmap(rng.random((96, 96)), tolerance)):
        again = Heatmap(now.array.copy(), tolerance)
        assert now.compare(was, "map") == now.compare(was, "map") == again.compare(was, "map")
        assert now.shifts(was) == again.shifts(was)
        assert now.distances(was) == again.distances(was)
