"""The plugin in a user's own repository, which has the package installed and nothing else."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from xai_eval.cli import main
from xai_eval.golden import Goldens

# What a user's test would get from `evaluate`, made by hand so that no model has to run.
SUITE = """
import os, sys
sys.path.insert(0, {tests!r})
import pytest
from synthetic import blob, make_result

NAMES = [f"image-{{i}}.jpg" for i in range({count})]

@pytest.mark.xai
@pytest.mark.parametrize("name", NAMES)
def test_explanation(name, xai_golden):
    spot = blob(150, 40) if os.environ.get("MOVED") == name else blob(80, 120)
    xai_golden.check(make_result(name, saliency=spot))
"""


@pytest.fixture
def repo(pytester, monkeypatch):
    """A repository with ten explained pictures; `accept` is what a person does between two runs."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("MOVED", raising=False)
    pytester.makepyfile(test_suite=SUITE.format(tests=str(Path(__file__).parent), count=10))
    return pytester


def accept(repo, *arguments):
    """Accept in this process: a new one would import pandas again."""
    assert Path.cwd() == repo.path
    return main(["accept", *(arguments or ("--all",)), "--reason", "looked"])


def stored(repo):
    return sorted(result.case.input for result in Goldens(repo.path / "golden").load_all()[0].values())


def test_missing_fails_accept_passes_change_fails_accept_passes(repo, monkeypatch):
    repo.runpytest().assert_outcomes(failed=10)
    assert accept(repo) == 0
    repo.runpytest().assert_outcomes(passed=10)
    monkeypatch.setenv("MOVED", "image-3.jpg")
    changed = repo.runpytest()
    changed.assert_outcomes(passed=9, failed=1)
    changed.stdout.fnmatch_lines(["*drift: cams/photos-image-3-jpg-*: evidence changed: gradcam: *"])
    assert accept(repo) == 0
    repo.runpytest().assert_outcomes(passed=10)


def test_failure_leads_with_verdict_measure_and_path(repo, monkeypatch):
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "image-0.jpg")
    result = repo.runpytest("-k", "image-0")
    result.stdout.re_match_lines(
        [r"drift: cams/photos-image-0-jpg-\w+: evidence changed: .*limit", r"obtained: .*reports.*results.*"]
    )


def test_the_summary_is_worst_first_and_names_the_page(repo, monkeypatch):
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "image-7.jpg")
    result = repo.runpytest()
    result.stdout.fnmatch_lines(["*= xai-eval =*", "*drift*image-7*", "*10 cases: 9 ok, 1 drift*", "page: *index.html"])
    assert (repo.path / "reports" / "index.html").is_file()
    document = json.loads((repo.path / "reports" / "verdicts.json").read_text())
    assert document["schema"] == 1
    assert sorted(v["state"] for v in document["verdicts"]) == ["drift"] + ["ok"] * 9


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


@pytest.mark.parametrize(
    "selection",
    [
        ("-k", "image-1"),
        ("-m", "not xai"),
        ("test_suite.py::test_explanation[image-4.jpg]",),
        ("--lf",),
        ("test_suite.py",),
    ],
    ids=["k", "m", "node id", "lf", "file"],
)
def test_a_selection_neither_loses_goldens_nor_calls_them_unused(repo, selection):
    repo.runpytest()
    accept(repo)
    result = repo.runpytest(*selection)
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    result.stdout.no_fnmatch_line("*unused* cams/*")
    assert len(stored(repo)) == 10


def test_accepting_after_a_selection_touches_only_what_was_selected(repo, monkeypatch):
    repo.runpytest()
    repo.runpytest("-k", "image-4")
    accept(repo)
    assert stored(repo) == ["photos/image-4.jpg"]


@pytest.mark.parametrize("arguments", [("-n", "2"), ("-p", "no:xdist")], ids=["xdist", "no xdist"])
def test_an_unused_golden_fails_the_run_within_the_test_results(repo, arguments):
    repo.runpytest()
    accept(repo)
    repo.makepyfile(test_suite=SUITE.format(tests=str(Path(__file__).parent), count=9))
    result = repo.runpytest_subprocess(*arguments, "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*unused* cams/*image-9*"])
    suite = ET.parse(repo.path / "junit.xml").getroot().find("testsuite")
    assert suite.get("failures") == "1"
    assert len(stored(repo)) == 10


def test_a_hundred_cases_under_xdist_are_all_judged_and_stored(repo):
    repo.makepyfile(test_suite=SUITE.format(tests=str(Path(__file__).parent), count=100))
    assert repo.runpytest_subprocess("-n", "4", "-q").ret == pytest.ExitCode.TESTS_FAILED
    assert accept(repo) == 0
    assert len(stored(repo)) == 100
    result = repo.runpytest_subprocess("-n", "4", "-q", "--junitxml=junit.xml")
    result.stdout.fnmatch_lines(["*100 cases: 100 ok*"])
    cases = ET.parse(repo.path / "junit.xml").getroot().findall("testsuite/testcase")
    properties = [{p.get("name"): p.get("value") for p in case.findall("properties/property")} for case in cases]
    assert len({p["xai_case"] for p in properties}) == 100
    assert {p["xai_state"] for p in properties} == {"ok"}


