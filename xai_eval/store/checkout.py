"""Which commit is checked out, for the record of a run. Nothing is fetched."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from xai_eval.store.git import run_git

_SECONDS = 10  # a run waits no longer to know its commit
_STATUS = (
    *("-c", "protocol.allow=never", "status", "--porcelain=v2", "--branch", "--no-ahead-behind"),
    *("--no-renames", "--untracked-files=no", "--ignore-submodules=dirty"),
)
_COMMIT = re.compile(r"^# branch\.oid ([0-9a-f]{40,64})$", re.MULTILINE)
_CHANGED = re.compile(r"^[^#]", re.MULTILINE)


@dataclass(frozen=True)
class Checkout:
    """What is checked out in a folder.

    Attributes:
        commit: its full hash; empty if the folder is in no repository, or git cannot tell.
        uncommitted: whether files that git tracks differ from that commit.
    """

    commit: str = ""
    uncommitted: bool = False


def checkout_of(folder: Path) -> Checkout:
    """Return what is checked out in a folder. A run is as good without it, so it is no error if git cannot tell."""
    try:
        done = run_git(folder, *_STATUS, seconds=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return Checkout()
    told = done.stdout.decode("utf-8", "replace")
    found = _COMMIT.search(told)
    return Checkout(found[1], bool(_CHANGED.search(told))) if found and not done.returncode else Checkout()
