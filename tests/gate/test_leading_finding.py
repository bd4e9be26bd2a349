"""A verdict leads with the finding that is farthest beyond its limit, among those of the worst severity."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval import judge
from xai_eval.gate.causes import grouped
from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.judge import judge_all
from xai_eval.gate.stages import Responsible, StageShift
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.summary import summary_lines, worst_first
from xai_eval.result.fields import Document, Finding, Label, Score, Severity
from xai_eval.result.result import Case
from xai_eval.result.stage import Stage, StageKind


@pytest.mark.parametrize(
    ("value", "limit", "excess"),
    [
        (0.0209, 0.02, 1.045),
        (0.185, 0.75, 3.26),
        (0.9, 0.95, 2.0),
        (-1.0, 0.95, 40.0),
        (1e-9, 0.0, math.inf),
        (None, None, math.inf),
        (math.nan, 0.1, math.inf),
        (math.inf, 0.1, math.inf),
    ],
)
def test_the_distance_is_a_multiple_of_what_is_allowed(value, limit, excess):
    assert Finding("map", Severity.EVIDENCE, "overlap", "", value, limit).excess == pytest.approx(excess)


changes = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.floats(0.0, 5.0), st.floats(0.01, 1.0)), min_size=1)


@given(changes, st.booleans())
def test_the_farthest_of_the_worst_severity_leads(scores, another_class):
    golden = make_result(fields={name: Score(0.0, limit) for name, (_, limit) in scores.items()})
    fields = {name: Score(value, limit) for name, (value, limit) in scores.items()}
    obtained = make_result(fields={**fields, "explained": Label("kite" if another_class else "boat")})
    golden = dataclasses.replace(golden, fields={**golden.fields, "explained": Label("boat")})
    beyond = {name: value / limit for name, (value, limit) in scores.items() if value > limit}
    verdict = judge(obtained, golden)
    if another_class:
        assert verdict.findings[0].field == "explained" and verdict.excess == math.inf
    elif beyond:
        assert beyond[verdict.findings[0].field] == pytest.approx(max(beyond.values()))
        assert verdict.excess == pytest.approx(max(beyond.values()))
    keys = [(each.severity, each.excess) for each in verdict.findings]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize(
    ("task", "lime", "leads"), [("lime", 0.2, "lime"), ("lime", 0.0, "gradcam"), ("cams", 0.2, "gradcam")]
)
def test_lime_leads_its_own_task_whatever_grad_cam_does_beside_it(task, lime, leads):
    golden, obtained = (
        make_result(task=task, fields={name: Score(value, 0.1) for name, value in values.items()})
        for values in ({"gradcam": 0.0, "lime": 0.0}, {"gradcam": 9.0, "lime": lime})
    )
    assert judge(obtained, golden).findings[0].field == leads


@settings(max_examples=25)
@given(st.lists(st.floats(0.02, 9.0), min_size=2, max_size=6, unique=True))
def test_cases_are_sorted_by_how_far_they_are_beyond(values):
    results = [make_result(f"{n}.png", fields={"score": Score(value, 0.01)}) for n, value in enumerate(values)]
    goldens = [make_result(f"{n}.png", fields={"score": Score(0.0, 0.01)}) for n in range(len(values))]
    verdicts = judge_all({r.case.key: r for r in results}, {r.case.key: r for r in goldens})
    ordered = [each.findings[0].value for each in worst_first(verdicts)]
    assert ordered == sorted(values, reverse=True)


WEIGHTS = Change("weights", "aaaa", "bbbb", ChangeKind.WEIGHTS)
TORCH = Change("torch", "2.11.0", "2.15.0", ChangeKind.VERSION)


def drift(name, value, *changes, stage=StageKind.LOGITS, task="cams", **more):
    finding = Finding("score", Severity.NUMBERS, "difference", f"it moved by {value}", value, 0.01)
    origin = StageShift(Stage(stage), value, Responsible("forward pass of the model"))
    return Verdict(Case(task, "net", f"photos/{name}"), State.DRIFT, (finding,), origin, changes, **more)


def test_drifts_of_one_cause_are_one_group_with_the_worst_first():
    verdicts = [drift(f"{n}.png", 0.02 + n / 100, WEIGHTS) for n in range(11)]
    alone = drift("alone.png", 0.5, TORCH, stage=StageKind.INPUT_TENSOR)
    lines = summary_lines([*verdicts, alone])
    assert lines[0].startswith("drift  numbers  cams/photos-alone-png-")
    assert "Since the golden was accepted, this changed: torch 2.11.0 -> 2.15.0." in lines[0]
    assert lines[1].startswith(f"cause  11 images: weights changed. The worst is {verdicts[10].case.key}. The change")
    assert [line.split()[2] for line in lines[2:13]] == [each.case.key for each in reversed(verdicts)]
    assert not any("Since the golden" in line for line in lines[2:13])


def test_a_group_counts_images_once_and_keeps_what_does_not_fail_apart():
    both = [drift("a.png", 0.1, TORCH, task=task) for task in ("cams", "lime")]
    (group,) = grouped(both)
    assert group.title == "1 image in 2 cases: torch 2.11.0 -> 2.15.0"
    assert len(grouped([*both, drift("a.png", 0.1, TORCH, stage=StageKind.INPUT_TENSOR)])) == 2


def test_a_model_that_answers_differently_from_pass_to_pass_is_told_once():
    found = Document({"same answer twice": "no, because modules are in training mode"})
    goldens = [make_result(f"{n}.png", fields={"model": found}, predicted="crane") for n in range(3)]
    results = [make_result(f"{n}.png", fields={"model": found}) for n in range(3)]
    verdicts = judge_all({r.case.key: r for r in results}, {r.case.key: r for r in goldens})
    assert {each.state for each in verdicts} == {State.DRIFT}
    lines = summary_lines(verdicts)
    told = [line for line in lines if "differently from pass to pass because modules are in training mode" in line]
    assert len(told) == 1
    assert told[0].startswith("cause  3 images: the model answers the same image differently from pass to pass.")


def test_a_steady_model_is_not_accused():
    found = Document({"same answer twice": "yes"})
    pair = make_result(fields={"model": found}, predicted="crane"), make_result(fields={"model": found})
    assert judge(*pair).unsteady == ""
