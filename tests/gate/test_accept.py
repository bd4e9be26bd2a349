import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from forbidden import forbid
from synthetic import blob, make_result

from xai_eval.cli.main import main
from xai_eval.disk.signed import sign
from xai_eval.errors import InputUnavailable, StorageError, UsageError
from xai_eval.gate.accept import BULK_ABOVE, accept, unused_goldens
from xai_eval.gate.judge_run import judge_by_run, judge_run
from xai_eval.gate.unwatched import Unwatched
from xai_eval.gate.verdict import State
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, SCHEMA
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE, read_history
from xai_eval.store.runs import RunRecord


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def goldens(tmp_path):
    return Goldens(tmp_path / "golden")


def write_run(folder, *results, finished=True, failures=None, planned=None, model="m"):
    for result in results:
        result.save(folder / "results" / result.case.key)
    planned = len(results) if planned is None else planned
    RunRecord(("cams",), (model,), ("photos",), planned, failures=failures or {}, finished=finished).save(folder)
    return folder


def accept_all(folder, goldens, reason="first"):
    return accept(judge_run(folder, goldens), goldens, [], everything=True, reason=reason)


def states(folder, goldens):
    return {v.case.input: v.state for v in judge_run(folder, goldens).verdicts}


def test_missing_accept_ok_change_drift_accept_ok(tmp_path, goldens):
    first = write_run(tmp_path / "first", make_result())
    assert states(first, goldens) == {"photos/photo.jpg": State.MISSING}
    assert accept_all(first, goldens) == [make_result().case.key]
    assert states(first, goldens) == {"photos/photo.jpg": State.OK}
    second = write_run(tmp_path / "second", make_result(saliency=blob(150, 40)))
    assert states(second, goldens) == {"photos/photo.jpg": State.DRIFT}
    accept_all(second, goldens, "the new weights look at the bird")
    assert states(second, goldens) == {"photos/photo.jpg": State.OK}
    history = read_history(goldens.folder / make_result().case.key)
    assert [entry.reason for entry in history] == ["first", "the new weights look at the bird"]


def test_judging_writes_nothing(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result())
    for _ in range(2):
        assert states(run, goldens) == {"photos/photo.jpg": State.MISSING}
    assert not goldens.folder.exists()


def test_a_golden_that_cannot_be_looked_at_is_not_missing(tmp_path, goldens, monkeypatch):
    result = make_result()
    run = write_run(tmp_path / "run", result)
    accept_all(run, goldens)
    forbid(monkeypatch, goldens.folder / result.case.key)
    assert states(run, goldens) == {"photos/photo.jpg": State.ERROR}
    with pytest.raises(StorageError, match="permission is denied"):
        accept_all(run, goldens)
    forbid(monkeypatch, goldens.folder)
    with pytest.raises(StorageError, match="permission is denied"):
        goldens.load(result.case)


def test_accepting_what_is_ok_changes_no_file(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result())
    accept_all(run, goldens)
    before = {p: p.stat().st_mtime_ns for p in goldens.folder.rglob("*")}
    assert accept_all(run, goldens) == []
    assert {p: p.stat().st_mtime_ns for p in goldens.folder.rglob("*")} == before


def test_a_golden_that_lacks_a_stage_is_told_and_taken_again(tmp_path, goldens):
    accept_all(write_run(tmp_path / "earlier", make_result("a.jpg"), make_result("b.jpg")), goldens)
    now = write_run(
        tmp_path / "now", make_result("a.jpg", stages={Stage(StageKind.VIEW): np.ones(3)}), make_result("b.jpg")
    )
    key = make_result("a.jpg").case.key
    judged = judge_run(now, goldens)
    assert states(now, goldens) == {"photos/a.jpg": State.OK, "photos/b.jpg": State.OK}
    assert {v.case.key: v.unwatched for v in judged.verdicts if v.unwatched} == {key: (Unwatched("stage", "view"),)}
    assert not any(v.failed for v in judged.verdicts)
    assert accept_all(now, goldens, "watch the view, too") == [key]
    assert not any(v.unwatched for v in judge_run(now, goldens).verdicts)


