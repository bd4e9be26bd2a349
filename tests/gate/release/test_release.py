"""The answer to the release question over results made by hand."""

import dataclasses
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import blob, make_result

from xai_eval.gate.judge import judge_all
from xai_eval.gate.release.measures import MARGIN, MEASURES, RIGHT_CLASS
from xai_eval.gate.release.pairs import Pair, Value, pair_of
from xai_eval.gate.release.release import Outcome, release_of
from xai_eval.gate.release.tested import Answer
from xai_eval.gate.run_findings import RunFindingsCollector
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Label, Table
from xai_eval.result.glossary import Better, term
from xai_eval.store.noise import Measured
from xai_eval.store.upgrade_policy import ALL_STAGES


def pairs(gains, *, measure="energy_inside", moved=True, before=0.5, same=True):
    """One pair per gain, which is positive where it is for the better."""
    sign = MEASURES[measure].sign
    return [
        Pair(
            "cams",
            "m",
            f"photos/{place}",
            moved,
            same,
            same,
            (Value(measure, "gradcam", before, before + sign * gain),),
        )
        for place, gain in enumerate(gains)
    ]


def test_every_measure_has_the_direction_of_the_glossary():
    ways = {Better.HIGHER: 1, Better.LOWER: -1, Better.NEITHER: 1}  # a hit, yes or no, has no arrow
    for name, row in MEASURES.items():
        assert row.sign == ways[term(name).better]


def test_nothing_moved_is_the_same():
    release = release_of(pairs([0.0] * 5, moved=False))
    assert release.outcome is Outcome.SAME and release.shares[0].same_evidence == 5


def test_no_pair_is_no_answer():
    assert release_of([]) is None


@pytest.mark.parametrize("measure", ["energy_inside", "deletion"])
@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        ([0.01] * 11, Outcome.NOT_WORSE),
        ([0.2, -0.01] * 6, Outcome.NOT_WORSE),
        ([-0.2] * 11, Outcome.WORSE),
        ([-0.2] * 4, Outcome.CANNOT_TELL),
        ([0.2] * 4, Outcome.CANNOT_TELL),
        ([0.4, -0.4] * 5, Outcome.CANNOT_TELL),
        # A loss that is certain, and smaller than what counts.
        ([-0.01] * 11, Outcome.NOT_WORSE),
    ],
)
def test_each_outcome_with_either_direction(measure, gains, outcome):
    assert release_of(pairs(gains, measure=measure)).outcome is outcome


def test_images_that_did_not_move_cannot_hide_those_that_did():
    still, fell = pairs([0.0] * 200, moved=False), pairs([-0.3] * 8)
    assert release_of([*still, *fell]).outcome is Outcome.WORSE


def test_one_measure_that_is_worse_is_enough_and_one_that_is_open_is_enough():
    fine = pairs([0.01] * 11)
    assert release_of([*fine, *pairs([-0.3] * 11, measure="insertion")]).outcome is Outcome.WORSE
    assert release_of([*fine, *pairs([0.4, -0.4] * 5, measure="insertion")]).outcome is Outcome.CANNOT_TELL


def classes(before, after, *, moved=False):
    values = [(Value(RIGHT_CLASS, "", float(b), float(a)),) for b, a in zip(before, after, strict=True)]
    return [Pair("cams", "m", f"photos/{i}", moved, True, True, each) for i, each in enumerate(values)]


def test_classes_are_counted_over_all_images():
    fine = pairs([0.01] * 11)
    [counted] = [t for t in release_of([*fine, *classes([1] * 9, [0] * 9)]).tested if t.measure == RIGHT_CLASS]
    assert (counted.lost, counted.won, counted.images, counted.answer) == (9, 0, 9, Answer.WORSE)
    assert release_of([*fine, *classes([1, 1], [1, 0])]).outcome is Outcome.CANNOT_TELL
    assert release_of([*fine, *classes([1, 0], [0, 1])]).outcome is Outcome.NOT_WORSE


def test_many_measures_are_corrected_for():
    """One of twenty measures that falls by chance is no finding: p = 1/32 alone is, among twenty it is not."""
    fell = pairs([-0.3] * 5)
    fine = [
        dataclasses.replace(each, values=(dataclasses.replace(each.values[0], of=f"method {number}"),))
        for number in range(19)
        for each in pairs([0.01] * 5)
    ]
    assert release_of(fell).outcome is Outcome.WORSE
    assert release_of([*fell, *fine]).outcome is Outcome.CANNOT_TELL


def test_maps_that_nothing_measures_cannot_be_told():
    unmeasured = [dataclasses.replace(each, values=()) for each in pairs([0.1] * 11)]
    assert release_of(unmeasured).outcome is Outcome.CANNOT_TELL
    assert release_of([*unmeasured, *classes([1] * 11, [1] * 11)]).outcome is Outcome.CANNOT_TELL


