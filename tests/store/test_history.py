import datetime
import json
import subprocess
from pathlib import Path

import pytest
from synthetic import blob, make_result

from xai_eval.cli.main import main
from xai_eval.errors import StorageError
from xai_eval.result.result import ARRAYS_FILE
from xai_eval.store import history
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE, LONGEST, read_history, whoami
from xai_eval.store.runs import RunRecord


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    whoami.cache_clear()
    yield
    whoami.cache_clear()


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    """A working directory of somebody whom git knows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    called("Mira Lund")
    return tmp_path


def called(name):
    subprocess.run(["git", "config", "--global", "user.name", name], check=True)
    subprocess.run(["git", "config", "--global", "user.email", "mira@example.org"], check=True)


def write_run(*results):
    for result in results:
        result.save(f"reports/results/{result.case.key}")
    record = RunRecord(("cams",), ("file:nets.py:net",), ("photos",), len(results), finished=True)
    record.save(Path("reports"))


def accept(reason, case="photo.jpg"):
    return main(["accept", case, "--reason", reason])


@pytest.fixture
def accepted(place):
    write_run(make_result())
    assert accept("looked at it") == 0
    write_run(make_result(saliency=blob(150, 40), versions={"torch": "2.15.0"}))
    assert accept("the new torch is right") == 0
    return place / "golden" / make_result().case.key


def test_accepting_records_who_when_why_and_the_verdict(accepted):
    first, second = json.loads((accepted / HISTORY_FILE).read_text())
    assert (first["who"], first["reason"], first["state"], first["severity"]) == (
        "Mira Lund",
        "looked at it",
        "missing",
        "",
    )
    assert (second["state"], second["severity"], second["reason"]) == ("drift", "evidence", "the new torch is right")
    assert "torch 2.11.0 -> 2.15.0" in second["verdict"]
    when = datetime.datetime.fromisoformat(second["when"])
    assert when.utcoffset() == datetime.timedelta(0)
    assert abs((datetime.datetime.now(datetime.UTC) - when).total_seconds()) < 600
    assert "@" not in (accepted / HISTORY_FILE).read_text()


def test_log_shows_the_history_oldest_first(accepted, capsys):
    capsys.readouterr()
    assert main(["log", "photo.jpg"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == make_result().case.key
    assert lines[1].endswith("  Mira Lund  looked at it")
    assert lines[2].startswith("    verdict at that time: new: This case has no golden")
    assert lines[3].endswith("  Mira Lund  the new torch is right")
    assert lines[4].startswith("    verdict at that time: drift evidence: Grad-CAM changed (evidence): ")


@pytest.mark.parametrize("name, nearest", [("cams/photos-phto-jpg", make_result().case.key), ("phto.jpg", "photo.jpg")])
def test_log_of_an_unknown_case_names_the_nearest(accepted, capsys, name, nearest):
    assert main(["log", name]) == 2
    assert f"unknown case {name!r}. Did you mean {nearest}" in capsys.readouterr().err


def test_log_works_for_a_golden_that_cannot_be_read(accepted, capsys):
    (accepted / ARRAYS_FILE).unlink()
    assert main(["log", make_result().case.key]) == 0
    assert "the new torch is right" in capsys.readouterr().out


def test_entries_of_earlier_versions_are_shown_with_what_they_have(accepted, capsys):
    old = [{"when": "2026-01-01T00:00:00+00:00", "reason": "first \x1b[2J goldens", "result": "0" * 64}]
    (accepted / HISTORY_FILE).write_text(json.dumps(old))
    capsys.readouterr()
    assert main(["log", "photo.jpg"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [r"2026-01-01T00:00:00+00:00  unknown  first \x1b[2J goldens"]
    write_run(make_result(saliency=blob(40, 150)))
    assert accept("again") == 0
    assert [entry.reason for entry in read_history(accepted)] == ["first \x1b[2J goldens", "again"]


def test_a_history_keeps_the_newest_entries(place):
    goldens = Goldens(place / "golden")
    for number in range(LONGEST + 3):
        folder = goldens.store(make_result(), str(number))
    assert [entry.reason for entry in read_history(folder)] == [str(number) for number in range(3, LONGEST + 3)]


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[1]",
        '[{"when": "x"}]',
        '[{"when": "x", "reason": 1, "result": "x"}]',
        '[{"when": "x", "reason": "x", "result": "x", "mail": "x"}]',
    ],
)
def test_a_history_that_is_none_is_an_error_and_stays(accepted, content):
    (accepted / HISTORY_FILE).write_text(content)
    with pytest.raises(StorageError, match="truncated or not a history"):
        read_history(accepted)
    write_run(make_result(predicted="crane"))
    assert accept("again") == 3
    assert (accepted / HISTORY_FILE).read_text() == content


@pytest.mark.parametrize(
    "name, expected", [("Jo Ek <jo@example.org>", "Jo Ek"), ("jo@example.org", "login"), ("", "login")]
)
def test_an_address_is_never_kept(place, monkeypatch, name, expected):
    called(name)
    monkeypatch.setattr(history.getpass, "getuser", lambda: "login")
    assert whoami() == expected


def test_without_git_and_without_a_login_it_is_unknown(place, monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setenv("PATH", str(place))
    monkeypatch.setattr(history.getpass, "getuser", nobody)
    assert whoami() == "unknown"
