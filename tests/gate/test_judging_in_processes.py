"""Work that is shared among processes: the same answers in the same order, whatever fails, and no process is left."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import blob, make_result

from xai_eval.errors import StorageError, XaiEvalError
from xai_eval.gate import processes
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.processes import in_shards, over, process_count
from xai_eval.gate.verdict import State
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE
from xai_eval.store.goldens import Goldens
from xai_eval.store.lazy import digest_of
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

FORK = multiprocessing.get_context("fork")
NAMES = [f"{letter}.jpg" for letter in "abcdefghij"]


@pytest.fixture
def shared(monkeypatch):
    """Share work among so many processes, in shards of so many cases."""

    def share(count, shard=2):
        monkeypatch.setattr(processes, "process_count", lambda: count)
        monkeypatch.setattr(processes, "LEAST", 1)
        monkeypatch.setattr(processes, "SHARD", shard)

    return share


@settings(max_examples=15)
@given(items=st.lists(st.integers(), max_size=60), shard=st.integers(1, 7), count=st.integers(1, 3))
def test_answers_and_their_order_are_those_of_one_process(items, shard, count):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "process_count", lambda: count)
        patch.setattr(processes, "LEAST", 1)
        patch.setattr(processes, "SHARD", shard)
        assert list(over(lambda item: (item, -item), items)) == [(item, -item) for item in items]
        assert [each for found in in_shards(list, items, "listing") for each in found] == items
    assert not multiprocessing.active_children()


def image_of(name):
    return name[0] * 64


@pytest.fixture
def tree(tmp_path):
    """Cases that are ok, drifted, renamed, new, unused, damaged in three ways, not accepted, and in quarantine."""
    goldens, run = Goldens(tmp_path / "golden"), tmp_path / "run"
    keys = {}
    for name in NAMES:
        result = make_result(name, image=image_of(name))
        keys[name] = result.case.key
        goldens.store(result, "looked")
        result.save(run / RESULTS_FOLDER / result.case.key)
    drifted = make_result("b.jpg", saliency=blob(20, 30), image=image_of("b.jpg"))
    drifted.save(run / RESULTS_FOLDER / keys["b.jpg"])
    for name in ("c.jpg", "i.jpg"):
        shutil.rmtree(goldens.folder / keys[name])
    shutil.rmtree(run / RESULTS_FOLDER / keys["d.jpg"])
    (goldens.folder / keys["e.jpg"] / RESULT_FILE).write_text("{")
    (run / RESULTS_FOLDER / keys["f.jpg"] / RESULT_FILE).unlink()
    (goldens.folder / keys["g.jpg"] / "accepted.json").unlink()
    other = make_result("h.jpg", image=image_of("h.jpg"))
    shutil.rmtree(run / RESULTS_FOLDER / keys["h.jpg"])
    other = dataclasses.replace(other, case=dataclasses.replace(other.case, params={"layer": "x"}))
    other.save(run / RESULTS_FOLDER / other.case.key)
    entry = '["{}"]\nreason = "known"\nowner = "a"\nexpires = 2099-01-01\n'
    (goldens.folder / "quarantine.toml").write_text(
        entry.format(keys["b.jpg"]) + entry.format("cams/nothing-0123456789")
    )
    record = RunRecord(("cams",), (other.case.model,), ("photos",), 8, finished=True)
    record.save(run)
    return run, dataclasses.replace(goldens, quarantine_days=10**6)


def everything(run, goldens):
    """All that judging tells, as text."""
    judged = judge_run(run, goldens)
    sides = [{key: (digest_of(each), each) for key, each in side.items()} for side in (judged.results, judged.goldens)]
    shown = [
        (key, digest, each.case, each.provenance, [*each.fields], [*each.stages])
        for side in sides
        for key, (digest, each) in side.items()
    ]
    told = [(verdict, verdict.sentence) for verdict in judged.verdicts]
    return {verdict.state for verdict in judged.verdicts}, repr(
        (told, shown, judged.pairs, judged.broken, judged.run_findings)
    )


@pytest.mark.parametrize("damaged", [False, True], ids=["documents", "arrays, too"])
def test_verdicts_and_messages_are_those_of_one_process(tree, shared, damaged):
    run, goldens = tree
    if damaged:
        (run / RESULTS_FOLDER / make_result("j.jpg").case.key / ARRAYS_FILE).write_bytes(b"damaged")
    states, alone = everything(run, goldens)
    assert states == set(State)
    shared(3, 2)
    assert everything(run, goldens) == (states, alone)


def fail(item):
    if item == 5:
        raise StorageError("five")
    return item


def test_what_fails_fails_where_and_as_it_does_in_one_process(shared):
    shared(2)
    found = []
    with pytest.raises(StorageError, match=r"^five$"):
        for each in in_shards(lambda items: [*map(fail, items)], range(20), "failing"):
            found += each
    assert found == [0, 1, 2, 3]
    assert not multiprocessing.active_children()


def test_what_cannot_be_sent_is_made_here(shared):
    shared(2)
    made = list(over(lambda item: lambda: (item, os.getpid()), range(7)))
    assert [each() for each in made] == [(item, os.getpid()) for item in range(7)]


def killing(item):
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_killed_process_is_told(shared):
    shared(2)
    with pytest.raises(XaiEvalError, match=r"SIGKILL.* memory"):
        list(over(killing, range(40)))
    assert not multiprocessing.active_children()


@pytest.fixture
def interruptible():
    """Started in the background of a shell, pytest ignores interruption."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interruption_ends_all_processes(shared):
    shared(2)
    starter = os.getpid()

    def interrupt(item):
        if item == 3:
            os.kill(os.getpid(), signal.SIGINT)  # a terminal sends it to all of them, and copies do not mind
            os.kill(starter, signal.SIGINT)
            time.sleep(60)
        return item

    with pytest.raises(KeyboardInterrupt):
        list(over(interrupt, range(40)))
    assert not multiprocessing.active_children()


