"""Commands that write, each with a folder to begin in, and what has to be true of it whenever the command ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from synthetic import blob, make_result

import xai_eval.report.write  # noqa: F401 (loaded before the disk fails, because loading writes files of libraries)
from xai_eval.cli.main import main
from xai_eval.errors import StorageError
from xai_eval.gate.accept import store_noise
from xai_eval.gate.judge_run import judge_run
from xai_eval.inputs.first_received import check_first_received
from xai_eval.report.earlier_report import remove_earlier_report
from xai_eval.report.page import shown_cases
from xai_eval.result.result import Result
from xai_eval.run.plan import Plan
from xai_eval.run.run_plans import run
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import read_history
from xai_eval.store.lock import LOCK_FILE
from xai_eval.store.noise import NOISE_FILE, Noise
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RESULTS_FOLDER, RUN_FILE, RunRecord

NAMES, NEW, GONE = ("0.jpg",), "1.jpg", "2.jpg"


@cache
def explained(name: str, version: int) -> Result:
    """One case as the old (0) or the new (1) code explains it."""
    return make_result(name, saliency=blob(8, 8 if version == 0 else 24, size=32, width=8))


@cache
def digest(name: str, version: int) -> str:
    """The digest of its golden."""
    return explained(name, version).condensed().digest


def goldens_in(folder: Path) -> Goldens:
    return Goldens(folder / "golden")


def write_run(folder: Path, *results: Result) -> None:
    """A finished run, in `reports`."""
    for result in results:
        result.save(folder / "reports" / RESULTS_FOLDER / result.case.key)
    RunRecord(("cams",), (results[0].case.model,), ("photos",), len(results), finished=True).save(folder / "reports")


def prepare(folder: Path) -> None:
    """Goldens of the old version, one of a case that no run obtains; a run of the new version, with one new case."""
    with mock.patch.object(os, "fsync"):
        for name in (*NAMES, GONE):
            goldens_in(folder).store(explained(name, 0), "old")
        write_run(folder, *(explained(name, 1) for name in (*NAMES, NEW)))


def cli(*words: str) -> int:
    """Call the command line outside of a CI; its output is dropped, an error of the system is raised as one."""
    with (
        mock.patch.dict(os.environ),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as said,
        mock.patch.object(shown_cases, "FIGURES", 0),
    ):
        for name in [each for each in os.environ if each in ("CI", "GITHUB_ACTIONS", "GITLAB_CI")]:
            del os.environ[name]
        code = main(words)
    if code in (2, 3):
        if "unexpected" in said.getvalue():
            raise AssertionError(said.getvalue())
        raise StorageError(said.getvalue())
    return code


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        yield


def accept(folder: Path) -> None:
    cli("accept", "--all", "--reason", "new")


def prune(folder: Path) -> None:
    cli("prune")


def report(folder: Path) -> None:
    cli("report")


def init(folder: Path) -> None:
    cli("init", "--ci", "gitlab")


def obtain(folder: Path) -> None:
    """What `run` does to its folder: old results are removed, new ones are written one by one."""
    results = [explained(name, 1) for name in (*NAMES, NEW)]
    plan = Plan("cams", results[0].case.model, "photos", True, len(results), iter(results))
    with RunFolder(folder / "reports").claimed():
        remove_earlier_report(folder / "reports")
        run([plan], RunFolder(folder / "reports"), lambda found, total, name: found)


def save_again(folder: Path) -> None:
    """What a session of tests with values of their own does, if a test runs a second time: its result is replaced."""
    reports = RunFolder(folder / "reports")
    with reports.locked():
        reports.save(explained(NAMES[0], 0), {"task": "cams"})
        reports.remove_results(keep=[explained(name, 0).case.key for name in (*NAMES, NEW)])


def calibrate(folder: Path) -> None:
    with mock.patch("xai_eval.gate.accept.refuse_under_ci"):
        store_noise([(explained(name, 0), Noise("", {}, versions={"lime": "1"})) for name in NAMES], goldens_in(folder))


def receive(folder: Path) -> None:
    check_first_received(folder / "weights.pt", "a" * 64, "weights")


def goldens_are_whole(folder: Path) -> str | None:
    """Every golden is the old or the new one, in every file, and the judged run says so."""
    goldens = goldens_in(folder)
    results, errors = goldens.load_all()
    if errors:
        return f"damaged: {errors}"
    for name in (*NAMES, NEW, GONE):
        read, both = results.get(explained(name, 0).case.key), (digest(name, 0), digest(name, 1))
        if read is None and name in NAMES:
            return f"{name} is lost"
        if read is not None and read.in_memory().digest not in both:
            return f"{name} is a mixture"
        if read is not None and read.digest == both[1] and "new" not in _reasons(goldens, name):
            return f"{name} changed, and nobody knows why"
    return None


def _reasons(goldens: Goldens, name: str) -> list[str]:
    return [entry.reason for entry in read_history(goldens.folder / explained(name, 0).case.key)]


def run_is_whole_or_said_not_to_be(folder: Path) -> str | None:
    judged = judge_run(folder / "reports", goldens_in(folder))
    if judged.gap:
        return None
    if judged.broken:
        return f"damaged: {judged.broken}"
    versions = {
        each.in_memory().digest in (explained(n, 0).digest, explained(n, 1).digest)
        for n in (*NAMES, NEW)
        for each in judged.results.values()
        if each.case.input.endswith(n)
    }
    return None if versions == {True} else "a result is a mixture"


def report_is_whole(folder: Path) -> str | None:
    page, verdicts = folder / "reports" / "index.html", folder / "reports" / "verdicts.json"
    if page.exists() and not page.read_text().rstrip().endswith("</html>"):
        return "half a page"
    if verdicts.exists():
        json.loads(verdicts.read_text())
    json.loads((folder / "reports" / RUN_FILE).read_text())
    for table in (folder / "reports" / "tables").glob("[!.]*"):
        if not table.read_bytes().endswith((b"\n", b"}")):
            return f"half of {table.name}"
    return run_is_whole_or_said_not_to_be(folder) or goldens_are_whole(folder)


def starters_are_whole(folder: Path) -> str | None:
    for name in ("xai_eval.toml", ".gitlab-ci.yml"):
        starter = Path(sys.modules["xai_eval.cli.init"].__file__ or "").parent / "starters" / name.lstrip(".")
        if (folder / name).exists() and (folder / name).read_bytes() != starter.read_bytes():
            return f"half of {name}"
    return None


def noise_is_whole(folder: Path) -> str | None:
    for path in (folder / "golden").rglob(NOISE_FILE):
        Noise.load(path.parent)
    return goldens_are_whole(folder)


def record_is_whole(folder: Path) -> str | None:
    record = folder / "weights.pt.sha256"
    return f"it says {record.read_text()!r}" if record.exists() and record.read_text().strip() != "a" * 64 else None


@dataclass(frozen=True)
class Work:
    """A command that writes.

    Attributes:
        do: does it, in the working directory.
        sound: what is wrong with the folder; None if nothing is.
        finished: whether all of it was done.
        says: whether it says so if it did not finish.
    """

    do: Callable[[Path], None]
    sound: Callable[[Path], str | None]
    finished: Callable[[Path], bool]
    says: bool = True


def _has_goldens(folder: Path, version: int, *names: str) -> bool:
    found = {each.in_memory().digest for each in goldens_in(folder).load_all()[0].values()}
    return {digest(name, version) for name in names} <= found


def _run_measured(folder: Path) -> bool:
    judged = judge_run(folder / "reports", goldens_in(folder))
    return not judged.gap and len(judged.results) == len(NAMES) + 1


WORKS = {
    "accept": Work(accept, goldens_are_whole, lambda folder: _has_goldens(folder, 1, *NAMES, NEW)),
    "prune": Work(
        prune, goldens_are_whole, lambda folder: explained(GONE, 0).case.key not in goldens_in(folder).case_keys()
    ),
    "report": Work(report, report_is_whole, lambda folder: (folder / "reports" / "index.html").is_file()),
    "run": Work(obtain, run_is_whole_or_said_not_to_be, _run_measured),
    "a result again": Work(save_again, run_is_whole_or_said_not_to_be, lambda folder: True),
    "calibrate": Work(
        calibrate, noise_is_whole, lambda folder: len([*(folder / "golden").rglob(NOISE_FILE)]) == len(NAMES)
    ),
    "init": Work(init, starters_are_whole, lambda folder: (folder / ".gitlab-ci.yml").is_file()),
    "first received": Work(
        receive, record_is_whole, lambda folder: (folder / "weights.pt.sha256").is_file(), says=False
    ),
}


def hidden(folder: Path) -> list[str]:
    """What killed processes left."""
    # A lock of a process that is gone is no obstacle.
    found = (path for path in folder.rglob(".*") if path.name not in (".gitlab-ci.yml", LOCK_FILE))
    return [str(path.relative_to(folder)) for path in found]


def bury(folder: Path) -> None:
    """Let the locks that are left be those of a process that is gone, as they are when it has ended."""
    for lock in folder.rglob(LOCK_FILE):
        lock.write_text(_dead())


@cache
def _dead() -> str:
    code = "from xai_eval.store.lock import this_process; print(this_process())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
