"""The plugin in a user's own repository, which has the package installed and nothing else."""

import datetime
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from plugin_suite import HEADER, accept, stored
from synthetic import make_result

from xai_eval.cli.main import main
from xai_eval.store.goldens import Goldens

SOON = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30)


def test_missing_fails_accept_passes_change_fails_accept_passes(repo, monkeypatch):
    repo.runpytest().assert_outcomes(failed=10)
    assert accept(repo) == 0
    repo.runpytest().assert_outcomes(passed=10)
    monkeypatch.setenv("MOVED", "image-3.jpg")
    changed = repo.runpytest()
    changed.assert_outcomes(passed=9, failed=1)
    changed.stdout.fnmatch_lines(["*drift: cams/photos-image-3-jpg-*: Grad-CAM changed (evidence): *"])
    assert accept(repo) == 0
    repo.runpytest().assert_outcomes(passed=10)


def test_failure_leads_with_verdict_measure_and_path(repo, monkeypatch):
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "image-0.jpg")
    result = repo.runpytest("-k", "image-0")
    result.stdout.re_match_lines(
        [
            r"drift: cams/photos-image-0-jpg-\w+: Grad-CAM changed \(evidence\): .*needs at least 0.95",
            r"obtained: .*reports.*results.*",
            r"find the cause, .*: xai-eval explain-drift cams/photos-image-0-\S+ --model file:nets\S+ --images IMAGES",
            r"if this is right: xai-eval accept cams/photos-image-0-jpg-\w+ --reason \"...\"",
        ]
    )


def test_the_summary_is_worst_first_and_names_the_page(repo, monkeypatch):
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "image-7.jpg")
    result = repo.runpytest()
    explain = "find the cause of the worst drift, with the images *: xai-eval explain-drift cams/photos-image-7-*"
    lines = ["*= xai-eval =*", "*drift*image-7*", "*10 cases: 9 ok, 1 drift*", explain, "page: *index.html"]
    result.stdout.fnmatch_lines(lines)
    assert (repo.path / "reports" / "index.html").is_file()
    document = json.loads((repo.path / "reports" / "verdicts.json").read_text())
    assert document["schema"] == 5
    assert sorted(v["state"] for v in document["verdicts"]) == ["drift"] + ["ok"] * 9


def test_a_first_run_is_one_line_and_its_command_accepts_it(repo):
    result = repo.runpytest()
    told = (
        'NEW: 10 cases have no golden. Look at reports/index.html, then: xai-eval accept --all --reason "first goldens"'
    )
    result.stdout.fnmatch_lines(["new: cams/photos-image-*", told, "10 cases: 10 new"])
    assert main(["accept", "--all", "--reason", "first goldens"]) == 0
    repo.runpytest().assert_outcomes(passed=10)


def test_what_a_golden_lacks_passes_is_told_and_accepted(repo):
    repo.runpytest()
    accept(repo)
    text = (repo.path / "test_suite.py").read_text()
    more = 'make_result(name, stages={Stage(StageKind.VIEW): spot}, fields={"new": Label("a")}, saliency=spot)'
    text = text.replace("make_result(name, saliency=spot)", more)
    repo.makepyfile(
        test_suite=f"{text}\nfrom xai_eval import Stage, StageKind\nfrom xai_eval.result.fields import Label\n"
    )
    result = repo.runpytest("--junitxml=junit.xml")
    result.assert_outcomes(passed=10)
    told = "unwatched  10 goldens lack what the run obtained, so nothing watches it: field new (10), stage view (10). *"
    result.stdout.fnmatch_lines([f"{told}To have it watched: xai-eval accept --all --reason *"])
    case = ET.parse(repo.path / "junit.xml").getroot().find("testsuite/testcase")
    properties = {p.get("name"): p.get("value") for p in case.findall("properties/property")}
    assert properties["xai_unwatched"] == "field new; stage view"
    accept(repo)
    repo.runpytest().stdout.no_fnmatch_line("*unwatched*")


def judged(repo):
    """What `verdicts.json` says, whoever wrote it."""
    document = json.loads((repo.path / "reports" / "verdicts.json").read_text())
    return {name: document[name] for name in ("verdicts", "states", "systemic", "unwatched", "failed", "quarantine")}


