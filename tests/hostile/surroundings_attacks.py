"""What surrounds a command: environment, places that are named for its output, and numbers of the configuration."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from hostile.attack import Attack
from hostile.hostile_run import at, said
from hostile.work import prepare

_WORDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "a report among goldens": (("diff", "reports", "reports", "--report", "golden"), "is taken for goldens"),
    "a report below goldens": (("diff", "reports", "reports", "--report", "golden/x"), "is taken for goldens"),
    "a report among results": (
        ("diff", "reports", "reports", "--report", "reports/results/x"),
        "is taken for results of a run",
    ),
    "a run among goldens": (("run", "--out", "golden"), "is taken for goldens"),
    "a run among the results of another": (("run", "--out", "reports/results/cams"), "is taken for results of a run"),
}


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def _among_cases(words: tuple[str, ...], expected: str, folder: Path) -> str | None:
    """What lies among cases is taken for one, so no run and no report is written there."""
    prepare(folder)
    before = _files(folder)
    with at(folder, {"CI": None}):
        ended = said(*words)
    if _files(folder) != before:
        return f"it was written: {set(_files(folder)) - set(before)}"
    return None if ended.code == 2 and expected in ended.err else f"it ended with {ended.code}: {ended.err[-400:]}"


def _summary(make: Callable[[Path], object], folder: Path) -> str | None:
    """The file that GitHub names for a summary is none: the check goes on, and says so."""
    prepare(folder)
    make(folder / "summary")
    with at(folder, {"GITHUB_STEP_SUMMARY": str(folder / "summary")}):
        ended = said("check")
    return None if ended.code == 1 and "cannot be written" in ended.err else f"{ended.code}: {ended.err[-400:]}"


def _many_days(days: str, folder: Path) -> str | None:
    """A last day of a quarantine that no calendar has."""
    (folder / "xai_eval.toml").write_text(f"quarantine_days = {days}\n")
    with at(folder, {"CI": None}):
        ended = said("review")
    return None if ended.code == 2 and "from 1 to 36,500" in ended.err else f"{ended.code}: {ended.err[-400:]}"


def _utf16(folder: Path) -> str | None:
    prepare(folder)
    (folder / "golden" / "quarantine.toml").write_text("", encoding="utf-16")
    with at(folder, {}):
        ended = said("check")
    return None if ended.code == 3 and "not in UTF-8" in ended.err else f"{ended.code}: {ended.err[-400:]}"


def _no_such_backend(folder: Path) -> str | None:
    """The environment names a backend that matplotlib does not know, so that it cannot be imported."""
    prepare(folder)
    code = "from xai_eval.cli.main import main; raise SystemExit(main(['report']))"
    environment = {**os.environ, "MPLBACKEND": "nosuch"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    right = done.returncode == 2 and re.fullmatch(r"xai-eval: error: .*MPLBACKEND is 'nosuch'.*\n", done.stderr)
    return None if right else f"{done.returncode}: {done.stderr[-400:]}"


ATTACKS = (
    *(Attack(name, "half-done work", "refused at once", partial(_among_cases, *each)) for name, each in _WORDS.items()),
    Attack("a summary of GitHub that is a FIFO", "links and special files", "a sentence", partial(_summary, os.mkfifo)),
    Attack(
        "a summary of GitHub that is a folder", "links and special files", "a sentence", partial(_summary, Path.mkdir)
    ),
    *(
        Attack(f"a quarantine of {days} days", "types", "one error that names the number", partial(_many_days, days))
        for days in ("3_000_000", "999_999_999_999")
    ),
    Attack("a quarantine in UTF-16", "types", "one error that says how to save it", _utf16),
    Attack("a backend of matplotlib that is none", "half-done work", "one error", _no_such_backend, slow=True),
)
