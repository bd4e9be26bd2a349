"""Several processes at the goldens at once: one has them, the others are told so, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from synthetic import blob, make_result

from xai_eval.cli.main import main
from xai_eval.result.result import Result
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import read_history
from xai_eval.store.lock import LOCK_FILE, locked
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

PROCESSES, ROUNDS, NAMES = 4, 5, ("a.jpg", "b.jpg", "c.jpg")

# Accepts all of its run until it was let in ROUNDS times; each time another map, so that there is something to accept.
ACCEPT = """
    import sys, time
    sys.path.insert(0, "tests")
    from pathlib import Path
    from synthetic import blob, make_result
    from xai_eval.errors import UsageError
    from xai_eval.store.goldens import Goldens
    from xai_eval.gate.accept import accept
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.store.runs import RESULTS_FOLDER, RunRecord
    me, rounds, folder, names = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    refused = 0
    for turn in range(rounds):
        for name in names:
            result = make_result(name, saliency=blob(20 + 40 * me, 20 + 40 * turn))
            result.save(folder / f"run-{me}" / RESULTS_FOLDER / result.case.key)
        RunRecord(("cams",), (result.case.model,), ("photos",), len(names), finished=True).save(folder / f"run-{me}")
        while True:
            goldens = Goldens(folder / "golden")
            try:
                accept(judge_run(folder / f"run-{me}", goldens), goldens, [], everything=True, reason=f"{me}-{turn}")
                break
            except UsageError as error:
                assert "is in use by process" in str(error), error
                if not refused:
                    print("refused", flush=True)
                refused += 1
                time.sleep(0.01)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the current folder, of one case that has no golden yet."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    result = make_result()
    result.save(tmp_path / "reports" / RESULTS_FOLDER / result.case.key)
    RunRecord(("cams",), (result.case.model,), ("photos",), 1, finished=True).save(tmp_path / "reports")
    return tmp_path


def test_who_comes_second_is_told_who_is_at_it_and_changes_nothing(run: Path, capsys: pytest.CaptureFixture) -> None:
    with locked(run / "golden"):
        before = sorted((run / "golden").rglob("*"))
        # A process of its own, because a lock is no obstacle to the one that has it.
        command = [sys.executable, "-m", "xai_eval", "accept", "--all", "--reason", "looked"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=run)
        assert done.returncode == 2, done.stderr
        assert "golden is in use by process" in done.stderr and "Traceback" not in done.stderr
        assert sorted((run / "golden").rglob("*")) == before
    assert main(["accept", "--all", "--reason", "looked"]) == 0
    assert not (run / "golden" / LOCK_FILE).exists()


def test_pruning_waits_for_its_turn_too(run: Path) -> None:
    assert main(["accept", "--all", "--reason", "looked"]) == 0
    gone = Goldens(run / "golden").store(make_result("gone.jpg"), "looked")
    with locked(run / "golden"):
        done = subprocess.run([sys.executable, "-m", "xai_eval", "prune"], capture_output=True, text=True, cwd=run)
        assert done.returncode == 2 and "golden is in use by process" in done.stderr
        assert gone.is_dir()
    assert main(["prune"]) == 0
    assert not gone.exists()


def test_what_a_killed_accept_left_is_no_obstacle(run: Path) -> None:
    dead = subprocess.Popen(
        [sys.executable, "-c", "from xai_eval.store.lock import *; print(this_process())"], stdout=-1
    )
    (run / "golden").mkdir()
    (run / "golden" / LOCK_FILE).write_bytes(dead.communicate()[0].strip())
    assert main(["accept", "--all", "--reason", "looked"]) == 0
    assert not (run / "golden" / LOCK_FILE).exists()


@pytest.mark.alone
def test_every_accept_that_was_let_in_stands_in_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    arguments = [str(ROUNDS), str(tmp_path), *NAMES]
    with locked(tmp_path / "golden"):  # until all of them are at it
        workers = [
            subprocess.Popen([sys.executable, "-c", textwrap.dedent(ACCEPT), str(n), *arguments], stdout=-1, text=True)
            for n in range(PROCESSES)
        ]
        assert [worker.stdout.readline() for worker in workers if worker.stdout] == ["refused\n"] * PROCESSES
    assert [worker.communicate()[0] for worker in workers] == [""] * PROCESSES
    assert [worker.returncode for worker in workers] == [0] * PROCESSES
    goldens = Goldens(tmp_path / "golden")
    results, errors = goldens.load_all()
    assert not errors
    for result in results.values():
        history = read_history(goldens.folder / result.case.key)
        reasons = [entry.reason for entry in history]
        assert sorted(reasons) == sorted(f"{n}-{turn}" for n in range(PROCESSES) for turn in range(ROUNDS))
        me, turn = map(int, reasons[-1].split("-"))
        last = make_result(result.case.input.split("/")[1], saliency=blob(20 + 40 * me, 20 + 40 * turn))
        assert Result.load(goldens.folder / result.case.key).digest == last.condensed().digest == history[-1].result


# Takes the folder as often as it can. Half of the times it leaves the lock as a killed process would.
TAKE = """
    import os, sys, random, platform
    from pathlib import Path
    from xai_eval.errors import UsageError
    from xai_eval.store.lock import LOCK_FILE, acquire, release, this_process
    folder, dead, dice = Path(sys.argv[1]), sys.argv[2], random.Random(int(sys.argv[3]))
    inside = folder / "inside"
    taken = 0
    while taken < 200:
        try:
            assert acquire(folder, this_process())
        except UsageError:
            continue
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails if somebody else is inside as well
        taken += 1
        inside.unlink()
        if dice.random() < 0.5:
            release(folder, this_process())
        else:
            (folder / "dead").write_text(dead)
            (folder / "dead").replace(folder / LOCK_FILE)
"""


@pytest.mark.alone
def test_the_lock_of_a_dead_process_goes_to_one_process_alone(tmp_path: Path) -> None:
    code = "from xai_eval.store.lock import *; print(this_process())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
    workers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(TAKE), str(tmp_path), dead, str(seed)])
        for seed in range(PROCESSES)
    ]
    assert [worker.wait() for worker in workers] == [0] * PROCESSES