def test_a_signed_result_whose_map_is_no_map_is_one_error(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result("a.jpg"), make_result("b.jpg"))
    accept_all(run, goldens)
    path = run / "results" / make_result("b.jpg").case.key / RESULT_FILE
    document = json.loads(path.read_text())
    for field in document["fields"]:
        if field["kind"] == "heatmap":
            del field["tolerance"]
    path.write_text(json.dumps(sign(document)))
    ok, broken = sorted(judge_run(run, goldens).verdicts, key=lambda verdict: verdict.state)[::-1]
    assert (ok.state, ok.case.input) == (State.OK, "photos/a.jpg")
    assert broken.state == State.ERROR
    assert f"{path} holds no valid result" in broken.sentence


def test_accepting_one_case_leaves_the_others(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result("a.jpg"), make_result("b.jpg"))
    accept(judge_run(run, goldens), goldens, ["a.jpg"], everything=False, reason="looked")
    assert states(run, goldens) == {"photos/a.jpg": State.OK, "photos/b.jpg": State.MISSING}


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"keys": ["phto.jpg"], "everything": False, "reason": "x"}, "unknown case"),
        ({"keys": [], "everything": False, "reason": "x"}, "name a case"),
        ({"keys": ["photo.jpg"], "everything": True, "reason": "x"}, "not both"),
        ({"keys": ["photo.jpg"], "everything": False, "reason": "  "}, "needs a reason"),
    ],
)
def test_accept_refuses_half_a_request(tmp_path, goldens, arguments, words):
    judged = judge_run(write_run(tmp_path / "run", make_result()), goldens)
    with pytest.raises(UsageError, match=words):
        accept(judged, goldens, **arguments)
    assert not goldens.folder.exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CI", "true"),
        ("CI", "1"),
        ("CI", "yes"),
        ("GITHUB_ACTIONS", "true"),
        ("GITLAB_CI", "true"),
        ("TF_BUILD", "True"),
        ("JENKINS_URL", "https://ci"),
        ("BUILDKITE", "true"),
        ("TEAMCITY_VERSION", "2026.1"),
        ("CIRCLECI", "true"),
    ],
)
@pytest.mark.parametrize("emptied", ["", "false"])
def test_accept_is_refused_under_ci(tmp_path, goldens, monkeypatch, variable, value, emptied):
    monkeypatch.setenv("CI", emptied)
    monkeypatch.setenv(variable, value)
    run = write_run(tmp_path / "run", make_result())
    with pytest.raises(UsageError, match=f"refused in a CI: .*the variable {variable} is set"):
        accept_all(run, goldens)


@pytest.mark.parametrize("value", ["", "0", "false", "False"])
def test_a_variable_that_says_no_refuses_nothing(tmp_path, goldens, monkeypatch, value):
    for variable in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.setenv(variable, value)
    assert accept_all(write_run(tmp_path / "run", make_result()), goldens)


@pytest.mark.parametrize("state", [{"finished": False}, {"failures": {"photos": "out of memory"}}])
def test_an_incomplete_run_is_not_accepted_as_a_whole(tmp_path, goldens, state):
    run = write_run(tmp_path / "run", make_result(), **state)
    with pytest.raises(UsageError, match="incomplete"):
        accept_all(run, goldens)


def test_single_cases_of_an_incomplete_run_are_not_accepted_either(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result(), planned=2)
    with pytest.raises(UsageError, match=r"the run is incomplete \(1 of 2 planned cases measured\)"):
        accept(judge_run(run, goldens), goldens, ["photo.jpg"], everything=False, reason="looked")
    assert not goldens.folder.exists()


