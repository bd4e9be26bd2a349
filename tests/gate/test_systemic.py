"""A shift that no single case shows is found, and chance is not taken for one: the figures of docs/noise.md."""

import dataclasses
import math

import numpy as np
import pytest
from synthetic import blob, make_case

from xai_eval.gate.judge import judge
from xai_eval.gate.systemic import FALSE_DISCOVERIES, LEAST_CASES, Compared, case_shifts, sign_test, systemic_among
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.fields import Heatmap, HeatmapTolerance, Label, Score
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.noise import Noise

FIELDS, TOLERANCE = 20, 1.0
LOGITS = Stage(StageKind.LOGITS)
STAGE = np.linspace(-1, 1, 50)
STILL = fingerprint_array(STAGE)


def result(values, *, name="photo.jpg", stage=STAGE, versions=None, model="m"):
    return Result(
        make_case(name, model=model),
        {f"score {i}": Score(float(value), TOLERANCE) for i, value in enumerate(values)},
        {LOGITS: STILL if stage is STAGE else fingerprint_array(stage)},
        Provenance(versions=versions or {}),
    )


def systemic_shifts(compared):
    return systemic_among(map(case_shifts, compared))


def compared(changes, *, noise=None, **now):
    """One case a row of `changes`, (cases, fields)."""
    pairs = [
        (result(row, name=f"{i}.jpg", **now), result(np.zeros(len(row)), name=f"{i}.jpg", model=now.get("model", "m")))
        for i, row in enumerate(changes)
    ]
    return [Compared(new, old, judge(new, old), noise) for new, old in pairs]


def measured(floor, stage=0.0, fields=FIELDS):
    shifts = {f"score {i}": {"difference": {"float64": floor}} for i in range(fields)}
    return Noise("a" * 64, {}, shifts, {LOGITS: {"float64": stage}})


def one_field(changes):
    table = np.zeros((len(changes), FIELDS))
    table[:, 3] = changes
    return table


@pytest.mark.parametrize("way", [-1, 1])
def test_a_small_shift_of_all_cases_is_found_though_every_case_is_ok(way):
    cases = compared(one_field(np.full(12, way * 0.2)))
    assert all(each.verdict.state is State.OK for each in cases)
    (found,) = systemic_shifts(cases)
    assert (found.what, found.measure, found.cases) == ("score 3", "difference", 12)
    assert (found.one_way, found.other_way) == (12, 0)
    assert found.change == pytest.approx(way * 0.2) and found.rate == pytest.approx(2 / 2**12)
    assert found.sentence.startswith(
        f"score 3 of cams on m: difference {way * 0.2:+.2g} (median) in 12 of 12 cases, 0 against"
    )


def test_bits_that_fall_the_same_way_are_no_shift():
    assert systemic_shifts(compared(one_field(np.full(1000, 1e-7)))) == ()
    assert systemic_shifts(compared(one_field(np.full(1000, 1e-7)), noise=measured(0.0))) == ()


@pytest.mark.parametrize("floor, share, found", [(None, 0.051, 1), (None, 0.049, 0), (0.0, 0.011, 1), (0.0, 0.009, 0)])
def test_a_shift_counts_beyond_a_share_of_the_tolerance(floor, share, found):
    noise = None if floor is None else measured(floor)
    assert len(systemic_shifts(compared(one_field(np.full(20, share * TOLERANCE)), noise=noise))) == found


def test_a_shift_within_measured_noise_is_none():
    assert systemic_shifts(compared(one_field(np.full(50, 0.03)), noise=measured(0.031))) == ()
    assert len(systemic_shifts(compared(one_field(np.full(50, 0.032)), noise=measured(0.031)))) == 1


@pytest.mark.parametrize("claimed", [0.31, 1000.0, math.inf, math.nan])
def test_a_file_that_claims_much_noise_hides_nothing_that_no_file_would_not_hide(claimed):
    for share in (0.049, 0.051):
        shifts = one_field(np.full(50, share * TOLERANCE))
        with_file = systemic_shifts(compared(shifts, noise=measured(claimed, stage=claimed)))
        assert len(with_file) >= len(systemic_shifts(compared(shifts)))


def test_too_few_cases_tell_nothing():
    assert systemic_shifts(compared(one_field(np.full(LEAST_CASES - 1, 0.5)))) == ()
    assert len(systemic_shifts(compared(one_field(np.full(LEAST_CASES, 0.5))))) == 1


def test_cases_that_moved_both_ways_are_no_shift():
    assert systemic_shifts(compared(one_field(np.tile([0.3, -0.3], 50)))) == ()


def test_what_its_own_case_shows_is_left_to_that_case():
    cases = compared(one_field(np.full(12, 1.5)))
    assert all(each.verdict.state is State.DRIFT for each in cases)
    assert systemic_shifts(cases) == ()
    mixed = compared(one_field([1.5, 1.5, *np.full(10, 0.5)]))
    (found,) = systemic_shifts(mixed)
    assert found.cases == 10


def test_models_are_kept_apart():
    half = one_field(np.full(6, 0.5))
    assert systemic_shifts([*compared(half), *compared(half, model="other")]) == ()


