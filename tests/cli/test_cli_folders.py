"""Folders that the command line cannot read, may not write, or must leave alone."""

import platform
import subprocess
import sys

import pytest
from cli_runs import accept_all, run
from forbidden import forbid

from xai_eval.cli.main import main
from xai_eval.store.lock import LOCK_FILE

FOLDERS = {
    "--out": (run, ("--out", "private")),
    "below --out": (run, ("--out", "private/x")),
    "long --out": (run, ("--out", "n" * 300)),
    "--golden of a run": (run, ("--golden", "private/golden")),
    "--golden": (main, (["check", "--golden", "private"],)),
    "--golden of prune": (main, (["prune", "--golden", "private"],)),
    "--golden of accept": (main, (["accept", "--all", "--reason", "x", "--golden", "private"],)),
    "results": (main, (["check", "private"],)),
    "long results": (main, (["check", "n" * 300],)),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_cannot_be_looked_into_is_neither_empty_nor_drift(place_after_run, capsys, monkeypatch, name):
    (place_after_run / "private").mkdir()
    command, arguments = FOLDERS[name]
    forbid(monkeypatch, place_after_run / "private")
    assert command(*arguments) == 3
    error = capsys.readouterr().err
    assert "permission is denied" in error or "n" * 300 in error
    assert error.count("\n") == 1


def test_a_file_in_place_of_the_goldens_is_refused_before_anything_is_measured(place, capsys):
    (place / "gfile").write_text("")
    assert run("--golden", "gfile") == 2
    assert not (place / "reports").exists()
    run()
    for command in (["check"], ["prune"], ["accept", "--all", "--reason", "x"], ["report"]):
        capsys.readouterr()
        assert main([*command, "--golden", "gfile"]) == 2
        assert (
            "gfile is a file; expected the folder of goldens. Name another one with --golden" in capsys.readouterr().err
        )


def test_one_hostile_golden_does_not_stop_the_others(place, capsys):
    run()
    accept_all()
    first = min((place / "golden").rglob("result.json"))
    first.write_text("[" * 200_000)
    capsys.readouterr()
    assert main(["check"]) == 1
    assert "2 cases: 1 ok, 1 error" in capsys.readouterr().out


def test_results_of_somebody_else_are_left_alone(place, capsys):
    (place / "reports" / "results").mkdir(parents=True)
    (place / "reports" / "results" / "thesis.txt").write_text("ten years of work")
    assert run() == 3
    assert "was not written by xai-eval" in capsys.readouterr().err
    assert (place / "reports" / "results" / "thesis.txt").read_text() == "ten years of work"


@pytest.mark.parametrize("record", ["{}", "[]", "no json"])
def test_a_file_that_is_no_record_of_a_run_vouches_for_nothing(place, capsys, record):
    mine = place / "reports" / "results" / "mine" / "one" / "result.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("ten years of work")
    (place / "reports" / "run.json").write_text(record)
    assert run() == 3
    assert "was not written by xai-eval" in capsys.readouterr().err
    assert mine.read_text() == "ten years of work"


def test_a_run_removes_no_file_that_lies_beside_its_results(place, capsys):
    run("--methods", "gradcam")
    before = sorted((place / "reports").rglob("*"))
    mine = next((place / "reports" / "results").glob("cams/*")) / "weights.pt"
    mine.write_text("ten years of work")
    assert run() == 3
    assert f"{mine.relative_to(place)} was not written by xai-eval" in capsys.readouterr().err
    assert sorted((place / "reports").rglob("*")) == sorted([*before, mine])


def test_a_folder_in_use_is_refused_until_its_process_is_gone(place, capsys):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock = place / "reports" / LOCK_FILE
    lock.parent.mkdir()
    lock.write_text(f"{other.pid} {platform.node()}")
    assert run("--methods", "gradcam") == 2
    assert f"reports is in use by process {other.pid} on" in capsys.readouterr().err
    assert not (place / "reports" / "results").exists()
    other.communicate()
    assert run("--methods", "gradcam") == 0
    assert not lock.exists()


def test_a_folder_in_use_is_judged_and_its_page_left_as_it_is(place, capsys):
    assert run("--methods", "gradcam") == 0
    accept_all()
    page, lock = place / "reports" / "index.html", place / "reports" / LOCK_FILE
    page.write_text("as it was")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock.write_text(f"{other.pid} {platform.node()}")
    capsys.readouterr()
    for command, verdicts in ((["check"], "ok"), (["report"], "")):
        assert main(command) == 2
        out, err = capsys.readouterr()
        assert verdicts in out and f"reports is in use by process {other.pid} on" in err
    assert page.read_text() == "as it was" and lock.exists()
    other.communicate()
    assert main(["check"]) == 0
    assert page.read_text() != "as it was" and not lock.exists()


def test_an_output_folder_that_cannot_be_written_is_named(place, capsys):
    (place / "file").write_text("")
    assert run("--out", "file") == 3
    error = capsys.readouterr().err
    assert "cannot write into file" in error and error.count("\n") == 1


def test_what_systems_and_editors_leave_in_any_folder_blocks_no_command(place):
    run("--methods", "gradcam")
    accept_all()
    for folder in ("photos", "reports", "golden"):
        for each in [place / folder, *(each for each in (place / folder).rglob("*") if each.is_dir())]:
            for name in (".DS_Store", "Thumbs.db", "golden.json~", ".result.json.swp"):
                (each / name).write_bytes(b"\x00")
    assert run("--methods", "gradcam") == 0
    for words in (["check"], ["report"], ["prune"], ["diff", "reports", "reports"]):
        assert main(words) == 0
    assert accept_all() == 0
