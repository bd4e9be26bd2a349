"""Decisions of the served page do what the commands do, and only about what the person saw."""

import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from xai_eval.cli.main import main
from xai_eval.gate.judge_run import judge_run
from xai_eval.report.page import sheets
from xai_eval.store.history import HISTORY_FILE, read_history
from xai_eval.store.lock import LOCK_FILE
from xai_eval.store.quarantine import QUARANTINE_FILE, read_quarantine
from xai_eval.store.rejections import read_rejections
from xai_eval.store.runs import RunRecord


def states(place):
    return {v.case.input[7:-4]: str(v.state) for v in judge_run(place.reports, place.goldens).verdicts}


def contents(folder):
    """Every file of a folder with its bytes, but for locks."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != LOCK_FILE}


def without_times(folder):
    return {
        path.relative_to(folder): [{**entry, "when": ""} for entry in json.loads(data)]
        if path.name == HISTORY_FILE
        else data
        for path, data in contents(folder).items()
    }


def key_of(place, name):
    return next(key for key in judge_run(place.reports, place.goldens).results if f"-{name}-" in key)


def test_accepting_writes_what_the_command_writes(place, call, capsys):
    shutil.copytree(place.goldens.folder, "by-command")
    assert main(["accept", "a.jpg", "new.jpg", "--golden", "by-command", "--reason", "looked"]) == 0
    status, answer = call.send(call.decision(names="a new"))
    assert (status, answer["sentence"]) == (200, "accepted 2 cases")
    assert without_times(place.goldens.folder) == without_times(place.goldens.folder.parent / "by-command")
    assert states(place) == {"a": "ok", "b": "drift", "new": "ok"}
    assert call.told == [f"xai-eval: accepted 2 cases: {', '.join(answer['keys'])}"]
    # What was decided is no longer offered.
    assert [each["name"] for each in call.document()["cases"]] == ["cams: photos/b.jpg"]


def test_a_rejection_is_kept_with_the_run_and_shown_on_its_page(place, call, without_figures):
    before = contents(place.goldens.folder)
    assert call.send(call.decision("reject", "a", reason="the sky is <b>hot</b>"))[0] == 200
    assert contents(place.goldens.folder) == before and states(place)["a"] == "drift"
    (rejected,) = read_rejections(place.reports)
    assert rejected.case == key_of(place, "a") and rejected.reason == "the sky is <b>hot</b>"
    assert b"the sky is &lt;b&gt;hot&lt;/b&gt;" in call.ask()[1]
    assert main(["report", "reports"]) == 0
    assert b"the sky is &lt;b&gt;hot&lt;/b&gt;" in (place.reports / "index.html").read_bytes()


def test_a_quarantine_is_an_entry_as_a_person_writes_it(place, call):
    file = place.goldens.folder / QUARANTINE_FILE
    stranger = '# mine\n["cams/gone"]\nowner = "A"\nreason = "r"\nexpires = 2026-01-01'
    file.write_text(stranger)
    reason = 'a "quote", a \\ and a\nline \x7f ü'
    day = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=90)
    asked = call.decision("quarantine", "a b", owner="Mira", expires=str(day), reason=reason)
    assert call.send(asked)[0] == 200
    assert file.read_text().startswith(stranger)
    entries = read_quarantine(place.goldens.folder)
    assert {key for key in entries if key != "cams/gone"} == {key_of(place, "a"), key_of(place, "b")}
    entry = entries[key_of(place, "a")]
    assert (entry.owner, entry.reason, entry.expires) == ("Mira", reason, day)
    assert [v.failed for v in judge_run(place.reports, place.goldens).verdicts if v.case.key in entries] == [False] * 2
    # The second time the whole decision is refused.
    before = contents(place.goldens.folder)
    status, answer = call.send({**asked, "cases": call.decision(names="a new")["cases"]})
    assert status == 409 and "already" in answer["error"]
    assert contents(place.goldens.folder) == before


def day(days):
    return str(datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days))


ASIDE = {"kind": "quarantine", "owner": "Mira", "expires": day(10)}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"reason": " \n"}, "a reason is needed"),
        ({"reason": "x" * 2001}, "Say it more briefly"),
        ({"reason": "a\ud800"}, "half of a character"),
        ({"cases": {}}, "no case was chosen"),
        ({"kind": "delete"}, "this is no decision"),
        ({"reason": 3}, "this is no decision"),
        ({"more": 1}, "this is no decision"),
        ({"cases": {"../../etc": {"result": "", "golden": ""}}}, "the result is gone"),
        ({**ASIDE, "owner": ""}, "an owner"),
        ({**ASIDE, "expires": "soon"}, "a last day is needed"),
        ({**ASIDE, "expires": day(-1)}, "is over"),
        ({**ASIDE, "expires": day(92)}, "at most 90 are allowed"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_a_decision_that_lacks_something_changes_nothing(place, call, changed, said):
    before = contents(place.reports.parent)
    status, answer = call.send({**call.decision(), **changed})
    assert status in (409, 503) and said in answer["error"]
    assert contents(place.reports.parent) == before and call.told == []


def test_more_than_twenty_need_a_word(place, call, monkeypatch):
    monkeypatch.setattr("xai_eval.gate.accept.BULK_ABOVE", 1)
    status, answer = call.send(call.decision())
    assert status == 409 and "goldens would change at once" in answer["error"]
    assert call.send(call.decision(bulk=True))[0] == 200


@pytest.mark.parametrize("kind", ["accept", "reject", "quarantine"])
@pytest.mark.parametrize("what", ["result", "golden", "new golden"])
def test_what_changed_since_it_was_seen_is_not_decided(place, call, results, kind, what):
    decision = call.decision(kind, owner="Mira", expires=day(3))
    if what == "result":
        place.save(results("a", 16), results("b", 8), results("new", 8))
    else:
        place.goldens.store(results("a" if what == "golden" else "new", 9), "by somebody else")
    before = contents(place.reports.parent)
    status, answer = call.send(decision)
    assert status == 409 and f"the {what.split()[-1]} is another one" in answer["error"]
    assert contents(place.reports.parent) == before
    # The page that is loaded then shows what is there now.
    assert call.send(call.decision(kind, "b new", owner="Mira", expires=day(3)))[0] == 200


def test_a_run_is_not_judged_again_for_each_decision_about_what_is_shown(place, call, monkeypatch):
    decisions = [call.decision(names=name) for name in ("a", "b")]
    judged = []
    monkeypatch.setattr("xai_eval.review.desk.judge_run", lambda *given: judged.append(1) or judge_run(*given))
    assert [call.send(each)[0] for each in decisions] == [200, 200] and not judged
    assert states(place) == {"a": "ok", "b": "ok", "new": "missing"}
    assert [each["name"] for each in call.document()["cases"]] == ["cams: photos/new.jpg"] and judged == [1]


def test_of_two_servers_the_second_is_refused_what_the_first_has_decided(place, serve):
    first, second = serve(), serve()
    decision = second.decision(names="a")
    assert first.send(first.decision(names="a"))[0] == 200
    before = contents(place.goldens.folder)
    status, answer = second.send(decision)
    assert status == 409 and "the golden is another one" in answer["error"]
    assert contents(place.goldens.folder) == before
    assert second.server.token != first.server.token and second.ask(path=first.base)[0] == 404


def test_while_another_process_writes_there_nothing_is_decided(place, call):
    decision = call.decision()
    for folder in (place.reports, place.goldens.folder):
        (folder / LOCK_FILE).write_text(f"{os.getppid()} elsewhere 1")
        status, answer = call.send(decision)
        assert status == 409 and "in use by" in answer["error"]
        (folder / LOCK_FILE).unlink()
    assert call.send(decision)[0] == 200


def test_an_incomplete_run_is_not_accepted(place, call):
    RunRecord(("cams",), ("file:nets.py:net",), ("photos",), 4, finished=True).save(place.reports)
    status, answer = call.send(call.decision())
    assert status == 409 and "incomplete" in answer["error"]


def test_in_a_ci_there_is_no_review(place, call, monkeypatch, capsys):
    decision = call.decision()
    before = contents(place.reports.parent)
    monkeypatch.setenv("GITLAB_CI", "true")
    assert main(["review", "reports"]) == 2
    assert "a review is refused in a CI" in capsys.readouterr().err
    # A server that runs already does nothing any more.
    for kind in ("accept", "reject", "quarantine"):
        status, answer = call.send({**decision, "kind": kind, "owner": "Mira", "expires": day(3)})
        assert status == 409 and "GITLAB_CI" in answer["error"]
    status, page, _ = call.ask()
    assert status == 503 and b"GITLAB_CI" in page
    assert contents(place.reports.parent) == before


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 0)])
def test_a_server_that_ends_has_stored_every_decision_that_it_answered(place, call, end, code):
    """The real command, from the sentence at the terminal to its end."""
    # A shell that starts these tests in the background lets them ignore SIGINT, and what they start as well.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from xai_eval.cli.main import main"
    )
    command = [sys.executable, "-c", f"{program}; raise SystemExit(main())", "review", "reports"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(600, process.kill)
        limit.start()
        sentence = process.stderr.readline()
        assert "Only who knows this address can use it" in sentence
        other = call.elsewhere(sentence)
        assert other.send(other.decision(names="a"))[0] == 200
        process.send_signal(end)
        assert process.wait(timeout=600) == code
        limit.cancel()
    assert states(place)["a"] == "ok"
    assert read_history(place.goldens.folder / key_of(place, "a"))[-1].reason == "looked"
    assert not (place.goldens.folder / LOCK_FILE).exists()


def test_a_run_of_many_cases_is_served_page_by_page(place, call, monkeypatch):
    monkeypatch.setattr(sheets, "ONE_PAGE", 2)
    monkeypatch.setattr(sheets, "FIRST", 2)
    first, (status, page, answer) = call.document(), call.ask(path=f"{call.base}cases-2.html")
    assert status == 200 and answer.headers["Content-Type"].startswith("text/html")
    second = json.loads(page.decode().split('id="review-document">')[1].split("</script>")[0])
    # What is decided on a page is about its own cases.
    assert [len(each["cases"]) for each in (first, second)] == [2, 1]
    status, script, answer = call.ask(path=f"{call.base}cases.js")
    assert status == 200 and answer.headers["Content-Type"].startswith("text/javascript")
    assert second["cases"][0]["anchor"] in script.decode()
    assert [call.ask(path=f"{call.base}{name}")[0] for name in ("cases-3.html", "verdicts.json", "run.json")] == [
        404
    ] * 3
    key = second["cases"][0]["key"]
    status, told = call.send({"kind": "accept", "reason": "looked", "cases": {key: second["cases"][0]["seen"]}})
    assert (status, told["keys"]) == (200, [key])
    # Now two cases are left to decide, and both are on the first page.
    assert len(call.document()["cases"]) == 2
    monkeypatch.setattr(sheets, "DRAWN", 1)
    monkeypatch.setattr(sheets, "FIRST", 1)
    page = place.desk.page().decode()
    [drawn] = json.loads(page.split('id="review-document">')[1].split("</script>")[0])["cases"]
    assert drawn["anchor"] in page  # the other one is not drawn on any page, so nobody can have seen it
    assert '"cases": []' in place.desk.page("cases-2.html").decode()
