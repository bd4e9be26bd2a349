"""`check --against BRANCH` lists what a reviewer of a pull request has to look at. Needs git, and no torch."""

import json
import os
import subprocess

import pytest
from synthetic import blob, make_result

from xai_eval.cli.main import main
from xai_eval.disk.signed import sign
from xai_eval.result.result import RESULT_FILE
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE
from xai_eval.store.runs import RunRecord

A, B, C = (make_result(f"{name}.jpg") for name in "abc")
MOVED = make_result("a.jpg", saliency=blob(150, 40))


def git(*arguments):
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], check=True, capture_output=True, env={**os.environ, **identity})


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with goldens of A and B on main; the run obtained A moved, and C in place of B."""
    monkeypatch.chdir(tmp_path)
    goldens = Goldens(tmp_path / "golden")
    for golden in (A, B):
        goldens.store(golden, "first")
    (tmp_path / "xai_eval.toml").write_text("[tolerances.cams]\ngradcam = {largest = 0.02}\n")
    git("init", "-q", "-b", "main")
    git("add", "golden", "xai_eval.toml")
    git("commit", "-q", "-m", "goldens")
    for each in (MOVED, C):
        each.save(tmp_path / "reports" / "results" / each.case.key)
    RunRecord(("cams",), (A.case.model,), ("photos",), 2, finished=True).save(tmp_path / "reports")
    return goldens


def told(capsys, branch="main", *arguments):
    main(["check", "--against", branch, *arguments])
    return capsys.readouterr()


def test_nothing_changed(repository, capsys):
    assert "0 goldens, 0 settings and 0 values of the quarantine differ" in told(capsys).out


def test_goldens_settings_and_quarantine_are_listed_with_who_accepted_them(repository, capsys):
    repository.store(MOVED, "the new weights look at the bird")
    repository.store(C, "a new image")
    repository.remove(B.case.key)
    (repository.folder.parent / "xai_eval.toml").write_text(
        "quarantine_days = 300\n[tolerances.cams]\ngradcam = {largest = 0.2}\n"
    )
    (repository.folder / "quarantine.toml").write_text(
        f'["{A.case.key}"]\nowner = "Mira"\nreason = "later"\nexpires = 2020-01-31\n'
    )
    lines = told(capsys).out.splitlines()
    (first,) = [number for number, line in enumerate(lines) if line.startswith("since main (")]
    assert lines[first].endswith("3 goldens, 2 settings and 3 values of the quarantine differ")
    changed, removed, new = lines[first + 1 : first + 4]
    assert changed.startswith(f"golden {A.case.key}: changed (accepted.json, arrays.safetensors.gz, result.json); ")
    assert "; Grad-CAM changed (evidence): " in changed and "WITHOUT" not in changed
    assert changed.endswith(": the new weights look at the bird")
    assert removed.startswith(f"golden {B.case.key}: removed")
    assert new.startswith(f"golden {C.case.key}: new") and new.endswith(": a new image")
    rest = lines[first + 4 :]
    assert "setting xai_eval.toml: tolerances.cams.gradcam.largest: 0.02 became 0.2" in rest
    assert "setting xai_eval.toml: quarantine_days: nothing became 300" in rest
    assert f"quarantine quarantine.toml: {A.case.key}.expires: nothing became 2020-01-31" in rest
    assert rest[-1] == "images before and after: reports/against"
    drawn = {path.name for path in (repository.folder.parent / "reports" / "against").iterdir()}
    assert "a_drift_gradcam.png" in drawn and len(drawn) == 3


def test_of_many_goldens_the_most_changed_are_drawn_and_the_others_named(repository, capsys, monkeypatch):
    monkeypatch.setattr("xai_eval.report.review_images.MOST", 2)
    for name, width in (("a", 30.001), ("b", 45.0)):
        repository.store(make_result(f"{name}.jpg", saliency=blob(80, 120, width=width)), "looked")
    for name in "cd":
        repository.store(make_result(f"{name}.jpg"), "new")
    lines = told(capsys).out.splitlines()
    [line] = [each for each in lines if "goldens are drawn" in each]
    a, _, c, d = (make_result(f"{name}.jpg").case.key for name in "abcd")
    # b moved beyond its tolerance; a, within it, comes after what is new.
    assert line == f"2 of 4 goldens are drawn, the most changed first; not drawn: {d}, {a}"
    drawn = {path.name[0] for path in (repository.folder.parent / "reports" / "against").iterdir()}
    assert drawn == {"b", "c"}
    make_result("d.jpg", saliency=blob(20, 20)).condensed().save(repository.folder / d)
    assert f"not drawn: {c}, {a}" in told(capsys).out, "what nobody accepted comes first"


def test_with_few_goldens_nothing_is_said_of_those_not_drawn(repository, capsys):
    repository.store(MOVED, "looked")
    assert "drawn" not in told(capsys).out


def test_a_golden_that_nobody_accepted_is_said_to_be_one(repository, capsys):
    place = repository.folder / A.case.key
    MOVED.condensed().save(place)
    out = told(capsys).out
    assert "PROBLEM: " in out and "does not vouch for the golden" in out and "WITHOUT A NEW ENTRY" in out
    entries = json.loads((place / HISTORY_FILE).read_text())
    entries[-1]["result"] = json.loads((place / RESULT_FILE).read_text())["digest"]
    (place / HISTORY_FILE).write_text(json.dumps(entries))
    out = told(capsys).out
    assert "PROBLEM" not in out and "Grad-CAM changed (evidence)" in out


def test_what_a_golden_lost_and_the_tolerances_that_it_states_are_told(repository, capsys):
    path = repository.folder / A.case.key / RESULT_FILE
    document = json.loads(path.read_text())
    document["fields"] = [each for each in document["fields"] if each["name"] != "predicted"]
    (heat,) = (each for each in document["fields"] if each["name"] == "gradcam")
    heat["tolerance"]["largest"] = 0.9
    path.write_text(json.dumps(sign(document)))
    out = told(capsys).out
    assert "no longer watched: field predicted" in out
    assert 'without effect): gradcam: {"largest": 0.02' in out and '{"largest": 0.9' in out


def test_json_holds_the_same(repository, capsys):
    repository.store(C, "a new image")
    against = json.loads(told(capsys, "main", "--json").out)["against"]
    assert [(each["case"], each["kind"], each["reason"]) for each in against["goldens"]] == [
        (C.case.key, "new", "a new image")
    ]
    assert against["branch"] == "main" and len(against["commit"]) == 40


@pytest.mark.parametrize(
    "branch",
    [
        "--output=golden/x",
        "-x",
        "main;touch hostile",
        "$(touch hostile)",
        "a..b",
        "",
        "main\nx",
        "ma in",
        "@{u}",
        "a" * 300,
    ],
)
def test_a_hostile_name_of_a_branch_is_refused(repository, capsys, branch):
    assert main(["check", f"--against={branch}"]) == 2
    assert "is no name of a branch" in capsys.readouterr().err
    assert sorted(path.name for path in repository.folder.parent.iterdir()) == [
        ".git",
        "golden",
        "reports",
        "xai_eval.toml",
    ]


def test_a_branch_that_is_not_there_is_said_with_the_remedy(repository, capsys):
    assert main(["check", "--against", "origin/main"]) == 2
    told = capsys.readouterr().err
    assert "git knows no origin/main in" in told and "fetch the branch with its history" in told


def test_work_of_others_on_the_branch_is_no_change(repository, capsys):
    git("checkout", "-q", "-b", "mine")
    git("checkout", "-q", "main")
    repository.store(MOVED, "by somebody else")
    git("commit", "-q", "-am", "theirs")
    git("checkout", "-q", "mine")
    assert ": 0 goldens, " in told(capsys).out


def test_files_outside_of_any_repository_are_refused(repository, capsys, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert main(["check", "--against", "main", "--golden", str(elsewhere)]) == 2
    assert "is not in the git repository" in capsys.readouterr().err
