from __future__ import annotations

import numpy as np
import pytest

from xai_eval.gate.judge import judge_all
from xai_eval.report.cases import collect
from xai_eval.report.drawing.comparisons import comparison
from xai_eval.result.fields import Mask, Segments, SignedMap
from xai_eval.result.fields.segments import moved_pixels, share_moved


def drifted(build, was, now):
    obtained, goldens = build.by_key(build.result(**now)), build.by_key(build.result(**was).condensed())
    (case,) = collect(obtained, goldens, judge_all(obtained, goldens), {})
    return case


def quarter(build, rows, columns):
    mask = np.zeros((build.SIDE, build.SIDE), dtype=bool)
    mask[rows, columns] = True
    return mask


def redness(pixels):
    """Red less blue: 0 for grey, positive for red, negative for blue."""
    return pixels[..., 0].astype(int) - pixels[..., 2]


def test_a_mask_that_moved_is_shown_with_what_it_gained_and_lost(build):
    left, right = quarter(build, slice(0, 32), slice(0, 32)), quarter(build, slice(0, 32), slice(16, 48))
    case = drifted(build, {"lime_top5": Mask(left)}, {"lime_top5": Mask(right)})
    assert list(case.changed_fields) == ["lime_top5"]
    drift = comparison(case, "lime_top5")
    assert drift.wipes
    assert drift.limit is None
    change = redness(drift.difference.pixels)
    assert (change[:32, :16] < -20).all()  # lost
    assert (change[:32, 32:48] > 20).all()  # gained
    assert (change[:32, 16:32] == 0).all()
    assert (change[32:] == 0).all()
    assert drift.difference.numbers == (("differ", "25.00% of the pixels"),)
    assert "Red: in the obtained mask only. Blue: in the expected mask only." in drift.legend


def test_superpixels_that_moved_are_shown_with_the_pixels_that_changed_theirs(build):
    was = np.repeat([[0] * 32 + [1] * 32], build.SIDE, axis=0)
    now = np.repeat([[0] * 40 + [1] * 24], build.SIDE, axis=0)
    case = drifted(build, {"segments": Segments(was)}, {"segments": Segments(now)})
    drift = comparison(case, "segments")
    change = redness(drift.difference.pixels)
    assert (change[:, 32:40] > 20).all()
    assert (change[:, :32] == 0).all()
    assert (change[:, 40:] == 0).all()
    assert drift.expected.numbers == drift.obtained.numbers == (("superpixels", "2"),)
    assert drift.wipes
    assert not np.array_equal(drift.expected.pixels, drift.obtained.pixels)


@pytest.mark.parametrize("kind", ["lime_top5", "segments"])
def test_another_shape_is_said_and_not_drawn_over_the_image(build, kind):
    fields = {
        "lime_top5": lambda side: Mask(np.arange(side * side).reshape(side, side) % 3 == 0),
        "segments": lambda side: Segments(np.arange(side * side).reshape(side, side) // side),
    }
    drift = comparison(drifted(build, {kind: fields[kind](32)}, {kind: fields[kind](build.SIDE)}), kind)
    assert drift.difference.word == "no difference: the shapes differ"
    assert (drift.expected.pixels.shape, drift.wipes, drift.legend) == ((32, 32, 3), False, "")


def test_a_map_is_laid_over_the_other_only_where_both_are_drawn(build):
    moved = drifted(build, {}, {"gradcam": build.heat(build.spot(0.8, 0.8))})
    assert comparison(moved, "gradcam").wipes
    empty = drifted(build, {}, {"gradcam": build.heat(np.zeros((build.SIDE, build.SIDE), np.float32))})
    assert not comparison(empty, "gradcam").wipes


def test_a_signed_map_is_shown_with_what_speaks_for_the_class_and_against_it(build):
    was, now = (1e-3 * (build.spot(0.2, 0.2) - build.spot(*place)) for place in ((0.8, 0.8), (0.2, 0.8)))
    drift = comparison(drifted(build, {"saliency": SignedMap(was)}, {"saliency": SignedMap(now)}), "saliency")
    assert drift.wipes and drift.difference.coarse
    for panel, row in ((drift.expected, 51), (drift.obtained, 13)):
        assert redness(panel.pixels)[13, 13] > 50 and redness(panel.pixels)[row, 51] < -50
    # Where the golden spoke against the class, the result no longer does, and the other way round.
    change = redness(drift.difference.pixels)
    assert change[45, 45] > 50 and change[11, 45] < -50
    assert drift.limit == pytest.approx(0.5e-3, rel=0.05)  # half of the largest value of either map
    assert drift.meaning.startswith("red places speak more for the class now")
    assert "hotter" not in drift.meaning


def test_the_mask_of_the_object_is_compared_as_well(build):
    case = drifted(build, {}, {"mask": Mask(build.spot(0.2, 0.2) > 0.5)})
    assert "mask" in case.changed_fields
    assert comparison(case, "mask").title == "mask"


def test_moved_pixels_are_those_that_the_share_counts():
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.integers(0, 5, (2, 9, 7))
        assert moved_pixels(first, second).shape == (9, 7)
        assert moved_pixels(first, second).mean() == share_moved(first, second) == share_moved(second, first)
        # The share, by its definition: pixels outside the largest overlap, in the worse of both directions.
        worst = max(
            sum((a == own).sum() - max((b[a == own] == other).sum() for other in set(b.flat)) for own in set(a.flat))
            for a, b in ((first, second), (second, first))
        )
        assert moved_pixels(first, second).sum() == worst
