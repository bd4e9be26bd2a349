"""What the plugin makes of runs that select tests, and of goldens that no test obtains."""

import shlex
import xml.etree.ElementTree as ET

import pytest
from plugin_suite import ONE_CASE, SUITE, TESTS, accept, stored, with_and_without_xdist
from synthetic import make_result

from xai_eval.cli.main import main
from xai_eval.store.goldens import Goldens


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
    repo.makepyfile(test_suite=SUITE.format(tests=TESTS, count=9))
    result = repo.runpytest_subprocess(*arguments, "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*unused* cams/*image-9*"])
    suite = ET.parse(repo.path / "junit.xml").getroot().find("testsuite")
    assert suite.get("failures") == "1"
    assert len(stored(repo)) == 10


@pytest.mark.parametrize(
    "folder, arguments, passed",
    [
        (".", ["--ignore=tests/sub"], 1),
        (".", ["--ignore-glob=*/sub"], 1),
        ("tests/sub", [], 1),
        (".", ["tests/sub"], 1),
        (".", ["tests/test_upper.py"], 1),
        (".", ["tests/test_upper.py::test_upper", "tests/sub"], 2),
        ("tests", [], 2),
    ],
    ids=["ignore", "ignore glob", "sub-folder", "a sub-folder", "a file", "a test and a folder", "the folder of all"],
)
def test_what_collects_less_calls_nothing_unused(nested, monkeypatch, folder, arguments, passed):
    monkeypatch.chdir(nested.path / folder)
    result = nested.runpytest_inprocess(f"--rootdir={nested.path}", *arguments)
    result.assert_outcomes(passed=passed)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "folder, arguments",
    [(".", []), ("tests", []), (".", ["."]), (".", ["tests"]), ("tests/sub", ["../.."]), (".", ["tests/sub", "tests"])],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_collects_all_does(nested, monkeypatch, folder, arguments):
    Goldens(nested.path / "golden").store(make_result("gone.jpg"), "looked")
    monkeypatch.chdir(nested.path / folder)
    nested.runpytest_inprocess(f"--rootdir={nested.path}", *arguments).assert_outcomes(passed=2, failed=1)


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


def test_a_damaged_golden_that_no_test_obtains_fails_a_full_run(repo):
    repo.makepyfile(test_suite=ONE_CASE.format(name="one") + "def test_other(): pass\n")
    Goldens(repo.path / "golden").store(make_result("one.jpg"), "looked")
    for task in ("cams", "another_task"):
        damaged = repo.path / "golden" / task / "x" / "result.json"
        damaged.parent.mkdir(parents=True)
        damaged.write_text("{")
    result = repo.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*error: cams/x: *golden/cams/x/result.json is truncated*"])
    repo.runpytest("test_suite.py").assert_outcomes(passed=2)


def test_after_a_selection_only_what_was_measured_is_offered(repo):
    told = repo.runpytest("-k", "image-1 or image-2").stdout.str()
    assert "tests that use goldens and were deselected: 8. They were not measured" in told
    assert "The run left out tests or images: this is about the 2 cases measured." in told
    command = next(line for line in told.splitlines() if line.startswith("NEW: ")).partition("then: ")[2]
    assert command.startswith("xai-eval accept cams/photos-image-1-jpg-") and "--all" not in command
    assert main(shlex.split(command)[1:]) == 0
    assert stored(repo) == ["photos/image-1.jpg", "photos/image-2.jpg"]


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["-x", "interrupted"])
def test_after_a_run_that_was_stopped_nothing_is_offered_because_nothing_would_be_accepted(repo, stopped):
    if stopped == "interrupted":
        suite = repo.path / "test_suite.py"
        check = "    xai_golden.check("
        stop = "    if name == 'image-1.jpg': raise KeyboardInterrupt\n"
        suite.write_text(suite.read_text().replace(check, f"{stop}{check}"))
    options = ["-x"] if stopped == "-x" else []
    told = repo.runpytest(*options, no_reraise_ctrlc=True).stdout.str()
    assert "NEW: 1 case has no golden.\n" in told and "accept --all" not in told
    assert "did not end, because pytest was stopped: 9. Nothing of this run can be accepted: run to the end" in told
    assert "checked no result" not in told
    assert accept(repo) == 2 and stored(repo) == []
