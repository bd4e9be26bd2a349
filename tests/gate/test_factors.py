"""What trials say: each state of affairs is made by hand, so the right sentence is known."""

import dataclasses

import pytest
from synthetic import make_result

from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.factors import Trial, conclusion, factors, fixed_changes, judge_as_if, table
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.fields import Finding, Severity

CASE = make_result().case
TORCH = Change("torch", "2.6.0", "2.15.0", ChangeKind.VERSION)
CLASSES = Change("class list", "3 classes (aaaa)", "3 classes (bbbb)", ChangeKind.PARAMETER)


def drifted(*severities):
    findings = tuple(Finding(f"map {i}", each, "rank", "moved") for i, each in enumerate(severities))
    return Verdict(CASE, State.DRIFT, findings)


NOW = Trial((), drifted(Severity.CONCLUSION, Severity.NUMBERS))
OK = Verdict(CASE, State.OK)


@pytest.mark.parametrize(
    ("trials", "fixed", "expected"),
    [
        ([Trial((), OK)], [], "the cause is not on this machine"),
        ([Trial((), OK)], [TORCH], "torch 2.6.0 -> 2.15.0"),
        ([NOW, Trial(("model",), OK), Trial(("precision",), NOW.verdict)], [], "Cause: model. With nothing else"),
        ([NOW, Trial(("model",), OK), Trial(("precision",), OK)], [], "Cause: model or precision."),
        (
            [NOW, Trial(("model",), NOW.verdict), Trial(("device",), NOW.verdict), Trial(("model", "device"), OK)],
            [],
            "Cause: model and device together",
        ),
        (
            [NOW, Trial(("model",), drifted(Severity.NUMBERS)), Trial(("device",), NOW.verdict)],
            [TORCH],
            "One cause: model (2 findings, only 1 when it is restored). There is another cause. Not restored, because",
        ),
        ([NOW, Trial(("model",), NOW.verdict)], [], "No factor that could be restored here is the cause."),
        ([NOW, Trial(("model",), None, "missing")], [], "The cause may be model: the table says why it could not be"),
        ([NOW, Trial(("model",), None, "missing")], [TORCH], "Run the case in an environment with the former versions"),
        ([NOW, Trial(("preprocessing",), NOW.verdict)], [CLASSES], "(bbbb). Put that back, and run"),
    ],
)
def test_the_conclusion_follows_from_the_trials(trials, fixed, expected):
    assert expected in conclusion(trials, fixed)


def test_nobody_is_sent_to_the_code_by_a_case_that_matches():
    assert "look at the code" not in conclusion([Trial((), OK), Trial(("model",), None, "missing")], [])


def test_a_factor_is_named_only_where_something_of_it_changed():
    golden = make_result()
    assert factors(golden, golden) == ("preprocessing",)
    was = golden.provenance
    other = dataclasses.replace(
        was,
        digests={**was.digests, "weights": "f" * 64},
        precision={**was.precision, "mkldnn": "other"},
        versions={**was.versions, "torch": "99"},
        seed=was.seed + 1,
        device="Some GPU",
    )
    now = dataclasses.replace(golden, provenance=other)
    assert factors(now, golden) == ("model", "preprocessing", "precision", "device", "parameters")
    assert [change.what for change in fixed_changes(now, golden)] == ["torch"]


def test_a_trial_with_other_parameters_is_judged_field_by_field():
    golden = make_result()
    case = dataclasses.replace(golden.case, params={**golden.case.params, "seed": 17})
    assert judge_as_if(dataclasses.replace(golden, case=case), golden).state is State.OK


def test_the_table_says_what_came_of_each_trial():
    lines = table([NOW, Trial(("model",), OK), Trial(("device",), None, "no such device")])
    assert lines[0].split() == ["restored", "outcome"]
    assert "conclusion changed, 2 findings" in lines[1]
    assert lines[2].endswith("matches its golden") and lines[3].endswith("could not be computed: no such device")
