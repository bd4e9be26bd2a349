"""Reads files as they are on a branch of git. git gets fixed arguments, never a shell, and nothing is checked out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable, UsageError

_SECONDS = 120
# Names of branches, tags and commits. git would take a name that begins with a hyphen for an option.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}", re.ASCII)
# A watcher of files and hooks are programs that the configuration of a repository may name. git reads a configuration
# that a checkout brings only if a folder of it looks like a bare repository, which is refused.
GIT = (
    *("git", "--no-optional-locks", "--no-pager", "-c", "safe.bareRepository=explicit"),
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
)


@dataclass(frozen=True)
class GitBase:
    """The commit that a change started from.

    Attributes:
        root: the top folder of the repository.
        commit: the full hash.
    """

    root: Path
    commit: str

    def changed(self, folder: Path) -> list[Path]:
        """Return the files below `folder` that differ now, that are new, or that are gone; paths from the root, sorted.

        Raises:
            UsageError: the folder is not in the repository.
        """
        where = ("--", f":(top,literal){self.from_root(folder).as_posix()}")
        options = ("--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "-z")
        differ = _git(self.root, "diff", *options, self.commit, *where)
        new = _git(self.root, "ls-files", "--others", "-z", *where)
        names = {name for name in (differ + new).decode("utf-8", "surrogateescape").split("\0") if name}
        return [Path(name) for name in sorted(names)]

    def content(self, file: Path) -> bytes | None:
        """Return a file as it was; `file` is a path from the root. None if it was not there."""
        try:
            return _git(self.root, "cat-file", "blob", f"{self.commit}:{file.as_posix()}")
        except UsageError:
            return None

    def from_root(self, path: Path) -> Path:
        """Return a path as seen from the root. Raises UsageError if it is not in the repository."""
        whole = path.parent.resolve() / path.name
        if not whole.is_relative_to(self.root):
            raise UsageError(
                f"{path} is not in the git repository {self.root}, so it cannot be compared with a branch."
            )
        return whole.relative_to(self.root)


def git_base(folder: Path, branch: str) -> GitBase:
    """Return the commit at which the checked-out work and `branch` parted.

    Args:
        folder: a folder in the repository.
        branch: a branch, a tag or a commit.

    Raises:
        UsageError: the name is none of a branch, there is no such branch, or `folder` is in no repository.
        InputUnavailable: git is not installed, or does not answer.
    """
    if not _NAME.fullmatch(branch) or ".." in branch:
        raise UsageError(f"{branch!r} is no name of a branch; expected letters, digits and ._/+-, such as origin/main.")
    root = Path(_git(folder, "rev-parse", "--show-toplevel").decode("utf-8", "surrogateescape").rstrip("\n"))
    try:
        tip = _git(root, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}").decode().strip()
        commit = _git(root, "merge-base", tip, "HEAD").decode().strip()
    except UsageError as error:
        raise UsageError(
            f"git finds no commit that this work and {branch} have in common. Fetch the branch with its history; in a "
            f"workflow of GitHub, check out with fetch-depth: 0. ({error})"
        ) from error
    return GitBase(root.resolve(), commit)


def _git(folder: Path, *arguments: str) -> bytes:
    command: Sequence[str] = (*GIT, *arguments)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputUnavailable(
            f"git cannot be run in {folder} ({error}). Install git, or leave out --against."
        ) from error
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise UsageError(f"git {arguments[0]} failed in {folder}: {said or 'without a message'}.")
    return done.stdout
