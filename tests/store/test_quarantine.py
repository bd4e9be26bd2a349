import dataclasses
import datetime
import json
import shutil

import numpy as np
import pytest
from synthetic import blob, make_case, make_result

from xai_eval.cli.main import main
from xai_eval.errors import StorageError
from xai_eval.gate.judge import judge, missing
from xai_eval.gate.judge_run import following, judge_run
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.result import ARRAYS_FILE, Provenance
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.goldens import Goldens
from xai_eval.store.quarantine import QUARANTINE_FILE, Quarantine, read_quarantine
from xai_eval.store.runs import RunRecord

TODAY = datetime.date(2026, 6, 15)
SOON = str(datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=30))
A, B = make_result("a.jpg"), make_result("b.jpg")
MOVED = make_result("a.jpg", saliency=blob(150, 40))


def write(folder, key=A.case.key, expires=SOON, **changes):
    lines = {"owner": '"Mira"', "reason": '"upstream mends it."', "expires": expires} | changes
    folder.mkdir(parents=True, exist_ok=True)
    entry = "\n".join(f"{name} = {value}" for name, value in lines.items() if value)
    (folder / QUARANTINE_FILE).write_text(f'["{key}"]\n{entry}\n')


def test_an_entry_is_read(tmp_path):
    write(tmp_path, expires="2026-06-15")
    entry = read_quarantine(tmp_path, TODAY)[A.case.key]
    assert (entry.owner, entry.reason, entry.expires) == ("Mira", "upstream mends it.", TODAY)
    assert read_quarantine(tmp_path / "elsewhere", TODAY) == {}


@pytest.mark.parametrize("expires, expired", [("2026-06-16", False), ("2026-06-15", False), ("2026-06-14", True)])
def test_the_last_day_counts(tmp_path, expires, expired):
    write(tmp_path, expires=expires)
    assert read_quarantine(tmp_path, TODAY)[A.case.key].expired is expired


@pytest.mark.parametrize(("days", "longest"), [(90, 90), (91, 91), (1, 1)])
def test_the_latest_day_is_that_of_the_settings(tmp_path, days, longest):
    write(tmp_path, expires=str(TODAY + datetime.timedelta(days=days)))
    assert list(read_quarantine(tmp_path, TODAY, longest)) == [A.case.key]
    with pytest.raises(StorageError, match=f"{days} days ahead; at most {days - 1} are allowed.*quarantine_days"):
        read_quarantine(tmp_path, TODAY, days - 1)


@pytest.mark.parametrize("expires", ["9999-12-31", "2026-09-14"])
def test_a_quarantine_without_end_is_refused(tmp_path, expires):
    write(tmp_path, expires=expires)
    with pytest.raises(StorageError, match="at most 90 are allowed"):
        read_quarantine(tmp_path, TODAY)


def test_the_configuration_file_sets_the_longest_term(place, capsys):
    later = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=200)
    write(place / "golden", expires=str(later))
    assert main(["check"]) == 3
    assert "at most 90 are allowed" in capsys.readouterr().err
    (place / "xai_eval.toml").write_text("quarantine_days = 365\n")
    assert main(["check"]) == 0
    (place / "xai_eval.toml").write_text("quarantine_days = 0\n")
    assert main(["check"]) == 2
    assert "quarantine_days is 0; expected a whole number of days" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"owner": None}, "got reason, expires"),
        ({"owner": '"  "'}, "owner is '  '"),
        ({"reason": "3"}, "reason is 3"),
        ({"expires": '"2026-12-31"'}, "expires is '2026-12-31', not a date; .*, without quotes"),
        ({"expires": "2026-12-31T10:00:00"}, "not a date"),
        ({"expires": None}, "expected owner = .* and expires = 2027-01-31"),
        ({"untill": "3"}, "got owner, reason, expires, untill"),
        ({"reason": "unquoted"}, "is not TOML"),
    ],
)
def test_an_entry_that_is_not_whole_is_refused_and_named(tmp_path, changes, words):
    write(tmp_path, **changes)
    with pytest.raises(StorageError, match=words) as raised:
        read_quarantine(tmp_path)
    assert str(tmp_path / QUARANTINE_FILE) in str(raised.value)


