"""How far apart two fields are, and which way they moved; findings are the distances beyond their tolerance."""

import math

import numpy as np
import pandas as pd
import pytest
from field_changes import CHANGES
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import TOLERANCE, blob, every_kind, unit_labels

from xai_eval.result.fields import KINDS, Heatmap, Mask, Ranking, Score, Table
from xai_eval.result.fields.base import Distance


def beyond(distances):
    return any(distance.value > distance.tolerance for distance in distances)


@pytest.mark.parametrize("name", every_kind())
def test_nothing_is_apart_from_itself(name):
    field = every_kind()[name]
    stored = field.condensed()
    assert all(each.value == 0.0 for each in field.distances(field))
    assert all(each.change == 0.0 or math.isnan(each.change) for each in field.shifts(field))
    assert stored is None or not beyond(field.distances(stored))


def test_every_kind_is_asked():
    assert {each.kind for each in every_kind().values()} == set(KINDS)


@pytest.mark.parametrize("name", [name for name, (was, now, _) in CHANGES.items() if type(was) is type(now)])
def test_whatever_is_a_finding_lies_beyond_the_tolerance(name):
    was, now, _ = CHANGES[name]
    assert now.compare(was, name) and beyond(now.distances(was))


@settings(max_examples=20)
@given(st.floats(0, 0.2), st.floats(0.001, 0.1))
def test_a_map_is_a_finding_exactly_where_it_is_farther_than_its_tolerance(by, tolerance):
    was = Heatmap(blob(80, 120), TOLERANCE)
    now = Heatmap(blob(80, 120) + np.float32(by), type(TOLERANCE)(largest=tolerance))
    (distance,) = now.distances(was)
    assert distance.value == pytest.approx(by, abs=1e-6) and distance.tolerance == tolerance
    assert bool(now.compare(was, "map")) == (distance.value > tolerance)


@settings(max_examples=20)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1))
def test_a_score_too(was, now, tolerance):
    distances = Score(now, tolerance).distances(Score(was, tolerance))
    assert distances == (Distance("difference", abs(now - was), tolerance),)
    assert bool(Score(now, tolerance).compare(Score(was, tolerance), "score")) == beyond(distances)


def test_maps_move_down_and_to_the_right():
    was, now = Heatmap(blob(80, 120), TOLERANCE), Heatmap(blob(88, 115), TOLERANCE)
    shifts = {each.measure: each.change for each in now.shifts(was)}
    assert shifts["centre row"] == pytest.approx(8 / 224, abs=1e-4)
    assert shifts["centre column"] == pytest.approx(-5 / 224, abs=1e-4)
    assert shifts["mean"] == pytest.approx(0.0, abs=1e-5)
    hotter = Heatmap(blob(80, 120) / 2 + 0.5, TOLERANCE)
    assert {each.measure: each.change for each in hotter.shifts(was)}["mean"] > 0.4


def test_masks_grow():
    was, now = Mask(blob(80, 80) > 0.5), Mask(blob(80, 80) > 0.4)
    area = next(each for each in now.shifts(was) if each.measure == "area")
    assert area.change == pytest.approx((0.6 / 0.5) ** 2 - 1, rel=0.05)
    (distance,) = now.distances(was)
    assert distance.value == pytest.approx(1 - (0.5 / 0.6) ** 2, rel=0.05)
    assert distance.tolerance == pytest.approx(0.01) and distance.cap == 0.5


def test_columns_are_apart_by_their_worst_cell_and_move_by_their_mean():
    was = Table(pd.DataFrame({"k": ["a", "b"], "x": [0.1, 0.2], "hit": [True, True]}), {"x": 0.05})
    now = Table(pd.DataFrame({"k": ["a", "b"], "x": [0.2, 0.18], "hit": [True, False]}), {"x": 0.05})
    assert [(d.measure, round(d.value, 9), d.tolerance) for d in now.distances(was)] == [
        ("x", 0.1, 0.05),
        ("hit", 1.0, 0.0),
    ]
    (shift,) = now.shifts(was)
    assert (shift.measure, round(shift.change, 9), shift.tolerance) == ("x", 0.04, 0.05)


def test_the_first_value_of_a_ranking_is_followed_by_its_name():
    was, now = Ranking(("a", "b"), (0.5, 0.4), 0.02), Ranking(("b", "a"), (0.46, 0.44), 0.02)
    (shift,), (distance,) = now.shifts(was), now.distances(was)
    assert shift.change == pytest.approx(-0.06) and distance.value == pytest.approx(0.06)


def test_labels_that_are_tied_are_not_apart():
    was = unit_labels()
    tied = unit_labels(label=["car", "grass", None], second=["boat", "tree", None])
    lost = unit_labels(label=["boat", "tree", None], second=["car", "grass", None])
    assert {d.measure: d.value for d in tied.distances(was)} == dict.fromkeys(
        ("labels", "score", "margin", "runner-up"), 0.0
    )
    assert {d.measure: d.value for d in lost.distances(was)} == {
        "labels": pytest.approx(1 / 3),
        "score": 0.0,
        "margin": 0.0,
        "runner-up": 0.0,
    }


def test_the_margin_of_a_label_is_a_distance_of_its_own():
    was, now = unit_labels(), unit_labels(margin=[0.25, 0.05, None])
    before = unit_labels().frame["margin"]
    (margin,) = [d for d in now.distances(was) if d.measure == "margin"]
    assert margin.value == pytest.approx(max(abs(0.25 - before[0]), abs(0.05 - before[1])))
    assert margin.tolerance == 2 * was.tolerance
