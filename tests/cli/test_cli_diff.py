"""`diff OLD NEW` answers on one screen, on a page and as JSON. Needs no torch."""

import dataclasses
import json
import shutil

import pytest
from synthetic import blob, make_result

from xai_eval.cli.main import main
from xai_eval.store.runs import RunRecord


def write_run(folder, *results):
    for result in results:
        result.save(folder / "results" / result.case.key)
    RunRecord(("cams",), (results[0].case.model,), ("photos",), len(results), finished=True).save(folder)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A run of two images, and one with other weights that explains the first otherwise."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "old", make_result("a.jpg"), make_result("b.jpg"))
    moved = make_result("a.jpg", saliency=blob(150, 40), weights="c" * 64)
    write_run(tmp_path / "new", moved, make_result("b.jpg", weights="c" * 64))
    return tmp_path


def test_the_screen_the_page_and_the_file_say_the_same(runs, capsys):
    assert main(["diff", "old", "new", "--report", "both/diff"]) == 1
    told, said = capsys.readouterr()
    assert "new is compared with the run in old" in said and "is the result in old here" in said
    assert "page: both/diff/index.html" in told and "Cannot tell whether it is worse" in told
    page = (runs / "both" / "diff" / "index.html").read_text()
    assert "Cannot tell whether it is worse" in page and "a.jpg" in page and "<img" in page
    document = json.loads((runs / "both" / "diff" / "verdicts.json").read_text())
    assert document["release"]["outcome"] == "cannot tell" and document["states"]["drift"] == 1
    assert list((runs / "both" / "diff" / "figures").iterdir())
    assert main(["diff", "old", "new", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["release"] == document["release"]


def test_the_commands_on_the_page_name_the_new_run(runs):
    main(["diff", "old", "new", "--report", "page"])
    page = (runs / "page" / "index.html").read_text()
    assert "--results new" in page and "--results page" not in page


def test_without_a_folder_nothing_is_written_and_with_one_the_runs_stay_as_they_are(runs):
    before = sorted(path for path in runs.rglob("*"))
    main(["diff", "old", "new"])
    assert sorted(runs.rglob("*")) == before
    main(["diff", "old", "new", "--report", "page"])
    assert sorted(path for path in runs.rglob("*") if "page" not in path.parts) == before


def test_a_second_page_replaces_the_first(runs):
    main(["diff", "old", "new", "--report", "page"])
    figures = {path.name for path in (runs / "page" / "figures").iterdir()}
    assert main(["diff", "old", "old", "--report", "page"]) == 0
    assert {path.name for path in (runs / "page" / "figures").iterdir()} != figures


@pytest.mark.parametrize("where", ["new", "site"])
def test_a_folder_that_holds_anything_else_is_refused_before_anything_is_compared(runs, capsys, where):
    (runs / "site").mkdir()
    (runs / "site" / "index.html").write_text("mine")
    shutil.copytree(runs / where, runs / "kept")
    assert main(["diff", "old", "new", "--report", where]) == 2
    assert "Name another folder with --report" in capsys.readouterr().err
    assert sorted(p.name for p in (runs / where).rglob("*")) == sorted(p.name for p in (runs / "kept").rglob("*"))


def test_the_page_says_what_differs_between_the_two_runs_and_what_golden_means_there(runs, without_figures):
    main(["diff", "old", "new", "--report", "page"])
    page = (runs / "page" / "index.html").read_text()
    assert "The run in new is compared with the run in old" in page
    assert "The records of the two runs name the same: models, images, tasks, device." in page
    record = RunRecord(
        ("cams",), ("<b>",), ("photos",), 2, device="cuda", versions={"torch": "2.15.0", "lime": "1"}, finished=True
    )
    record.save(runs / "new")
    main(["diff", "old", "new", "--report", "page"])
    page = (runs / "page" / "index.html").read_text()
    assert "<td>file:nets.py:net</td><td>&lt;b&gt;</td>" in page and "<td>not recorded</td><td>2.15.0</td>" in page
    assert "the same are: images, tasks" in page


def test_a_history_of_goldens_is_not_told_of_two_runs(runs, monkeypatch, without_figures):
    monkeypatch.delenv("CI", raising=False)
    assert main(["accept", "a.jpg", "--results", "new", "--reason", "a golden of its own"]) == 0
    main(["diff", "old", "new", "--report", "page"])
    assert "a golden of its own" not in (runs / "page" / "index.html").read_text()
    main(["check", "new"])
    assert "a golden of its own" in (runs / "new" / "index.html").read_text()


def test_what_only_one_run_has_is_told_without_advice_on_goldens(runs, capsys):
    lime = dataclasses.replace(make_result("a.jpg"), case=dataclasses.replace(make_result("a.jpg").case, task="lime"))
    write_run(runs / "more", make_result("a.jpg"), make_result("b.jpg"), lime)
    write_run(runs / "other", make_result("a.jpg"), make_result("c.jpg"))
    assert main(["diff", "more", "other"]) == 1
    told = capsys.readouterr().out
    assert "Only more has this case, so there is nothing to compare it with: run it for other as well." in told
    assert "NEW: 1 case has no result in more, so nothing is compared (cams/photos-c-jpg-" in told
    assert "1 result in more had nothing to be compared with" in told and "(1 of lime)" in told
    assert not any(advised in told for advised in ("--complete", "prune", "accept"))