def test_more_than_a_person_looks_at_is_accepted_only_in_bulk(tmp_path, goldens):
    twenty = [make_result(f"{number}.jpg") for number in range(BULK_ABOVE)]
    accept_all(write_run(tmp_path / "twenty", *twenty), goldens)
    more = [*twenty, *(make_result(f"{number}.jpg") for number in range(BULK_ABOVE, 2 * BULK_ABOVE + 1))]
    judged = judge_run(write_run(tmp_path / "more", *more), goldens)
    for request in ({"keys": [], "everything": True}, {"keys": [r.case.key for r in more], "everything": False}):
        with pytest.raises(UsageError, match=r"21 goldens would change at once, more than 20, .* add --bulk"):
            accept(judged, goldens, reason="looked", **request)
    assert len(goldens.load_all()[0]) == BULK_ABOVE
    assert len(accept(judged, goldens, [], everything=True, reason="looked", bulk=True)) == 21


@pytest.mark.parametrize("error", [KeyboardInterrupt, StorageError("the disk is full.")], ids=["Ctrl+C", "full disk"])
def test_who_stops_accepting_half_way_is_told_how_far_it_came(tmp_path, goldens, monkeypatch, error):
    run = write_run(tmp_path / "run", *(make_result(f"{number}.jpg") for number in range(3)))
    store = Goldens.store

    def fails(self, result, *given):
        if result.case.input == "photos/1.jpg":
            raise error
        return store(self, result, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Goldens, "store", fails)
        with pytest.raises(BaseException, match=r"while it accepted cams/photos-1-jpg-\w+, golden 2 of 3.*the rest"):
            accept_all(run, goldens)
    assert [*states(run, goldens).values()] == [State.OK, State.MISSING, State.MISSING]
    accept_all(run, goldens)
    assert {*states(run, goldens).values()} == {State.OK}


def test_accepting_and_judging_show_how_far_they_are_on_a_terminal(tmp_path, goldens, monkeypatch, capsys):
    run = write_run(tmp_path / "run", *(make_result(f"{number}.jpg") for number in range(3)))
    monkeypatch.setattr("xai_eval.gate.accept.SILENT", 0)
    monkeypatch.setattr("xai_eval.gate.processes.SILENT", 0)
    command = ["accept", "--all", "--reason", "x", "--results", str(run), "--golden", str(goldens.folder)]
    assert main(command) == 0 and not capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shutil.rmtree(goldens.folder)
    assert main(command) == 0
    told = capsys.readouterr().err
    assert all(words in told for words in ("reading:", "judging:", "accepting:", "golden/s"))


def test_a_case_named_twice_is_accepted_once(tmp_path, goldens):
    judged = judge_run(write_run(tmp_path / "run", make_result()), goldens)
    key = make_result().case.key
    assert accept(judged, goldens, [key, "photo.jpg"], everything=False, reason="looked") == [key]
    assert len(read_history(goldens.folder / key)) == 1


def test_a_result_of_another_schema_is_not_accepted(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result(), make_result("b.jpg"))
    path = run / "results" / make_result().case.key / RESULT_FILE
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))
    with pytest.raises(
        UsageError, match=rf"has schema 99, but this version of xai_eval reads schema {SCHEMA}.*Run again"
    ):
        accept(judge_run(run, goldens), goldens, [make_result().case.key], everything=False, reason="looked")
    assert not goldens.folder.exists()


def test_an_ambiguous_name_is_refused(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result(model="one"), make_result(model="two"))
    with pytest.raises(UsageError, match="names 2 cases"):
        accept(judge_run(run, goldens), goldens, ["photo.jpg"], everything=False, reason="x")


def test_a_run_with_a_result_that_cannot_be_read_is_not_accepted_as_a_whole(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result("a.jpg"), make_result("b.jpg"))
    (run / "results" / make_result("b.jpg").case.key / ARRAYS_FILE).unlink()
    with pytest.raises(UsageError, match=r"cannot be read, so --all is refused: cams/photos-b-jpg-"):
        accept_all(run, goldens)
    with pytest.raises(UsageError, match=r"cannot be read, so pruning is refused: cams/photos-b-jpg-"):
        unused_goldens(judge_run(run, goldens))
    assert not goldens.folder.exists()
    accept(judge_run(run, goldens), goldens, ["a.jpg"], everything=False, reason="looked")
    assert states(run, goldens) == {"photos/a.jpg": State.OK, make_result("b.jpg").case.id: State.ERROR}


