"""Under pytest too, a shift that no single test shows fails the session."""

import json
from pathlib import Path

import pytest

from xai_eval.cli.main import main

SUITE = """
import os, sys
sys.path.insert(0, {tests!r})
import pytest
from synthetic import make_result
from xai_eval.result.fields import Score

@pytest.mark.xai
@pytest.mark.parametrize("index", range(12))
def test_explanation(index, xai_golden):
    energy = Score(index / 12 + float(os.environ.get("MOVED", "0")), 0.1)
    xai_golden.check(make_result(f"{{index}}.jpg", fields={{"energy": energy}}))
"""


@pytest.mark.slow
def test_a_systemic_shift_fails_the_session_and_rounding_does_not(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(test_suite=SUITE.format(tests=str(Path(__file__).parent)))
    pytester.runpytest()
    assert main(["accept", "--all", "--reason", "looked"]) == 0
    monkeypatch.setenv("MOVED", "1e-7")
    assert pytester.runpytest().ret == 0
    monkeypatch.setenv("MOVED", "0.04")
    moved = pytester.runpytest()
    assert moved.ret == 1
    moved.assert_outcomes(passed=12, failed=1)
    moved.stdout.fnmatch_lines(["*systemic  energy of cams*12 of 12 cases*", "*12 cases: 12 ok*"])
    assert json.loads((pytester.path / "reports" / "verdicts.json").read_text())["failed"] is True
