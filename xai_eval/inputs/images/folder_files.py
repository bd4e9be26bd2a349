"""List the images of a folder, and name every file that is left out, with the reason.

Links are followed as torchvision's `ImageFolder` follows them: to files, and to folders such as a class folder that
lies elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.stray_files import is_stray
from xai_eval.inputs.images.raster_formats import kind_of

_NAMED = 50  # of many files that are left out for one reason, so many are named
_MOST_WAYS = 16  # so often one folder is read that several links lead to; links in links would double without end


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not read.

    Attributes:
        name: its path below the folder.
        reason: why.
        image: whether it is, or may be, an image; the set of images is then not complete.
    """

    name: str
    reason: str
    image: bool


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        images: the files that are read.
        left_out: those that are not.
        outside: links that lead out of the folder, and are followed.
    """

    images: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether no image was left out."""
        return not any(each.image for each in self.left_out)

    def notes(self, name: str) -> tuple[str, ...]:
        """Return one sentence for each reason, with the number and the names of the files, for a set of this name."""
        by_reason = defaultdict(list)
        for each in self.left_out:
            by_reason[each.reason].append(each.name)
        told = [f"{name}: {len(names)} left out ({reason}): {_listed(names)}" for reason, names in by_reason.items()]
        if self.outside:
            told.append(
                f"{name}: {len(self.outside)} links lead out of the folder and are followed: {_listed(self.outside)}"
            )
        return tuple(told)


def list_images(folder: Path) -> Listing:
    """List the images below a folder.

    Hidden files are left out; files that systems and editors leave behind are not even named.

    Raises:
        OSError: the folder, or one below it, cannot be listed.
    """
    return listing_of(_files(folder, (found := _Found(folder.resolve()))), folder, found)


class _Found:
    """What was met on the way through a folder: links that were not followed, and those that lead out of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left_out: list[LeftOut] = []
        self.outside: list[str] = []
        self.ways = Counter[Path]()


def listing_of(files: Iterable[Path], folder: Path, found: _Found | None = None) -> Listing:
    """Sort files into images and others; names are relative to `folder`."""
    found = found or _Found(folder.resolve())
    images = []
    for path in files:
        if is_stray(path.name):
            continue
        name = path.relative_to(folder).as_posix()
        reason, image = _why_not(path)
        if reason:
            found.left_out.append(LeftOut(name, reason, image))
            continue
        images.append(path)
        if path.is_symlink() and not path.resolve().is_relative_to(found.root):
            found.outside.append(name)
    return Listing(tuple(images), tuple(found.left_out), tuple(found.outside))


def _why_not(path: Path) -> tuple[str, bool]:
    """Return why a file is not read, or nothing, and whether it may be an image."""
    kind = kind_of(path)
    if not path.exists():
        return "a link that leads nowhere", kind.image or not path.suffix
    if not path.is_file():
        return "no ordinary file", kind.image
    if path.name.startswith("."):
        return "hidden", kind.image
    return kind.unreadable, kind.image


def _files(folder: Path, found: _Found) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        kept = []
        for name in sorted(folders):
            way = Path(place, name)
            if reason := _why_not_into(way, found):
                found.left_out.append(LeftOut(f"{way.relative_to(folder).as_posix()}/", reason, way.is_symlink()))
            else:
                kept.append(name)
        folders[:] = kept
        yield from (Path(place, name) for name in names)


def _why_not_into(way: Path, found: _Found) -> str:
    """Return why a folder is not looked into, or nothing."""
    if way.name.startswith("."):
        return "a hidden folder"
    if not way.is_symlink():
        return ""
    target = way.resolve()
    if way.parent.resolve().is_relative_to(target):
        return "a link back to a folder above it"
    found.ways[target] += 1
    if found.ways[target] > _MOST_WAYS:
        return f"one of more than {_MOST_WAYS} links to the same folder"
    if not target.is_relative_to(found.root):
        found.outside.append(f"{way.relative_to(found.root) if way.is_relative_to(found.root) else way.name}/")
    return ""


def _listed(names: Iterable[str]) -> str:
    # A file name may hold anything, also what moves the cursor of a terminal.
    every = sorted(
        "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name) for name in names
    )
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return f"{', '.join(every[:_NAMED])}{more}"


def _refuse(error: OSError) -> None:
    raise error