@given(st.lists(st.integers(-64, 64).map(lambda each: each / 128), min_size=1, max_size=12), st.randoms())
def test_the_answer_depends_neither_on_the_order_nor_on_the_direction(gains, random):
    one = release_of(pairs(gains, before=1.0))
    shuffled = random.sample(gains, len(gains))
    other = release_of(pairs(shuffled, measure="deletion", before=1.0))
    assert one.outcome is other.outcome
    assert one.tested[0].low == pytest.approx(other.tested[0].low)


@given(st.lists(st.integers(-64, 64).map(lambda each: each / 128), min_size=1, max_size=12))
def test_no_gain_for_one_image_makes_the_answer_worse(gains):
    better = [each + 0.25 for each in gains]
    order = [Outcome.WORSE, Outcome.CANNOT_TELL, Outcome.NOT_WORSE]
    one, other = release_of(pairs(gains)), release_of(pairs(better))
    assert order.index(other.outcome) >= order.index(one.outcome)
    assert (one.tested[0].low > -MARGIN) == one.tested[0].not_worse or math.isinf(one.tested[0].low)


# From results and goldens.


def result(name, energy, *, weights="a" * 64, predicted=("robin", 15), saliency=None):
    rows = {"method": ["gradcam"], "pointing_hit": [True], "energy_inside": [energy]}
    fields = {
        "predicted": Label(*predicted),
        "intended": Label("robin", 15),
        "table": Table(pd.DataFrame(rows), {"energy_inside": 0.01}),
    }
    return make_result(name, weights=weights, fields=fields, saliency=saliency)


def judged(before, after, *, policy=None, as_release=False):
    collector = RunFindingsCollector(Measured({}, ()), as_release=as_release)
    golden = {each.case.key: each.condensed() for each in before}
    obtained = {each.case.key: each for each in after}
    verdicts = judge_all(obtained, golden, listener=collector, **({"policy": policy} if policy else {}))
    return verdicts, collector.findings()


def sets(energies, **changes):
    names = [f"{place}.jpg" for place in range(len(energies))]
    return [result(name, 0.5) for name in names], [
        result(name, energy, weights="c" * 64, **changes) for name, energy in zip(names, energies, strict=True)
    ]


def test_the_question_is_asked_where_weights_changed_on_record_and_of_every_diff():
    before, after = sets([0.6] * 8)
    _, findings = judged(before, after)
    assert findings.release.outcome is Outcome.NOT_WORSE and findings.covered == 8
    same = [result(f"{place}.jpg", 0.5) for place in range(8)]
    assert judged(before, same)[1].release is None
    assert judged(before, same, as_release=True)[1].release.outcome is Outcome.SAME


def test_shifts_over_many_cases_do_not_fail_an_upgrade_and_that_is_counted():
    """Each case moved by less than its tolerance, all of them in one direction."""
    before, after = sets([0.507] * 12)
    verdicts, findings = judged(before, after)
    assert {each.state for each in verdicts} == {State.OK}
    assert not findings.systemic and not findings.failed and findings.covered == 12
    _, strict = judged(before, after, policy=ALL_STAGES)
    assert strict.systemic and strict.failed and strict.covered == 0


def test_classes_and_evidence_are_shared_as_the_verdicts_say():
    before, after = sets([0.5] * 4)
    other = [result("0.jpg", 0.5, weights="c" * 64, predicted=("heron", 16)), *after[1:]]
    moved = [*other[:3], result("3.jpg", 0.5, weights="c" * 64, saliency=blob(150, 30))]
    _, findings = judged(before, moved)
    [shares] = findings.release.shares
    assert (shares.images, shares.same_class, shares.same_evidence) == (4, 3, 2)
    assert next(t for t in findings.release.tested if t.measure == RIGHT_CLASS).lost == 1


def test_a_class_that_neither_model_has_is_no_measure():
    before, after = sets([0.9] * 4)
    for intended, counted in ((Label("heron", 16), 1), (Label("heron", None), 0)):
        for each in (*before, *after):
            each.fields["intended"] = intended
        _, findings = judged(before, after)
        assert sum(each.measure == RIGHT_CLASS for each in findings.release.tested) == counted


def test_what_cannot_be_compared_is_no_pair():
    before, after = result("a.jpg", 0.5), result("a.jpg", 0.5, weights="c" * 64)
    other = dataclasses.replace(after, case=dataclasses.replace(after.case, params={"target": "intended"}))
    [verdict] = judge_all({other.case.key: other}, {before.case.key: before})
    assert pair_of(verdict, other, before) is None


def test_a_map_that_means_nothing_any_more_is_a_loss():
    before, after = sets([float("nan"), 0.75])
    [tested] = [t for t in judged(before, after)[1].release.tested if t.measure == "energy_inside"]
    assert (tested.images, tested.gain, tested.lost, tested.won) == (2, -0.125, 1, 1)
