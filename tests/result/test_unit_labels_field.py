"""Labels of units are judged by what they say: a lead that noise explains is no label lost."""

import math

import numpy as np
import pandas as pd
import pytest
from synthetic import unit_labels

from xai_eval.disk.arrays import deflated, pack_arrays
from xai_eval.result.fields import Severity, UnitLabels

NAN = float("nan")


def compare(obtained, golden=None):
    return obtained.compare((golden or unit_labels()).condensed(), "clip_units")


def test_equal_labels_are_no_finding():
    assert compare(unit_labels()) == ()


def test_the_best_score_of_two_tied_concepts_is_compared():
    swapped = {"label": ["car", "grass", None], "second": ["boat", "tree", None]}
    assert compare(unit_labels(**swapped, score=[0.9, 0.54, NAN])) == ()
    (finding,) = compare(unit_labels(**swapped, score=[0.9, 0.1, NAN]))
    assert (finding.severity, finding.value) == (Severity.NUMBERS, pytest.approx(0.4, abs=0.05 / 64))


def test_another_label_is_another_conclusion():
    (finding,) = compare(unit_labels(label=["boat", "tree", None], second=["car", "grass", None]))
    assert finding.severity is Severity.CONCLUSION
    assert "1 of 3 units have another label: layer4/0 car -> boat" in finding.sentence


def test_two_concepts_as_good_as_each_other_may_change_places():
    assert compare(unit_labels(label=["car", "grass", None], second=["boat", "tree", None])) == ()


def test_of_three_tied_concepts_each_may_be_first():
    """The old label is the runner-up now, and by no more than noise explains."""
    assert compare(unit_labels(label=["car", "road", None], second=["boat", "tree", None])) == ()
    clear = unit_labels(margin=[0.4, 0.2, NAN])
    (finding,) = compare(unit_labels(label=["car", "road", None], second=["boat", "tree", None]), clear)
    assert "layer4/1 tree -> road" in finding.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": [0.4, 0.2, NAN]},  # it leads by more than noise explains now
        {"second": ["boat", "road", None]},  # the old label is not even the runner-up
    ],
)
def test_a_tie_excuses_only_its_own_two_concepts(changes):
    swapped = {"label": ["car", "grass", None], "second": ["boat", "tree", None], **changes}
    (finding,) = compare(unit_labels(**swapped))
    assert "layer4/1 tree -> grass" in finding.sentence


def test_a_unit_that_dies_or_comes_to_life_is_another_conclusion():
    (finding,) = compare(unit_labels(label=["car", None, "sky"], score=[0.9, NAN, 0.3]))
    assert "layer4/1 tree -> no label, layer4/2 no label -> sky" in finding.sentence


def test_scores_may_move_by_their_tolerance():
    assert compare(unit_labels(score=[0.94, 0.46, NAN])) == ()
    (finding,) = compare(unit_labels(score=[0.98, 0.44, NAN]))
    assert (finding.severity, finding.limit) == (Severity.NUMBERS, 0.05)
    assert finding.value == pytest.approx(0.08, abs=0.05 / 100)  # the golden is rounded
    assert (
        "score of layer4/0 for car: 0.8999 became 0.98 (may differ by at most 0.05; 2 of 3 units differ by more)"
        in finding.sentence
    )


def test_a_score_that_is_no_number_any_more_is_seen():
    (finding,) = compare(unit_labels(score=[NAN, 0.5, NAN]))
    assert finding.severity is Severity.NUMBERS


def test_a_lead_may_move_by_twice_the_tolerance():
    assert compare(unit_labels(margin=[0.46, 0.06, NAN])) == ()
    (finding,) = compare(unit_labels(margin=[0.8, 0.01, NAN]))
    assert (finding.severity, finding.measure, finding.limit) == (Severity.NUMBERS, "margin", 0.1)
    assert (
        "margin of layer4/0 for car: 0.3999 became 0.8 (may differ by at most 0.1; 1 of 3 units differ by more)"
        in finding.sentence
    )


def test_other_units_cannot_be_compared_one_by_one():
    (finding,) = compare(unit_labels(unit=["layer4/0", "layer4/1", "layer4/9"]))
    assert (finding.severity, finding.sentence) == (
        Severity.CONCLUSION,
        "3 units became 3; both have 2 of them",
    )


def test_a_golden_keeps_what_is_judged():
    condensed = unit_labels().condensed()
    assert list(condensed.frame.columns) == ["unit", "label", "score", "second", "margin"]
    assert condensed.tolerance == 0.05


def test_the_columns_are_checked():
    with pytest.raises(ValueError, match="begin with the columns"):
        UnitLabels(pd.DataFrame({"unit": ["a"], "score": [1.0]}), 0.1)


def test_thousands_of_units_take_a_few_bytes_each():
    count, rng = 2000, np.random.default_rng(0)
    names = [f"concept {number}" for number in range(500)]
    cells = {
        "unit": [f"layer{number // 500 + 1}.conv2/{number % 500}" for number in range(count)],
        "label": rng.choice(names, count),
        "score": rng.random(count),
        "second": rng.choice(names, count),
        "margin": rng.random(count),
    }
    packed = deflated(pack_arrays(UnitLabels(pd.DataFrame(cells), 0.01).condensed().arrays()))
    assert len(packed) < 12 * count


@pytest.mark.parametrize("tolerance", [0.05, 3e-4, 0.0])
def test_a_golden_rounds_scores_far_below_their_tolerance(tolerance):
    scores = [0.123456789, -7.654321, NAN]
    full = UnitLabels(unit_labels(score=scores).frame, tolerance)
    kept = full.condensed().frame["score"]
    assert abs(kept - full.frame["score"]).max() <= tolerance / 100
    assert math.isnan(kept[2])
    assert full.condensed().condensed().frame.equals(full.condensed().frame)


def test_columns_of_other_lengths_are_no_unit_labels():
    full = unit_labels()
    arrays = full.arrays()
    with pytest.raises(ValueError, match="the same length"):
        UnitLabels.restore(full.meta(), {**arrays, "score": arrays["score"][:2]})


@pytest.mark.parametrize(("lead", "found"), [(0.3, True), (0.01, False), (NAN, False)])
def test_another_runner_up_is_told_apart_from_a_tie_of_two(lead, found):
    now = unit_labels(second=["road", "grass", None], second_margin=[lead, 0.3, NAN])
    findings = compare(now, unit_labels(second_margin=[lead, 0.3, NAN]))
    assert [(each.measure, each.severity) for each in findings] == [("runner-up", Severity.NUMBERS)] * found
    assert not found or "1 of 3 units have another runner-up: layer4/0 boat -> road" in findings[0].sentence
