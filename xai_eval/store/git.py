"""The one way in which git is started: fixed arguments, no shell, and about one folder, whatever the environment is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# A watcher of files and hooks are programs that the configuration of a repository may name. git reads a configuration
# that a checkout brings only if a folder of it looks like a bare repository, which is refused.
_GIT = (
    *("git", "--no-optional-locks", "--no-pager", "--no-replace-objects", "--literal-pathspecs"),
    *("-c", "safe.bareRepository=explicit", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
)
# git sets the first of these for a hook, and they name its repository to everything that the hook starts. The others
# forbid or change `--literal-pathspecs`.
_OF_ANOTHER = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_PREFIX"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
)


def run_git(folder: Path, *arguments: str, seconds: float, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Ask git about the repository that `folder` lies in; `given` is its standard input.

    Raises:
        OSError: it cannot be started, or the folder cannot be entered.
        subprocess.TimeoutExpired: it takes longer than `seconds`.
    """
    return subprocess.run(
        [*_GIT, *arguments],
        cwd=folder,
        env=_environment(),
        input=given,
        capture_output=True,
        timeout=seconds,
        check=False,
    )


def _environment() -> Mapping[str, str]:
    """Return the environment without what names another repository than that of the folder."""
    return {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
