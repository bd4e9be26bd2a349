"""The last words of a command: passed or failed, how badly, and advice that is no part of it."""

import pytest

from xai_eval.gate.run_findings import NO_FINDINGS, RunFindings
from xai_eval.gate.systemic import Systemic
from xai_eval.gate.tolerance_fit import Fit, ToleranceNote
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.outcome import advice_lines, outcome_line
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Case
from xai_eval.store.noise import LargestNoise

SHIFTED = RunFindings(systemic=(Systemic("cams", "net", "gradcam", "energy", 9, 9, 0, 0.1, 0.01),))


def verdict(state, *findings):
    return Verdict(Case("cams", "net", f"photos/{state}-{len(findings)}"), state, findings)


MOVED = verdict(State.DRIFT, Finding("gradcam", Severity.EVIDENCE, "rank", "it moved", 0.1, 0.9))
OTHER_CLASS = verdict(
    State.DRIFT, Finding("predicted", Severity.CONCLUSION, "label", "fish, not bird"), *MOVED.findings
)


@pytest.mark.parametrize(
    ("verdicts", "found", "code", "starts", "says"),
    [
        ([verdict(State.OK)], NO_FINDINGS, 0, "PASSED (exit code 0): ", "The explanation matches its golden."),
        ([verdict(State.MISSING)], NO_FINDINGS, 0, "DONE (exit code 0): ", "`xai-eval check` fails for it."),
        ([verdict(State.MISSING)], NO_FINDINGS, 1, "FAILED (exit code 1): ", "1 case has no golden yet."),
        ([MOVED], NO_FINDINGS, 1, "FAILED (exit code 1): The explanation changed in evidence", "no predicted class ch"),
        ([OTHER_CLASS], NO_FINDINGS, 1, "FAILED (exit code 1): ", "; the predicted class changed."),
        ([OTHER_CLASS, MOVED], NO_FINDINGS, 1, "FAILED (exit code 1): All 2 ", "; the predicted class changed in 1."),
        ([OTHER_CLASS, MOVED, verdict(State.OK)], NO_FINDINGS, 1, "FAILED (exit code 1): 2 of 3 ", ": 1 in conclusion"),
        (
            [verdict(State.OK)],
            SHIFTED,
            1,
            "FAILED (exit code 1): Many explanations changed a little",
            "within its limits.",
        ),
        ([], NO_FINDINGS, 3, "FAILED (exit code 3): ", "No case was measured."),
    ],
)
def test_one_line_says_whether_it_failed_and_how_badly(verdicts, found, code, starts, says):
    line = outcome_line(verdicts, found, code)
    assert line.startswith(starts) and says in line


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("seeds from 1000", "drawing other random samples (seeds from 1000), which is no drift, moves it by 0.7"),
        ("2 threads", "computing with 2 threads, which is no drift,"),
        ("batches of 64", "computing with batches of 64, which is no drift,"),
        ("float64", "computing in double precision, which is no drift,"),
        ("another moon", "another moon, which is no drift,"),
    ],
)
def test_advice_stands_below_its_heading_in_words(condition, words):
    note = ToleranceNote(Fit.TOO_TIGHT, "lime", "net", "lime", "x", 1, "lime/a", 0.1, 0.5, LargestNoise(0.7, condition))
    heading, line = advice_lines(RunFindings(tolerances=(note,)))
    assert "how far harmless changes move a result" in heading and "nothing fails" in heading and words in line


def test_without_anything_to_be_done_nothing_is_said():
    note = ToleranceNote(Fit.GENEROUS, "lime", "net", "lime", "x", 1, "lime/a", 0.1, 0.5, LargestNoise(1e-4, "float64"))
    assert advice_lines(RunFindings(tolerances=(note,))) == advice_lines(NO_FINDINGS) == []
