"""The plugin in a user's own repository, which has the package installed and nothing else."""

import json
import os
import platform
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from synthetic import make_result

from xai_eval.cli import main
from xai_eval.golden import Goldens
from xai_eval.lock import LOCK_FILE

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


# The same in few words, for what does not need ten cases.
HEADER = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import pytest
from synthetic import make_result
"""
ONE_CASE = HEADER + "def test_{name}(xai_golden): xai_golden.check(make_result('{name}.jpg'))\n"


# Workers take seconds to start, so that what needs them runs among the slow tests; test_two_tests_on_two_workers stays.
with_and_without_xdist = pytest.mark.parametrize(
    "arguments",
    [pytest.param(("-n", "2"), id="xdist", marks=pytest.mark.slow), pytest.param(("-p", "no:xdist"), id="no xdist")],
)


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
        [
            r"drift: cams/photos-image-0-jpg-\w+: evidence changed: .*limit",
            r"obtained: .*reports.*results.*",
            r"what carries it, .*: xai-eval explain-drift cams/photos-image-0-\S+ --model \"...\" --images \"...\"",
            r"if this is right: xai-eval accept cams/photos-image-0-jpg-\w+ --reason \"...\"",
        ]
    )


def test_the_summary_is_worst_first_and_names_the_page(repo, monkeypatch):
    repo.runpytest()
    accept(repo)
    monkeypatch.setenv("MOVED", "image-7.jpg")
    result = repo.runpytest()
    explain = "what carries the worst drift: xai-eval explain-drift cams/photos-image-7-*"
    lines = ["*= xai-eval =*", "*drift*image-7*", "*10 cases: 9 ok, 1 drift*", explain, "page: *index.html"]
    result.stdout.fnmatch_lines(lines)
    assert (repo.path / "reports" / "index.html").is_file()
    document = json.loads((repo.path / "reports" / "verdicts.json").read_text())
    assert document["schema"] == 3
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


@with_and_without_xdist
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


@pytest.mark.slow
def test_a_hundred_cases_under_xdist_are_all_judged_and_stored(repo):
    repo.makepyfile(test_suite=SUITE.format(tests=str(Path(__file__).parent), count=100))
    assert repo.runpytest_subprocess("-n", "4", "-q").ret == pytest.ExitCode.TESTS_FAILED
    assert accept(repo, "--all", "--bulk") == 0
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
    assert "The final map gradcam moved first" in properties["xai_verdict"]


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


TWICE = HEADER + "\n".join(
    f"def test_{name}(xai_golden): xai_golden.check(make_result('image.jpg'))" for name in ("one", "two")
)


def test_two_tests_on_two_workers_may_not_check_one_case_either(repo):
    repo.makepyfile(test_suite=TWICE)
    Goldens(repo.path / "golden").store(make_result("image.jpg"), "looked")
    result = repo.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*two tests check the case cams/photos-image-*test_one*test_two*"])


@pytest.fixture
def nested(repo):
    """Two tests in two folders, and goldens of both."""
    repo.makeini("[pytest]\ntestpaths = tests")
    (repo.path / "test_suite.py").unlink()
    for name in ("upper", "sub/lower"):
        file = repo.path / "tests" / f"{name.replace('/', '/test_') if '/' in name else f'test_{name}'}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ONE_CASE.format(name=Path(name).name))
        Goldens(repo.path / "golden").store(make_result(f"{Path(name).name}.jpg"), "looked")
    return repo


@pytest.mark.parametrize(
    "folder, arguments, passed",
    [
        (".", ["--ignore=tests/sub"], 1),
        (".", ["--ignore-glob=*/sub"], 1),
        ("tests/sub", [], 1),
        ("tests", [], 2),
    ],
    ids=["ignore", "ignore glob", "sub-folder", "the folder of all tests"],
)
def test_what_collects_less_calls_nothing_unused(nested, monkeypatch, folder, arguments, passed):
    monkeypatch.chdir(nested.path / folder)
    result = nested.runpytest_inprocess(f"--rootdir={nested.path}", *arguments)
    result.assert_outcomes(passed=passed)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("folder", [".", "tests"])
def test_what_collects_all_does(nested, monkeypatch, folder):
    Goldens(nested.path / "golden").store(make_result("gone.jpg"), "looked")
    monkeypatch.chdir(nested.path / folder)
    nested.runpytest_inprocess(f"--rootdir={nested.path}").assert_outcomes(passed=2, failed=1)


def test_the_last_failures_alone_call_nothing_unused(nested):
    broken = nested.path / "tests" / "test_upper.py"
    right = broken.read_text()
    broken.write_text(right.replace("xai_golden.check", "assert False; xai_golden.check"))
    nested.runpytest().assert_outcomes(passed=1, failed=1)
    broken.write_text(right)
    result = nested.runpytest("--lf")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    # Nor does the record that it leaves.
    assert main(["check"]) == 0


def test_an_interrupted_run_does_not_pass_for_whole(nested):
    suite = nested.path / "tests" / "test_upper.py"
    suite.write_text(suite.read_text() + "def test_that_dies(): import os; os._exit(9)\n")
    nested.runpytest_subprocess()
    assert main(["check"]) == 1
    assert nested.runpytest("--deselect=tests/test_upper.py::test_that_dies").ret == pytest.ExitCode.OK


IDLE = (
    HEADER
    + """
