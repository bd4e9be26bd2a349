"""A session that saw a failing verdict ends red, whatever the test did with it; a dry session judges nothing."""

import datetime

import pytest
from plugin_suite import HEADER, with_and_without_xdist
from synthetic import make_result

from xai_eval.store.goldens import Goldens
from xai_eval.store.quarantine import QUARANTINE_FILE

CASE = make_result("image-0.jpg").case
DRIFT = "xai_golden.check(make_result('image-0.jpg', saliency=blob(150, 40)))"
WAYS = {
    "swallowed": f"""
def test_one(xai_golden):
    try:
        {DRIFT}
    except BaseException:
        pass
""",
    "raises": f"""
def test_one(xai_golden):
    with pytest.raises(BaseException):
        {DRIFT}
""",
    "skipped": f"""
def test_one(xai_golden):
    try:
        {DRIFT}
    except BaseException:
        pytest.skip("later")
""",
    "xfail mark": f"""
@pytest.mark.xfail
def test_one(xai_golden):
    {DRIFT}
""",
    "xfail call": f"""
def test_one(xai_golden):
    try:
        {DRIFT}
    finally:
        pytest.xfail("known")
""",
    "checked again": f"""
def test_one(xai_golden):
    try:
        {DRIFT}
    except BaseException:
        xai_golden.check(make_result('image-0.jpg'))
""",
    "in a fixture": f"""
@pytest.fixture
def early(xai_golden):
    try:
        {DRIFT}
    except BaseException:
        pass

def test_one(early): pass
""",
}
WORDS = {"xfail mark": "xfailed", "xfail call": "xfailed", "skipped": "skipped"}


@pytest.fixture
def drifting(repo):
    """A repository with a golden that its only test will not match."""
    Goldens(repo.path / "golden").store(make_result("image-0.jpg"), "looked")
    return repo


def write(repo, test):
    repo.makepyfile(test_suite=f"{HEADER}\nfrom synthetic import blob\n{test}")


def set_aside(repo):
    soon = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30)
    entry = f'["{CASE.key}"]\nowner = "Mira"\nreason = "upstream"\nexpires = {soon}\n'
    (repo.path / "golden" / QUARANTINE_FILE).write_text(entry)


@pytest.mark.parametrize("way", WAYS)
def test_a_verdict_that_a_test_hides_fails_the_session_and_is_said(drifting, way):
    write(drifting, WAYS[way])
    result = drifting.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    said = f"test_suite.py::test_one {WORDS.get(way, 'passed')}, although its verdict fails"
    result.stdout.fnmatch_lines([f"drift: {CASE.key}: *", "1 case: *", said, f"FAILED xai-eval::hidden?{CASE.key}?*"])


@pytest.mark.parametrize("way", ["swallowed", "xfail mark", "checked again"])
def test_a_case_in_quarantine_may_do_so(drifting, way):
    write(drifting, WAYS[way])
    set_aside(drifting)
    assert drifting.runpytest().ret == pytest.ExitCode.OK


@with_and_without_xdist
def test_a_failure_that_its_test_reports_is_reported_once(drifting, arguments):
    write(drifting, f"def test_one(xai_golden): {DRIFT}")
    drifting.runpytest(*arguments).assert_outcomes(failed=1)
    write(drifting, WAYS["swallowed"])
    assert drifting.runpytest(*arguments).ret == pytest.ExitCode.TESTS_FAILED


def test_the_last_try_of_a_test_counts(drifting):
    tried = drifting.path / "tried"
    last = f"""
def test_one(xai_golden):
    from pathlib import Path
    if not Path({str(tried)!r}).exists():
        Path({str(tried)!r}).touch()
        {DRIFT}
    REST
"""
    write(drifting, last.replace("REST", "xai_golden.check(make_result('image-0.jpg'))"))
    assert drifting.runpytest("--reruns", "1").ret == pytest.ExitCode.OK
    tried.unlink()
    write(drifting, last.replace("REST", f"""
    try:
        {DRIFT}
    except BaseException:
        pass"""))  # fmt: skip
    assert drifting.runpytest("--reruns", "1").ret == pytest.ExitCode.TESTS_FAILED


def test_a_test_that_ends_the_session_as_a_success_does_not_hide_a_drift(drifting):
    write(drifting, f"def test_one(xai_golden): {DRIFT}\ndef test_two(): pytest.exit('done', returncode=0)")
    assert drifting.runpytest().ret == pytest.ExitCode.TESTS_FAILED


@with_and_without_xdist
def test_a_case_that_a_copy_of_the_process_checks_fails_the_session(drifting, arguments):
    forked = f"""
import os

def test_one(xai_golden):
    child = os.fork()
    if not child:
        try:
            {DRIFT}
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""
    write(drifting, f"{forked}\ndef test_two(xai_golden): xai_golden.check(make_result('image-1.jpg'))")
    Goldens(drifting.path / "golden").store(make_result("image-1.jpg"), "looked")
    result = drifting.runpytest(*arguments)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["a case was checked in another process*"])


@pytest.mark.parametrize("option", ["--setup-plan", "--setup-only", "--collect-only"])
def test_a_dry_session_judges_and_writes_nothing(drifting, option):
    write(drifting, f"def test_one(xai_golden): {DRIFT}")
    assert drifting.runpytest(option, "--xai-strict").ret == pytest.ExitCode.OK
    assert not (drifting.path / "reports").exists()
    write(drifting, WAYS["in a fixture"].replace("except BaseException:", "finally:"))
    assert drifting.runpytest(option).ret == pytest.ExitCode.OK
    assert not (drifting.path / "reports").exists()
