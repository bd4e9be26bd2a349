"""A whole pytest session that is killed with SIGKILL, which nobody can catch, and the session after it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from plugin_suite import accept, stored

from xai_eval import Result
from xai_eval.cli.main import main
from xai_eval.store.run_folder import RunFolder

KILLS = 6
COMMAND = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "xai_eval.pytest_plugin.hooks"]


@pytest.mark.slow
def test_a_killed_session_never_passes_for_a_whole_one_and_the_next_one_repairs(repo, capsys, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # what else is installed takes a fifth of each session
    assert subprocess.run(COMMAND, stdout=subprocess.DEVNULL).returncode == 1
    accept(repo)
    goldens = files(repo.path / "golden")
    kills = incomplete = 0
    for after in moments(repo.path):
        process = begun(repo.path)
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        _, errors = RunFolder(repo.path / "reports").load(Result.load)
        assert errors == {}
        assert_report_is_whole(repo.path / "reports")
        finished = json.loads((repo.path / "reports" / "run.json").read_text())["finished"]
        assert main(["check"]) == (0 if finished else 1)
        kills += killed
        incomplete += killed and not finished
    print(f"\n{kills} of {KILLS} sessions killed, {incomplete} of them while they measured")
    assert kills >= KILLS / 2
    assert incomplete > 0
    assert files(repo.path / "golden") == goldens
    assert len(stored(repo)) == 10
    assert subprocess.run(COMMAND, stdout=subprocess.DEVNULL).returncode == 0
    assert main(["check"]) == 0
    assert not list((repo.path / "reports").rglob(".*"))


def moments(folder: Path) -> Iterator[float]:
    """Seconds after the first result: every other while results are written, the rest while the report is."""
    process = begun(folder)
    start = time.monotonic()
    process.wait()
    whole, dice = time.monotonic() - start, random.Random(0)
    return (dice.random() * whole * (0.05 if number % 2 else 0.9) for number in range(KILLS))


def begun(folder: Path) -> subprocess.Popen[bytes]:
    """Start a session and return when it has begun to write: the record of the one before is replaced."""
    record = folder / "reports" / "run.json"
    before = record.stat().st_ino
    process = subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while record.stat().st_ino == before and process.poll() is None:
        time.sleep(0.001)
    return process


def assert_report_is_whole(folder: Path) -> None:
    """Every file of a report that has its final name can be read to its end."""
    if (folder / "verdicts.json").exists():
        assert json.loads((folder / "verdicts.json").read_text())["cases"] == 10
    if (folder / "index.html").exists():
        assert (folder / "index.html").read_text().rstrip().endswith("</html>")
    for path in (folder / "figures").glob("[!.]*.png"):
        with Image.open(path) as image:
            image.load()


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
