"""The first sentence of the page: what became of the run, how badly, and why."""

import dataclasses

import pytest

from xai_eval.gate.verdict import State
from xai_eval.report.text.head import head
from xai_eval.report.text.summary import worst_first


@pytest.fixture(scope="module")
def verdicts(build):
    return worst_first(build.run()[-1])


def of(verdicts, *states):
    return [verdict for verdict in verdicts if verdict.state in states]


def test_it_counts_what_changed_and_names_the_cause_and_everything_else(verdicts):
    said = head(verdicts)
    assert said.outcome == (
        "4 of 9 explanations changed: 1 in conclusion (another answer, such as the class), 2 in evidence (other "
        "places or reasons), 1 in numbers alone; the predicted class changed in 1. Cause: something that is not "
        "recorded, such as code (weights, images, versions and settings are as before). "
        "1 case ended in an error, 1 case cannot be compared with its golden (if the change was meant, accept it), "
        "1 case has no golden yet, 1 golden was not used."
    )
    assert said.next_step.startswith("Look at the worst case of each cause below.")


def test_what_is_all_well_needs_nothing(verdicts):
    fine = of(verdicts, State.OK)
    assert head(fine).outcome == "The explanation matches its golden." and head(fine).next_step == ""
    assert head(fine * 3).outcome == "All 3 explanations match their goldens."


def test_a_first_run_is_no_failure(verdicts):
    new = of(verdicts, State.MISSING)
    assert head(new).outcome == "1 case has no golden yet."
    assert head(new).next_step == "Look at the images below. If they are right, keep them as goldens."


def test_several_causes_are_told_apart(verdicts):
    first, *rest = of(verdicts, State.DRIFT)
    other = dataclasses.replace(first, unsteady="The model answers differently from pass to pass.")
    assert "Causes: 1 image: the model answers the same image differently" in head([other, *rest]).outcome
    assert "; 3 images: something that is not recorded, such as code" in head([other, *rest]).outcome


def test_no_case_at_all_is_not_well():
    assert head([]).outcome == "No case was measured."