def test_checks(xai_golden): xai_golden.check(make_result("one.jpg"))

@pytest.mark.real
def test_skips(xai_golden): pytest.skip("no weights")

def test_forgets(xai_golden): pass

def test_fails(xai_golden): assert False
"""
)


@with_and_without_xdist
def test_when_strict_every_test_that_checks_nothing_fails_once(repo, arguments):
    repo.makepyfile(test_suite=IDLE)
    Goldens(repo.path / "golden").store(make_result("one.jpg"), "looked")
    result = repo.runpytest_subprocess(*arguments, "--xai-strict")
    result.assert_outcomes(passed=2, skipped=1, failed=3)
    result.stdout.fnmatch_lines_random(
        ["FAILED *::test_skips - not measured*", "FAILED *::test_forgets - not measured*"]
    )


def test_a_skip_alone_fails_when_strict(repo):
    repo.makepyfile(test_suite="import pytest\n@pytest.mark.real\ndef test_it(xai_golden): pytest.skip('no weights')")
    assert repo.runpytest().ret == pytest.ExitCode.OK
    assert repo.runpytest("--xai-strict").ret == pytest.ExitCode.TESTS_FAILED


def test_a_damaged_golden_that_no_test_obtains_fails_a_full_run(repo):
    repo.makepyfile(test_suite=ONE_CASE.format(name="one") + "def test_other(): pass\n")
    Goldens(repo.path / "golden").store(make_result("one.jpg"), "looked")
    for task in ("cams", "another_task"):
        damaged = repo.path / "golden" / task / "x" / "result.json"
        damaged.parent.mkdir(parents=True)
        damaged.write_text("{")
    result = repo.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*error: cams/x-*golden/cams/x/result.json is truncated*"])
    repo.runpytest("test_suite.py").assert_outcomes(passed=2)


@with_and_without_xdist
def test_results_of_somebody_else_are_left_alone(repo, arguments):
    repo.makepyfile(test_suite=ONE_CASE.format(name="one") + ONE_CASE.format(name="two"))
    mine = repo.path / "study" / "results" / "mystudy" / "exp1"
    mine.mkdir(parents=True)
    for name in ("result.json", "weights.pt"):
        (mine / name).write_text("ten years of work")
    before = sorted((repo.path / "study").rglob("*"))
    result = repo.runpytest_subprocess(*arguments, "--xai-report", "study")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*results* was not written by xai-eval*"])
    assert sorted((repo.path / "study").rglob("*")) == before


def test_a_report_folder_in_use_is_refused(repo):
    repo.makepyfile(test_suite=ONE_CASE.format(name="one"))
    lock = repo.path / "reports" / LOCK_FILE
    lock.parent.mkdir()
    lock.write_text(f"{os.getppid()} {platform.node()}")
    result = repo.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*reports is in use by process {os.getppid()} on*"])
    lock.unlink()
    assert repo.runpytest_subprocess("-n", "2").parseoutcomes() == {"failed": 1}
    assert not lock.exists()


def test_a_report_folder_that_cannot_be_written_fails_the_test_and_nothing_else(repo):
    repo.makepyfile(test_suite=ONE_CASE.format(name="one"))
    (repo.path / "afile").write_text("")
    result = repo.runpytest("--xai-report", "afile")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cannot write into *afile: *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_results_that_vanish_before_the_end_are_a_failure(repo):
    vanish = "def test_two(request): import shutil; shutil.rmtree(request.config.rootpath / 'reports' / 'results')\n"
    repo.makepyfile(test_suite=ONE_CASE.format(name="one") + vanish)
    Goldens(repo.path / "golden").store(make_result("one.jpg"), "looked")
    result = repo.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*result.json cannot be read*", "FAILED xai-eval::report*"])
    assert not (repo.path / "reports" / LOCK_FILE).exists()


@with_and_without_xdist
def test_folders_on_the_command_line_are_those_of_the_shell(nested, monkeypatch, arguments):
    (nested.path / "golden").rename(nested.path / "kept")
    monkeypatch.chdir(nested.path / "tests" / "sub")
    options = ("--xai-golden=../../kept", "--xai-report=../rep2")
    result = nested.runpytest_subprocess(f"--rootdir={nested.path}", *arguments, *options)
    result.assert_outcomes(passed=1)
    assert (nested.path / "tests" / "rep2" / "run.json").is_file()


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