def test_no_process_is_left_if_the_first_is_killed(shared):
    shared(2, shard=1)
    ours, theirs = FORK.Pipe()
    gone = FORK.Event()

    def told(item):
        theirs.send(os.getpid())
        gone.wait()

    first = FORK.Process(target=lambda: list(over(told, range(1000))))
    first.start()
    theirs.close()
    others = {ours.recv() for _ in range(2)}  # each is at its first case
    first.kill()
    first.join()
    gone.set()
    assert len(others) == 2
    # The pipe ends when nobody has its other end any more: no case was begun, and both processes have ended.
    assert ours.poll(600)
    with pytest.raises(EOFError):
        ours.recv()


def test_a_process_is_copied_only_where_that_is_safe(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: range(6))
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(processes, "read_bytes", lambda *_: b"max 100000\n")
    assert process_count() == 6
    monkeypatch.setattr(processes, "read_bytes", lambda *_: b"150000 100000\n")
    assert process_count() == 2
    monkeypatch.setattr(processes, "read_bytes", lambda *_: b"nonsense")
    assert process_count() == 6
    for unsafe in (
        lambda patch: patch.setitem(sys.modules, "torch", sys),
        lambda patch: patch.setattr(threading, "active_count", lambda: 2),
        lambda patch: patch.setattr(sys, "platform", "win32"),
        lambda patch: patch.setattr(os, "sched_getaffinity", lambda _process: range(1)),
    ):
        with monkeypatch.context() as patch:
            unsafe(patch)
            assert process_count() == 1


def test_few_cases_are_judged_in_this_process(monkeypatch):
    monkeypatch.setattr(processes, "process_count", lambda: pytest.fail("was asked"))
    pid = os.getpid()
    assert list(over(lambda _: os.getpid(), range(processes.LEAST - 1))) == [pid] * (processes.LEAST - 1)
