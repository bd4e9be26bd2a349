"""The command that accepts a case, as pages and messages give it."""

from __future__ import annotations

import shlex
from pathlib import Path

RESULTS, GOLDEN = Path("reports"), Path("golden")


def accept_command(key: str, results: Path, golden: Path) -> str:
    """Return the command for the case `key` of the run in `results`, as typed in the working directory.

    Folders are named unless they are the ones that the command line takes anyway: results of another run must not
    be accepted by mistake.
    """
    options = [("--results", _short(results), RESULTS), ("--golden", _short(golden), GOLDEN)]
    named = "".join(f" {name} {shlex.quote(str(path))}" for name, path, usual in options if path != usual)
    return f'xai-eval accept {key}{named} --reason "..."'


def _short(path: Path) -> Path:
    """Return the path from the working directory, if it is below it."""
    here = Path.cwd()
    whole = here / path
    return whole.relative_to(here) if whole.is_relative_to(here) else whole
