"""What the comparison of maps must see and must not see, as a table over all measures."""

import numpy as np
import pytest
from scipy import ndimage, stats
from synthetic import SIZE, blob

from xai_eval.result.fields import Heatmap, HeatmapTolerance, Severity
from xai_eval.result.map_similarity import _ranks, centre_moved, iou, mass_moved, rank_correlation, top_area

BASE = blob(80, 120, width=60)
NOISE = np.random.default_rng(0).normal(scale=0.01, size=BASE.shape)
TOLERANCE = HeatmapTolerance(largest=0.02)


def spot(row, column):
    saliency = np.zeros((SIZE, SIZE))
    saliency[row : row + 5, column : column + 5] = 1.0
    return saliency


MUST_SEE = {
    "small hot spot moved": (spot(40, 40), spot(150, 160)),
    "blob moved": (BASE, blob(110, 150, width=60)),
    "mirrored": (BASE, BASE[:, ::-1]),
    "upside down": (BASE, BASE[::-1]),
    "sign flipped": (BASE, 1 - BASE),
    "second spot appears": (BASE, np.maximum(BASE, blob(200, 30, width=40))),
    "blurred to nothing": (spot(40, 40), blob(42, 42, width=150)),
    "all zero": (BASE, np.zeros_like(BASE)),
    "constant": (BASE, np.ones_like(BASE)),
    "NaN": (BASE, np.full_like(BASE, np.nan)),
}
MUST_NOT_SEE = {
    "itself": (BASE, BASE),
    "rounding": (BASE, BASE + 1e-5 * np.sign(NOISE)),
    "half precision": (BASE, BASE.astype(np.float16)),
}
NUMBERS_ONLY = {
    "noise of 1 %": (BASE, np.clip(BASE + NOISE, 0, 1)),
    "slightly weaker": (BASE, BASE * 0.95),
}


def severities(pair):
    golden, obtained = (Heatmap(np.asarray(each, dtype=np.float32), TOLERANCE) for each in pair)
    return {finding.severity for finding in obtained.compare(golden, "map")}


@pytest.mark.parametrize("name", MUST_SEE)
def test_what_must_be_seen_as_evidence(name):
    assert Severity.EVIDENCE in severities(MUST_SEE[name])
    assert Severity.EVIDENCE in severities(MUST_SEE[name][::-1])


@pytest.mark.parametrize("name", MUST_NOT_SEE)
def test_what_must_not_be_seen(name):
    assert severities(MUST_NOT_SEE[name]) == set()


@pytest.mark.parametrize("name", NUMBERS_ONLY)
def test_what_is_a_matter_of_numbers_only(name):
    assert severities(NUMBERS_ONLY[name]) == {Severity.NUMBERS}


@pytest.mark.parametrize("name", [*MUST_SEE, *MUST_NOT_SEE])
def test_a_condensed_golden_judges_alike(name):
    golden, obtained = {**MUST_SEE, **MUST_NOT_SEE}[name]
    condensed = Heatmap(np.asarray(golden, dtype=np.float32), TOLERANCE).condensed()
    found = Heatmap(np.asarray(obtained, dtype=np.float32), TOLERANCE).compare(condensed, "map")
    assert (Severity.EVIDENCE in {f.severity for f in found}) == (name in MUST_SEE)


def test_another_size_is_seen_even_where_the_overlap_agrees():
    small, wide = Heatmap(np.ones((50, 50)) * 0.5, TOLERANCE), Heatmap(np.ones((20, 400)) * 0.5, TOLERANCE)
    (finding,) = wide.compare(small, "map")
    assert finding.severity is Severity.EVIDENCE
    assert finding.sentence == "a map of 50x50 pixels became one of 20x400"


def test_rank_correlation_equals_scipy_on_values_in_steps():
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 21, size=(30, 40)) / 20 for _ in range(2))
    # Steps may begin at four places.
    steps = [[np.round(each.reshape(-1) / 0.05 + begin) for each in (first, second)] for begin in (0, 0.25, 0.5, 0.75)]
    expected = max(stats.spearmanr(*pair).statistic for pair in steps)
    assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0], [-1.0, 4.0, 4.0, 0.0], list(np.round(NOISE[0] * 1e9))])
def test_ranks_equal_scipys(values):
    np.testing.assert_array_equal(_ranks(np.array(values)), stats.rankdata(values))


def test_centres_of_mass_equal_scipys():
    first, second = (blob(*place, size=100).astype(np.float64) for place in ((40, 60), (55, 62)))
    expected = np.subtract(*(ndimage.center_of_mass(each) for each in (first, second))) / 100
    moved = centre_moved(first, second)
    assert [moved["row"], moved["column"]] == pytest.approx(expected, abs=1e-12)


def test_mass_moved_equals_scipys_wasserstein_distance():
    first, second = blob(40, 60, size=100), blob(55, 62, size=100)
    places = np.arange(100) / 100
    expected = max(
        stats.wasserstein_distance(places, places, first.sum(axis=axis), second.sum(axis=axis)) for axis in (0, 1)
    )
    assert mass_moved(first, second) == pytest.approx(expected, abs=1e-9)
    assert mass_moved(first, second) == pytest.approx(0.15, abs=1e-3)


def test_mass_moved_is_total_where_only_one_map_has_any():
    assert mass_moved(BASE, np.zeros_like(BASE)) == 1.0
    assert mass_moved(np.zeros_like(BASE), np.zeros_like(BASE)) == 0.0


def test_top_area_takes_whole_plateaus_and_nothing_cold():
    plateau = np.zeros((10, 10))
    plateau[:3] = 1.0
    assert top_area(plateau, 0.05).sum() == 30
    plateau[5, 5] = 0.01
    assert top_area(plateau, 0.9).sum() == 30


def test_iou_refuses_other_shapes():
    with pytest.raises(ValueError, match="different shapes"):
        iou(np.ones((50, 50), bool), np.ones((20, 400), bool))