def test_cases_that_were_not_judged_do_not_count():
    cases = compared(one_field(np.full(12, 0.5)))
    broken = [Compared(c.obtained, c.golden, Verdict(c.obtained.case, State.INCOMPARABLE)) for c in cases]
    assert systemic_shifts(broken) == ()


def test_maps_that_all_slide_by_half_a_pixel_are_found():
    tolerance = HeatmapTolerance(largest=0.02)

    def of(name, row):
        return Result(make_case(name), {"map": Heatmap(blob(row, 100, width=90), tolerance), "label": Label("a")})

    pairs = [(of(f"{i}", 80.5 + 5 * i), of(f"{i}", 80 + 5 * i)) for i in range(10)]
    cases = [Compared(now, was, judge(now, was)) for now, was in pairs]
    assert all(each.verdict.state is State.OK for each in cases)
    (found,) = systemic_shifts(cases)
    assert found.measure == "centre row" and found.change == pytest.approx(0.5 / 224, rel=0.05)


def test_stages_that_moved_without_a_reason_are_found():
    moved = STAGE * (1 + 1.5e-4)
    cases = compared(np.zeros((12, 1)), stage=moved)
    assert all(each.verdict.state is State.OK for each in cases)
    (found,) = systemic_shifts(cases)
    assert (found.what, found.change) == ("stage logits", pytest.approx(1.5e-4, rel=1e-3))
    # Neither a golden that claims another version, nor a file that claims much noise, excuses it.
    assert len(systemic_shifts(compared(np.zeros((12, 1)), stage=moved, versions={"torch": "3"}))) == 1
    assert len(systemic_shifts(compared(np.zeros((12, 1)), stage=moved, noise=measured(0.0, stage=2e-3)))) == 1
    assert systemic_shifts(compared(np.zeros((12, 1)), stage=STAGE * (1 + 9e-5), versions={"torch": "3"})) == ()
    assert systemic_shifts(compared(np.zeros((12, 1)), stage=STAGE * (1 + 5e-5))) == ()


def test_places_that_are_tied_between_two_classes_are_no_shift():
    def with_region(each, values):
        return dataclasses.replace(each, stages={Stage(StageKind.REGION): fingerprint_array(values)})

    region = np.arange(10_000) < 4_000
    tied = np.arange(10_000) < 4_001
    cases = [
        dataclasses.replace(each, obtained=with_region(each.obtained, tied), golden=with_region(each.golden, region))
        for each in compared(np.zeros((12, 1)))
    ]
    assert systemic_shifts(cases) == ()


@pytest.mark.parametrize("stage", [STAGE * 1.5, STAGE[:-1]], ids=["other numbers", "another shape"])
def test_a_stage_that_every_case_names_is_left_to_them(stage):
    cases = compared(np.zeros((12, 1)), stage=stage)
    assert {each.verdict.origin.stage for each in cases} == {LOGITS}
    assert systemic_shifts(cases) == ()


def test_stages_that_stay_where_they_are_make_nothing_else_more_significant():
    """Eleven of eleven are no finding in one of 20 fields, whatever else does not move."""
    changes = np.where(np.random.default_rng(0).random((11, FIELDS)) < 0.5, -0.3, 0.3)
    changes[:, 3] = 0.3
    assert sign_test(11, 0) * FIELDS > FALSE_DISCOVERIES > sign_test(11, 0) * (FIELDS + 5) / 6
    still = {Stage(StageKind.ACTIVATIONS, f"layer{i}"): STILL for i in range(5)}
    cases = [
        dataclasses.replace(
            each,
            obtained=dataclasses.replace(each.obtained, stages=still),
            golden=dataclasses.replace(each.golden, stages=still),
        )
        for each in compared(changes)
    ]
    assert systemic_shifts(cases) == ()


def alarms(draw, runs):
    rng = np.random.default_rng(11)
    return np.mean([bool(systemic_shifts(compared(draw(rng)))) for _ in range(runs)])


@pytest.mark.parametrize("cases, runs, most", [(12, 150, 5), (40, 50, 3)])
def test_chance_alarms_no_more_often_than_stated(cases, runs, most):
    """Noise far above what is measured, symmetric, of 20 fields: at most 1 run in 100."""
    assert FALSE_DISCOVERIES == 0.01
    # At one alarm in 100 runs, more alarms than these have a probability below 5e-3.
    assert alarms(lambda rng: rng.normal(0, 0.25, (cases, FIELDS)), runs) * runs <= most


def test_chance_that_moves_all_fields_of_a_case_together_alarms_no_more_often():
    def draw(rng):
        return 0.2 * rng.normal(size=(12, 1)) + 0.05 * rng.normal(size=(12, FIELDS))

    assert alarms(draw, 150) <= 5 / 150


@pytest.mark.parametrize("cases, shift, least", [(12, 2.5, 0.75), (40, 1.0, 0.9), (40, 0.2, 0.0)])
def test_power_by_the_size_of_the_shift(cases, shift, least):
    """One field of 20; the shift in standard deviations of what the single cases scatter."""

    def draw(rng):
        changes = np.zeros((cases, FIELDS))
        changes[:, 3] = 0.1 * (shift + rng.normal(size=cases))
        return changes

    rate = alarms(draw, 20)
    assert rate >= least and (shift > 0.2 or rate < 0.3)