def test_junit_has_case_state_severity_and_verdict(repo, monkeypatch):
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "image-5.jpg")
    repo.runpytest("--junitxml=junit.xml", "-k", "image-5")
    (case,) = ET.parse(repo.path / "junit.xml").getroot().findall("testsuite/testcase")
    properties = {p.get("name"): p.get("value") for p in case.findall("properties/property")}
    assert properties["xai_state"] == "drift"
    assert properties["xai_severity"] == "evidence"
    assert "First stage that moved: final map gradcam" in properties["xai_verdict"]


def test_skipped_and_xfailed_tests_do_not_make_their_goldens_unused(repo):
    repo.runpytest()
    accept(repo)
    suite = repo.path / "test_suite.py"
    text = suite.read_text()
    suite.write_text(
        text.replace(
            "def test_explanation(name, xai_golden):",
            "def test_explanation(name, xai_golden, request):\n"
            "    if name == 'image-0.jpg': pytest.skip('today')\n"
            "    if name == 'image-1.jpg': pytest.xfail('known')",
        )
    )
    result = repo.runpytest()
    result.assert_outcomes(passed=8, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["*2 tests that use goldens did not come to check a result*"])


def test_a_run_that_measures_nothing_fails(repo):
    repo.makepyfile(test_suite="import pytest\ndef test_it(xai_golden): pytest.skip('no time')")
    result = repo.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*nothing was measured*"])


ABSENT = """
import pytest
from xai_eval.errors import InputUnavailable

@pytest.fixture
def photographs():
    raise InputUnavailable("imagenet-samples is missing: looked in data/")

@pytest.mark.{marker}
def test_in_setup(photographs, xai_golden): ...

@pytest.mark.{marker}
def test_in_call(xai_golden):
    raise InputUnavailable("weights are missing: looked in data/")
"""


def test_an_absent_input_of_a_real_test_is_said_and_fails_when_strict(repo):
    repo.makepyfile(test_suite=ABSENT.format(marker="real"))
    result = repo.runpytest("-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*imagenet-samples is missing: looked in data/*", "*weights are missing*"])
    repo.runpytest("--xai-strict").assert_outcomes(failed=1, errors=1)
    repo.makeini("[pytest]\nxai_strict = true")
    repo.runpytest().assert_outcomes(failed=1, errors=1)


def test_an_absent_input_of_an_ordinary_test_is_a_failure(repo):
    repo.makepyfile(test_suite=ABSENT.format(marker="xai"))
    repo.runpytest().assert_outcomes(failed=1, errors=1)


def test_a_gpu_test_says_that_cuda_is_missing_and_fails_when_strict(repo, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    repo.makepyfile(test_suite="import pytest\n@pytest.mark.gpu\ndef test_it(): assert True")
    result = repo.runpytest("-rs", "-m", "gpu")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*CUDA is not available here*"])
    repo.runpytest("-m", "gpu", "--xai-strict").assert_outcomes(errors=1)


def test_two_tests_may_not_check_one_case(repo):
    text = (repo.path / "test_suite.py").read_text()
    repo.makepyfile(test_suite=f"{text}\ndef test_again(xai_golden): xai_golden.check(make_result('image-0.jpg'))")
    repo.runpytest("-k", "again or image-0").stdout.fnmatch_lines(["*two tests check the case cams/photos-image-0*"])


def test_options_win_over_ini_keys_and_ini_keys_over_defaults(repo):
    repo.makeini("[pytest]\nxai_report = out/ini\nxai_golden = from-ini")
    repo.runpytest("-k", "image-0")
    assert (repo.path / "out" / "ini" / "run.json").is_file()
    assert accept(repo, "--all", "--results", "out/ini", "--golden", "from-ini") == 0
    repo.runpytest("-k", "image-0").assert_outcomes(passed=1, deselected=9)
    repo.runpytest("-k", "image-0", "--xai-report", "option").assert_outcomes(passed=1, deselected=9)
    assert (repo.path / "option" / "run.json").is_file()
    repo.runpytest("-k", "image-0", "--xai-golden", "nowhere").assert_outcomes(failed=1, deselected=9)


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
        "PYTEST_PLUGINS": "xai_eval.pytest_plugin",
    }
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=repo.path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "heavy: []" in done.stdout
    assert not (repo.path / "reports").exists()


def test_every_option_is_documented_in_the_markers(repo):
    result = repo.runpytest("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.xai:*", "*", "@pytest.mark.gpu:*", "*", "@pytest.mark.real:*"])
