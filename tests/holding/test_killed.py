"""Processes that are killed, or find the disk full, at any moment: what they leave is whole, or is said not to be.

The processes are forked, so that they begin to write at once, and killed with SIGKILL, which nobody can catch.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from counted_kills import kill, moments
from PIL import Image
from synthetic import blob, make_result

from xai_eval.errors import StorageError
from xai_eval.gate.accept import accept
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.verdict import State
from xai_eval.report.write import write_report
from xai_eval.result.fields import InputImage
from xai_eval.result.result import Result
from xai_eval.run.plan import Plan
from xai_eval.run.run_plans import run
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import read_history
from xai_eval.store.lock import LOCK_FILE
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

pytestmark = pytest.mark.slow

# Two kills for each case that is written, so that every moment of writing one is hit.
KILLS, CASES = 8, 4
IMAGE = InputImage(np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8))
_FORK = multiprocessing.get_context("fork")


def result(number: int, version: int) -> Result:
    """One of the cases, as the old (0) or the new (1) code explains it; the first has an image, and so figures."""
    saliency = blob(10 + 2 * number, 10 if version == 0 else 38, size=48, width=12)
    return make_result(f"{number}.jpg", saliency=saliency, fields={} if number else {"image": IMAGE})


def version(read: Result, *, condensed: bool = False) -> int:
    """Which of the two `read` is; fails for a mixture."""
    number = int(read.case.input.removesuffix(".jpg").split("/")[1])
    both = [result(number, each) for each in (0, 1)]
    return [(each.condensed() if condensed else each).digest for each in both].index(read.digest)


@dataclass(frozen=True)
class Place:
    """A folder with a run of the old version, and its goldens."""

    run: Path
    goldens: Goldens

    def judge(self) -> dict[str, State]:
        """States by the folder of the case."""
        return {v.case.key.split("/")[-1]: v.state for v in judge_run(self.run, self.goldens).verdicts}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """As many untouched places as a test needs."""
    monkeypatch.delenv("CI", raising=False)

    template = Place(tmp_path / "run", Goldens(tmp_path / "golden"))
    for case in range(CASES):
        template.goldens.store(result(case, 0), "old")
    measure(template, 0)
    return copies(template, tmp_path)


def copies(template: Place, folder: Path) -> Iterator[Place]:
    for number in itertools.count():
        place = Place(folder / f"run-{number}", Goldens(folder / f"golden-{number}"))
        shutil.copytree(template.run, place.run)
        shutil.copytree(template.goldens.folder, place.goldens.folder)
        yield place


def measure(place: Place, which: int) -> None:
    """Run, judge and report, as `xai-eval run` does."""
    with RunFolder(place.run).claimed():
        obtain(place, which)
        judged = judge_run(place.run, place.goldens)
        write_report(place.run, judged)


def obtain(place: Place, which: int) -> None:
    """Write the results of a run."""
    cases = (result(number, which) for number in range(CASES))
    plan = Plan("cams", result(0, 0).case.model, "photos", True, CASES, cases)
    run([plan], RunFolder(place.run), lambda results, total, name: results)


def accept_all(place: Place) -> None:
    accept(judge_run(place.run, place.goldens), place.goldens, [], everything=True, reason="new")


def test_a_killed_accept_leaves_each_golden_as_it_was_or_new_and_the_next_one_goes_on(places: Iterator[Place]) -> None:
    template = next(places)
    obtain(template, 1)
    prepared = copies(template, template.run.parent / "accepting")
    changed = 0
    for moment in moments(judged_before(next(prepared))[0], KILLS):
        work, place = judged_before(next(prepared))
        kill(work, moment)
        states = place.judge()
        for number in range(CASES):
            case = result(number, 0).case
            history = [entry.reason for entry in read_history(place.goldens.folder / case.key)]
            read = place.goldens.load(case)
            assert read is not None
            new = version(read, condensed=True)
            assert states[case.id] is (State.OK if new else State.DRIFT)
            assert not new or history == ["old", "new"], "a golden changed and nobody knows why"
            changed += new
        accept_all(place)
        assert set(place.judge().values()) == {State.OK}
        assert not list(place.goldens.folder.rglob(".*")), "what the killed process left"
    print(f"\n{KILLS} accepts killed; {changed} goldens changed, and none is broken")
    assert 0 < changed < KILLS * CASES


def judged_before(place: Place) -> tuple[Callable[[], None], Place]:
    """Return what only accepts, so that it is writing whenever it is killed."""
    judged = judge_run(place.run, place.goldens)

    def work() -> None:
        accept(judged, place.goldens, [], everything=True, reason="new")

    return work, place


def with_report(place: Place) -> None:
    measure(place, 1)


def without_report(place: Place) -> None:
    with RunFolder(place.run).claimed():
        obtain(place, 1)


@pytest.mark.parametrize("work", [with_report, without_report], ids=lambda work: work.__name__)
def test_a_killed_run_never_passes_for_a_whole_one_and_the_next_one_repairs(
    places: Iterator[Place], work: Callable[[Place], None]
) -> None:
    incomplete = 0
    for moment in moments(partial(work, next(places)), KILLS):
        place = next(places)
        kill(partial(work, place), moment)
        judged = judge_run(place.run, place.goldens)
        versions = [version(read) for read in judged.results.values()]
        if judged.gap or judged.broken:
            incomplete += 1
            assert State.ERROR in {verdict.state for verdict in judged.verdicts}
        else:
            assert versions in ([0] * CASES, [1] * CASES), "results of two runs pass for one"
        assert_report_is_whole(place.run)
        work(place)
        again = judge_run(place.run, place.goldens)
        assert not again.gap and not again.broken
        assert [version(read) for read in again.results.values()] == [1] * CASES
        assert not (place.run / LOCK_FILE).exists()
        assert not list((place.run / RESULTS_FOLDER).rglob(".*"))
        assert_report_is_whole(place.run)
    print(f"\n{KILLS} runs killed; {incomplete} left an incomplete run, and all were said to be")
    assert incomplete < KILLS
    assert incomplete > 0 or work is with_report, "most of its calls are the report's"


def assert_report_is_whole(folder: Path) -> None:
    """Every file that has its final name can be read to its end."""
    assert json.loads((folder / "verdicts.json").read_text())["cases"] >= CASES
    assert (folder / "index.html").read_text().rstrip().endswith("</html>")
    for path in (folder / "figures").glob("[!.]*.png"):
        with Image.open(path) as image:
            image.load()
    for path in (folder / "tables").glob("[!.]*"):
        assert path.read_bytes().endswith((b"\n", b"}"))


@pytest.mark.parametrize("seed", range(5))
def test_a_disk_that_is_full_at_any_byte_changes_no_golden_in_part(places: Iterator[Place], seed: int) -> None:
    """The limit on the size of a file stands for the disk: the system refuses in the middle of a file."""
    place = next(places)
    obtain(place, 1)
    files = {path for path in place.goldens.folder.rglob("*") if path.is_file()}
    limit = random.Random(seed).randrange(max(path.stat().st_size for path in files))

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            accept_all(place)
        except StorageError as error:
            assert "cannot write into" in str(error)
            os._exit(3)

    child = _FORK.Process(target=limited)
    child.start()
    child.join()
    assert child.exitcode == 3
    for number in range(CASES):
        read = place.goldens.load(result(number, 0).case)
        assert read is not None and version(read, condensed=True) == 0
    assert {path for path in place.goldens.folder.rglob("*") if path.is_file()} == files
    accept_all(place)
    assert set(place.judge().values()) == {State.OK}


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """The smallest file, written over and over: whoever is killed in the middle leaves the one before."""

    def write_records() -> None:
        for number in range(10**6):
            RunRecord(("cams",), ("m",), ("photos",), number, finished=True).save(tmp_path)

    dice = random.Random(3)
    for _ in range(KILLS):
        child = _FORK.Process(target=write_records)
        child.start()
        while not (tmp_path / "run.json").exists():
            time.sleep(0.001)
        time.sleep(dice.random() * 0.1)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        assert RunRecord.load(tmp_path).finished
