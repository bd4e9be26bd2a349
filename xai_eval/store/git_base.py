"""Reads files as they are on a branch of git. Nothing is checked out."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.door import read_bytes
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.store.git import run_git

_SECONDS = 120
_LINK = b"120000 "  # the mode of a link in a tree of git
_FETCH = "fetch the branch with its history; in a workflow of GitHub, check out with fetch-depth: 0"
_HASHES = {40: "sha1", 64: "sha256"}  # by the digits of an id
# Names of branches, tags and commits. git would take a name that begins with a hyphen for an option.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}", re.ASCII)


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

        Files are compared by what they hold. What git would leave out is listed as well: files that it ignores, that
        it was told to take for unchanged, and those of a submodule.

        Raises:
            UsageError: the folder is not in the repository.
        """
        before, now = self._before(self.from_root(folder)), {self.from_root(each): each for each in _files(folder)}
        gone = before.keys() - now.keys()
        differ = {name for name, file in now.items() if _id_of(file, len(before.get(name, ""))) != before.get(name)}
        return sorted(gone | (differ - self._only_stored_otherwise(before, differ)))

    def links(self, folder: Path) -> dict[Path, tuple[str, str]]:
        """Return which links on the way to `folder` differ: where they led and where they lead, "" for no link.

        Raises:
            UsageError: the folder is not in the repository.
        """
        way = self.from_root(folder)
        led = ((each, self._link_before(each), _link_now(self.root / each)) for each in (way, *way.parents[:-1]))
        return {place: (was, now) for place, was, now in led if was != now}

    def _link_before(self, place: Path) -> str:
        """Return where a link led; empty if it was none."""
        entry = _git(self.root, "ls-tree", "-z", "--full-tree", self.commit, "--", place.as_posix())
        held = self.content(place) if entry.startswith(_LINK) else None
        return (held or b"").decode("utf-8", "surrogateescape")

    def _before(self, folder: Path) -> dict[Path, str]:
        """Return the ids of the files below a folder as they were, by their paths from the root."""
        where = () if folder == Path() else ("--", f"{folder.as_posix()}/")
        told = _git(self.root, "ls-tree", "-r", "-z", "--full-tree", self.commit, *where)
        entries = (each.split("\t", 1) for each in told.decode("utf-8", "surrogateescape").split("\0") if each)
        return {Path(name): meta.split()[2] for meta, name in entries}

    def _only_stored_otherwise(self, before: Mapping[Path, str], differ: Collection[Path]) -> set[Path]:
        """Return files that differ only because git stores them in another form, such as those of Git LFS."""
        names = [each for each in differ if each in before and "\n" not in each.as_posix()]
        if not names:
            return set()
        given = "".join(f"{each.as_posix()}\n" for each in names).encode("utf-8", "surrogateescape")
        try:
            ids = _git(self.root, "hash-object", "--stdin-paths", given=given).decode().split()
        except UsageError:  # one of them is no file any more, so that all are shown
            return set()
        return {name for name, found in zip(names, ids, strict=True) if found == before[name]}

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
        UsageError: the name is none of a branch, there is no such branch, several commits have that name, or `folder`
            is in no repository.
        InputUnavailable: git is not installed, or does not answer.
    """
    if not _NAME.fullmatch(branch) or ".." in branch:
        raise UsageError(f"{branch!r} is no name of a branch; expected letters, digits and ._/+-, such as origin/main.")
    root = Path(_git(folder, "rev-parse", "--show-toplevel").decode("utf-8", "surrogateescape").rstrip("\n"))
    _refuse_two_meanings(root, branch)
    try:
        tip = _git(root, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}").decode().strip()
    except UsageError as error:
        raise UsageError(
            f"git knows no {branch} in {root} (`git branch --all` lists the branches). Correct the name, or {_FETCH}."
        ) from error
    try:
        commit = _git(root, "merge-base", tip, "HEAD").decode().strip()
    except UsageError as error:
        raise UsageError(f"git finds no commit that this work and {branch} have in common: {_FETCH}.") from error
    return GitBase(root.resolve(), commit)


def _refuse_two_meanings(root: Path, branch: str) -> None:
    """Refuse a name that is that of a tag as well: git prefers the tag, which whoever may push could point anywhere."""
    places = (f"refs/{branch}", *(f"refs/{kind}/{branch}" for kind in ("tags", "heads", "remotes")))
    told = _git(root, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", *places).decode()
    found = {name: ids[-1] for name, *ids in (line.split() for line in told.splitlines()) if name in places}
    if len({*found.values()}) > 1:
        names = " and ".join(sorted(found))
        raise UsageError(f"{branch} means several commits: {names}. Write the whole name of the one that you mean.")


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files and links below a folder; what links lead to is not looked at."""
    for place, folders, names in os.walk(folder):
        links = (name for name in folders if (Path(place) / name).is_symlink())
        yield from (Path(place) / name for name in (*names, *links))


def _id_of(file: Path, digits: int) -> str:
    """Return the id that git would give to the bytes of a file; empty for what is no ordinary file."""
    try:
        content = read_bytes(file)
    except OSError:
        return ""
    return hashlib.new(_HASHES.get(digits, "sha1"), b"blob %d\0" % len(content) + content).hexdigest()


def _link_now(place: Path) -> str:
    return str(place.readlink()) if place.is_symlink() else ""


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    try:
        done = run_git(folder, *arguments, seconds=_SECONDS, given=given)
    except subprocess.TimeoutExpired as error:
        raise InputUnavailable(f"git does not answer in {folder} ({error}). Leave out --against.") from error
    except OSError as error:
        found = refusal(error, "install git, or leave out --against")
        raise InputUnavailable(f"git cannot be run in {folder} ({found.reason}). {found.sentence}") from error
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise UsageError(
            f"git {arguments[0]} failed in {folder}: {said.rstrip('.') or 'without a message'}. Run this in a whole "
            "checkout of the repository, or leave out --against."
        )
    return done.stdout