def test_a_case_has_many_names(tmp_path, goldens):
    case = make_result("a.jpg").case
    judged = judge_run(write_run(tmp_path / "run", make_result("a.jpg"), make_result("b.jpg")), goldens)
    for name in ("a.jpg", "photos/a.jpg", case.key, "cams/photos-a-jpg", case.id, "photos-a-jpg"):
        assert accept(judged, goldens, [name], everything=False, reason="looked") == [case.key]


def test_a_failed_run_is_an_error(tmp_path, goldens):
    accept_all(write_run(tmp_path / "whole", make_result()), goldens)
    run = write_run(tmp_path / "run", make_result(), failures={"photos": "the model returned NaN"}, finished=False)
    verdicts = judge_run(run, goldens).verdicts
    assert {v.state for v in verdicts} == {State.OK, State.ERROR}
    assert any("returned NaN" in v.sentence for v in verdicts)


INCOMPLETE = {
    "killed": {"finished": False, "planned": 2},
    "killed at the end": {"finished": False},
    "short": {"planned": 2},
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_a_run_that_is_not_whole_is_an_error_and_leaves_open_what_is_unused(tmp_path, goldens, name):
    whole = write_run(tmp_path / "whole", make_result("a.jpg"), make_result("b.jpg"))
    accept_all(whole, goldens)
    run = write_run(tmp_path / "run", make_result("a.jpg"), **INCOMPLETE[name])
    assert states(run, goldens) == {"the whole run": State.ERROR, "photos/a.jpg": State.OK}
    judged = judge_run(run, goldens)
    assert f"1 of {judged.record.planned} planned cases measured" in judged.verdicts[0].sentence
    with pytest.raises(UsageError, match=r"the run is incomplete .* so pruning is refused"):
        unused_goldens(judged)


def test_a_run_that_measured_nothing_is_an_error(tmp_path, goldens):
    accept_all(write_run(tmp_path / "whole", make_result()), goldens)
    run = write_run(tmp_path / "run", finished=False, planned=14)
    judged = judge_run(run, goldens)
    assert (judged.measured, [v.state for v in judged.verdicts]) == (0, [State.ERROR])
    assert "0 of 14 planned cases measured, and the run did not finish" in judged.verdicts[0].sentence
    with pytest.raises(UsageError, match="incomplete"):
        unused_goldens(judged)


def test_a_run_is_not_judged_by_one_that_is_not_whole(tmp_path):
    whole = write_run(tmp_path / "whole", make_result())
    cut = write_run(tmp_path / "cut", make_result(), planned=2, finished=False)
    assert [v.state for v in judge_by_run(whole, whole).verdicts] == [State.OK]
    for folders in ((cut, whole), (whole, cut)):
        assert {v.state for v in judge_by_run(*folders).verdicts} == {State.OK, State.ERROR}


def test_the_sum_of_a_set_is_unused_when_the_set_grew(tmp_path, goldens):
    model = make_result().case.model
    four = make_result(input="photos (4 images)")
    accept_all(write_run(tmp_path / "before", make_result("a.jpg"), four), goldens)
    grown = write_run(tmp_path / "after", make_result("a.jpg"), model=model)
    assert states(grown, goldens) == {"photos/a.jpg": State.OK, "photos (4 images)": State.UNUSED}


def test_unused_goldens_are_kept_until_pruned(tmp_path, goldens):
    both = write_run(tmp_path / "both", make_result("a.jpg"), make_result("b.jpg"))
    accept_all(both, goldens)
    one = write_run(tmp_path / "one", make_result("a.jpg"))
    assert states(one, goldens) == {"photos/a.jpg": State.OK, "photos/b.jpg": State.UNUSED}
    (key,) = unused_goldens(judge_run(one, goldens))
    goldens.remove(key)
    assert states(one, goldens) == {"photos/a.jpg": State.OK}


def damage(path, how):
    text = path.read_text()
    path.write_text(
        {"truncated": text[: len(text) // 2], "edited": text.replace("flamingo", "crane"), "empty": ""}[how]
    )


@pytest.mark.parametrize("how", ["truncated", "edited", "empty"])
def test_a_damaged_golden_is_an_error_that_accepting_repairs(tmp_path, goldens, how):
    run = write_run(tmp_path / "run", make_result(), make_result("b.jpg"))
    accept_all(run, goldens)
    damage(goldens.folder / make_result().case.key / RESULT_FILE, how)
    assert states(run, goldens) == {"photos/photo.jpg": State.ERROR, "photos/b.jpg": State.OK}
    accept(judge_run(run, goldens), goldens, ["photo.jpg"], everything=False, reason="repair")
    assert states(run, goldens) == {"photos/photo.jpg": State.OK, "photos/b.jpg": State.OK}


def test_a_renamed_golden_is_an_error(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result())
    accept_all(run, goldens)
    place = goldens.folder / make_result().case.key
    place.rename(place.with_name("something-else"))
    assert set(states(run, goldens).values()) == {State.ERROR, State.MISSING}


def test_a_damaged_history_stops_accepting_before_it_is_lost(tmp_path, goldens):
    run = write_run(tmp_path / "run", make_result())
    accept_all(run, goldens)
    path = goldens.folder / make_result().case.key / HISTORY_FILE
    path.write_text("[{")
    changed = write_run(tmp_path / "changed", make_result(predicted="crane"))
    with pytest.raises(StorageError, match="truncated"):
        accept_all(changed, goldens)
    assert path.read_text() == "[{"


def test_no_run_is_an_unavailable_input(tmp_path, goldens):
    with pytest.raises(InputUnavailable, match="holds no run"):
        judge_run(tmp_path, goldens)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 99}', '{"schema": 1}'])
def test_a_damaged_record_is_refused(tmp_path, goldens, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(StorageError):
        judge_run(tmp_path, goldens)


@pytest.mark.slow
def test_reports_are_written_by_many_processes_at_once_without_loss(tmp_path):
    """200 cases by 4 processes: read-modify-write of one shared file loses most of them."""
    script = (
        "import sys; sys.path[:0] = ['tests']; from synthetic import *; from xai_eval.store.goldens import Goldens\n"
        "from pathlib import Path\n"
        "for i in range(50): Goldens(Path(sys.argv[1])).store(make_result(f'{sys.argv[2]}-{i}.jpg'), 'x')\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(n)]) for n in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    results, errors = Goldens(tmp_path).load_all()
    assert (len(results), errors) == (200, {})
    assert len(list(tmp_path.glob(f"*/*/{HISTORY_FILE}"))) == 200
    assert not list(tmp_path.rglob(".*"))


def test_history_is_plain_json(tmp_path, goldens):
    place = goldens.store(make_result(), "because")
    (entry,) = json.loads((place / HISTORY_FILE).read_text())
    assert entry["reason"] == "because"
    assert entry["result"] == make_result().condensed().digest


def test_accepting_what_is_golden_already_says_why_nothing_changed(tmp_path, goldens, capsys):
    run = write_run(tmp_path / "run", make_result("a.jpg"), make_result("b.jpg"))
    asked = ["--results", str(run), "--golden", str(goldens.folder), "--reason", "looked"]
    a, b = (make_result(name).case.key for name in ("a.jpg", "b.jpg"))
    assert main(["accept", "a.jpg", *asked]) == 0
    assert f"1 result matches its golden already: {a}" not in capsys.readouterr().out
    assert main(["accept", "--all", *asked]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [f"accepted {b}", f"1 result matches its golden already: {a}"]
    assert main(["accept", "--all", *asked]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"2 results match their goldens already: {a}, {b}"
    assert told[1].startswith(
        f"0 goldens changed in {goldens.folder}. A golden is replaced only by a result that differs"
    )
    assert len(read_history(goldens.folder / a)) == 1
    assert main(["accept", "c.jpg", *asked]) == 2
    assert "unknown case 'c.jpg'" in capsys.readouterr().err