@pytest.mark.parametrize("content", ["x = 1", "[" * 5000, b"\xff\xfe", "[a]\n[a]\n"])
def test_what_is_no_list_of_entries_is_refused(tmp_path, content):
    (tmp_path / QUARANTINE_FILE).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StorageError, match=QUARANTINE_FILE):
        read_quarantine(tmp_path)


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    """Goldens of two cases, and a run in which the first has drifted."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    for golden in (A, B):
        Goldens(tmp_path / "golden").store(golden, "first")
    write_run(tmp_path, MOVED, B)
    return tmp_path


def write_run(place, *results):
    for result in results:
        result.save(place / "reports" / "results" / result.case.key)
    record = RunRecord(("cams",), (A.case.model,), ("photos",), len(results), finished=True)
    record.save(place / "reports")


def verdicts(place):
    return {v.case.input: v for v in judge_run(place / "reports", Goldens(place / "golden")).verdicts}


def test_a_drift_in_quarantine_is_shown_and_does_not_fail(place, capsys):
    assert main(["check"]) == 1
    write(place / "golden")
    capsys.readouterr()
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"drift  evidence  {A.case.key}  Grad-CAM changed (evidence): ")
    assert lines[0].endswith(f"In quarantine until {SOON} (Mira: upstream mends it).")
    assert "2 cases: 1 ok, 1 drift; 1 in quarantine" in lines
    document = json.loads((place / "reports" / "verdicts.json").read_text())
    assert (document["failed"], document["quarantine"]) == (False, {"cases": 1, "expired": 0})
    page = (place / "reports" / "index.html").read_text()
    assert '<h2 id="aside">In quarantine</h2>' in page
    assert "What needs a decision" not in page


RENAMED = make_result("renamed.jpg", saliency=blob(150, 40))


def test_the_entry_follows_an_image_that_was_renamed_and_says_what_to_do(place):
    write(place / "golden")
    shutil.rmtree(place / "reports")
    Goldens(place / "golden").remove(B.case.key)  # of the same bytes
    write_run(place, RENAMED)
    [verdict] = [each for each in verdicts(place).values() if each.case == RENAMED.case]
    assert verdict.state is State.DRIFT and not verdict.failed
    assert f"by the entry of its earlier name {A.case.key}, which needs the new key once" in verdict.sentence


def test_the_entry_follows_no_other_image_model_or_experiment():
    entry = {A.case.key: Quarantine("Mira", "later", TODAY)}

    def follows(now, was=A):
        return now.case.key in following(entry, {now.case.key: was.case.key}, {now.case.key: now}, {was.case.key: was})

    assert follows(RENAMED)
    other = make_result("renamed.jpg", image="c" * 64, stages={Stage(StageKind.DECODED_PIXELS): np.ones(4)})
    assert not follows(other)
    assert follows(make_result("renamed.jpg", image="c" * 64)), "compressed anew: the same pixels"
    for changes in ({"model": "other"}, {"task": "lime"}, {"params": {"target": "car"}}):
        assert not follows(dataclasses.replace(RENAMED, case=make_case("renamed.jpg", **changes)))
    unknown = dataclasses.replace(RENAMED, stages={}, provenance=Provenance())
    assert not follows(unknown, dataclasses.replace(A, stages={}, provenance=Provenance()))


def test_an_entry_of_the_case_itself_counts_before_that_of_its_earlier_name():
    own, former = Quarantine("Ann", "own", TODAY), Quarantine("Mira", "former", TODAY)
    entries = {A.case.key: former, RENAMED.case.key: own}
    found = following(entries, {RENAMED.case.key: A.case.key}, {RENAMED.case.key: RENAMED}, {A.case.key: A})
    assert found[RENAMED.case.key] == own


def test_an_expired_quarantine_fails_and_says_so(place, capsys):
    write(place / "golden", expires="2020-01-31")
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "Its quarantine expired on 2020-01-31 (Mira: upstream mends it)" in out
    assert "1 in quarantine, 1 of them for too long" in out
    write_run(place, A, B)
    assert main(["check"]) == 1
    assert verdicts(place)["photos/a.jpg"].state is State.OK
    assert "2 cases: 2 ok; 1 in quarantine, 1 of them for too long" in capsys.readouterr().out


def test_others_still_fail(place):
    write(place / "golden", key=B.case.key)
    assert main(["check"]) == 1
    assert [v.failed for v in verdicts(place).values()] == [True, False]


def test_a_case_in_quarantine_that_did_not_run_fails(place):
    write(place / "golden", key=B.case.key)
    for file in (place / "reports" / "results" / B.case.key).iterdir():
        file.unlink()
    (place / "reports" / "results" / B.case.key).rmdir()
    write_run(place, A)
    unused = verdicts(place)["photos/b.jpg"]
    assert unused.state is State.UNUSED
    assert unused.sentence.endswith("(Mira: upstream mends it). The case fails even so, because it was not measured.")
    assert main(["check"]) == 1


def test_a_damaged_golden_is_not_excused(place):
    write(place / "golden")
    (place / "golden" / A.case.key / ARRAYS_FILE).write_bytes(b"")
    assert main(["check"]) == 1


def test_an_entry_for_an_unknown_case_is_an_error_with_near_names(place, capsys):
    write(place / "golden", key=A.case.key[:-1] + "x")
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "error" in out.splitlines()[0]
    assert "quarantine.toml names a case that has neither a golden nor a result in this run: unknown case" in out
    assert f"Did you mean {A.case.key}" in out


def test_a_damaged_file_is_said_before_anything_is_computed_and_excuses_nothing(place, capsys):
    write(place / "golden", owner=None)
    assert main(["check"]) == 3
    assert main(["run", "cams"]) == 3
    assert capsys.readouterr().err.count(f"{QUARANTINE_FILE}: [{A.case.key!r}]: expected owner") == 2


def test_what_can_be_excused_is_what_was_measured(tmp_path):
    write(tmp_path, expires="2026-06-15")
    entry = read_quarantine(tmp_path, TODAY)[A.case.key]
    asked = make_result("a.jpg", params={"target": "intended"})
    states = {
        judged.state: Verdict(judged.case, judged.state, quarantine=entry).failed
        for judged in (
            judge(A, A),
            judge(MOVED, A),
            judge(asked, A),
            missing(A.case),
            Verdict(A.case, State.UNUSED),
            Verdict(A.case, State.ERROR),
        )
    }
    assert states == {
        State.OK: False,
        State.DRIFT: False,
        State.INCOMPARABLE: False,
        State.MISSING: False,
        State.UNUSED: True,
        State.ERROR: True,
    }
