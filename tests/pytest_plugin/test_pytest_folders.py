"""The folders and options of the plugin."""

import os
import platform
import shutil

import pytest
from plugin_suite import HEADER, ONE_CASE, accept, with_and_without_xdist
from synthetic import make_result

from xai_eval.store.goldens import Goldens
from xai_eval.store.lock import LOCK_FILE


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
    assert repo.runpytest().parseoutcomes() == {"failed": 1}
    assert not lock.exists()


@pytest.mark.slow
def test_workers_leave_no_lock_behind(repo, few_plugins):
    repo.makepyfile(test_suite=ONE_CASE.format(name="one"))
    assert repo.runpytest_subprocess("-n", "2").parseoutcomes() == {"failed": 1}
    assert not (repo.path / "reports" / LOCK_FILE).exists()


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


def test_what_a_killed_session_left_half_written_is_removed(repo):
    repo.runpytest("-k", "image-1")
    (place,) = (repo.path / "reports" / "results" / "cams").iterdir()
    for name in (".result.json.ab_12xyz", ".arrays.safetensors.gz.q7q7q7q7"):
        (place / name).write_bytes(b"half")
    repo.runpytest("-k", "image-1")
    assert sorted(path.name for path in place.iterdir()) == ["arrays.safetensors.gz", "result.json"]


def test_a_golden_of_another_case_fails_the_test_that_is_judged_by_it(repo):
    goldens = Goldens(repo.path / "golden")
    one, two = make_result("image-0.jpg"), make_result("image-1.jpg")
    shutil.copytree(goldens.store(one, "looked"), goldens.folder / two.case.key)
    result = repo.runpytest("-k", "image-0 or image-1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [f"error: {two.case.key}: * is the result of {one.case.key}: the folder was renamed. *"]
    )


def test_a_verdict_that_fails_only_at_the_end_fails_the_run(repo):
    """One test damages the golden of another, which has passed by then."""
    case = make_result("image-0.jpg").case
    place = Goldens(repo.path / "golden").store(make_result("image-0.jpg"), "looked")
    repo.makepyfile(test_suite=HEADER + (
        "def test_one(xai_golden): xai_golden.check(make_result('image-0.jpg'))\n"
        f"def test_two(): open({str(place / 'result.json')!r}, 'w').close()\n"
    ))  # fmt: skip
    result = repo.runpytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines([f"*xai-eval::error?{case.key}?*"])


@pytest.mark.parametrize("where", ["removed", "/"])
def test_commands_are_for_the_folder_where_pytest_was_called(repo, where):
    moved = {"removed": "monkeypatch.chdir(tmp_path); tmp_path.rmdir()", "/": "monkeypatch.chdir('/')"}[where]
    repo.makepyfile(
        test_suite=HEADER + f"def test_one(xai_golden, monkeypatch, tmp_path):\n    {moved}\n"
        "    xai_golden.check(make_result('one.jpg'))\n"
    )
    result = repo.runpytest()
    result.assert_outcomes(failed=1)
    key = make_result("one.jpg").case.key
    result.stdout.fnmatch_lines([f'if this is right: xai-eval accept {key} --reason "..."'])