def test_the_command_line_judges_a_session_as_pytest_did(repo, monkeypatch, capsys):
    repo.runpytest()
    accept(repo)
    goldens = Goldens(repo.path / "golden")
    goldens.store(make_result("gone.jpg"), "looked")
    goldens.store(make_result("x.jpg", task="lime"), "looked")
    # Of a task and of a model that the tests have, but not together.
    goldens.store(make_result("other.jpg", model="other"), "looked")
    (repo.path / "golden" / "quarantine.toml").write_text(
        f'["{make_result("image-4.jpg").case.key}"]\nowner = "Mira"\nreason = "later"\nexpires = {SOON}\n'
    )
    text = (repo.path / "test_suite.py").read_text()
    more = "\ndef test_lime(xai_golden): xai_golden.check(make_result('x.jpg', task='lime', model='other'))\n"
    repo.makepyfile(test_suite=text + more)
    monkeypatch.setenv("MOVED", "image-4.jpg")
    # The test of lime says what the summary says: its golden is that of the model that was replaced.
    repo.runpytest("-v").stdout.fnmatch_lines(["*test_lime PASSED*"])
    by_pytest = judged(repo)
    main(["check"])
    assert judged(repo) == by_pytest
    # The test of lime is judged by the golden of the model that was replaced; `other.jpg` was of no test.
    states = {"ok": 10, "drift": 1, "missing": 0, "unused": 1, "incomparable": 0, "error": 0}
    assert by_pytest["states"] == states


def test_a_retry_does_not_launder_a_missing_golden(repo):
    result = repo.runpytest("--reruns", "2", "-k", "image-1")
    result.assert_outcomes(failed=1, deselected=9)
    assert stored(repo) == []


def test_runs_never_write_goldens(repo, monkeypatch):
    repo.runpytest()
    assert not (repo.path / "golden").exists()
    accept(repo)
    before = {p: p.read_bytes() for p in (repo.path / "golden").rglob("*") if p.is_file()}
    monkeypatch.setenv("MOVED", "image-2.jpg")
    repo.runpytest()
    assert {p: p.read_bytes() for p in (repo.path / "golden").rglob("*") if p.is_file()} == before


def test_junit_has_case_state_severity_and_verdict(repo, monkeypatch):
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "image-5.jpg")
    repo.runpytest("--junitxml=junit.xml", "-k", "image-5")
    (case,) = ET.parse(repo.path / "junit.xml").getroot().findall("testsuite/testcase")
    properties = {p.get("name"): p.get("value") for p in case.findall("properties/property")}
    assert properties["xai_state"] == "drift"
    assert properties["xai_severity"] == "evidence"
    assert "The change begins at the final map of Grad-CAM" in properties["xai_verdict"]


def test_two_tests_may_not_check_one_case(repo):
    text = (repo.path / "test_suite.py").read_text()
    repo.makepyfile(test_suite=f"{text}\ndef test_again(xai_golden): xai_golden.check(make_result('image-0.jpg'))")
    repo.runpytest("-k", "again or image-0").stdout.fnmatch_lines(["*two tests check the case cams/photos-image-0*"])


TWICE = HEADER + "\n".join(
    f"def test_{name}(xai_golden): xai_golden.check(make_result('image.jpg'))" for name in ("one", "two")
)


@pytest.mark.slow
def test_two_tests_on_two_workers_may_not_check_one_case_either(repo):
    repo.makepyfile(test_suite=TWICE)
    Goldens(repo.path / "golden").store(make_result("image.jpg"), "looked")
    result = repo.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*two tests check the case cams/photos-image-*test_one*test_two*"])


def test_help_shows_one_group_with_one_prefix(repo):
    result = repo.runpytest("--help")
    result.stdout.fnmatch_lines(
        [
            "regression testing for explanations:*",
            "*--xai-golden=DIR*",
            "*--xai-report=DIR*",
            "*--xai-strict*",
        ]
    )


def test_a_run_without_explanations_pays_nothing_and_writes_nothing(repo):
    repo.makepyfile(test_suite="def test_it(): assert True")
    code = (
        "import sys, pytest; code = pytest.main(['-q', '-p', 'no:cacheprovider']);"
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules);"
        "print('heavy:', sorted(heavy)); sys.exit(code)"
    )
    # Only the plugin under test: others, such as hypothesis, may import numpy.
    environment = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "xai_eval.pytest_plugin.hooks",
    }
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=repo.path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "heavy: []" in done.stdout
    assert not (repo.path / "reports").exists()


def test_every_option_is_documented_in_the_markers(repo):
    result = repo.runpytest("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.xai:*", "*", "@pytest.mark.gpu:*", "*", "@pytest.mark.real:*"])
