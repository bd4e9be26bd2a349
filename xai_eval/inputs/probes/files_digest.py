"""One digest for many files, so that the same images are known again wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from xai_eval.inputs.downloads import file_sha256

_UNREADABLE = "-" * 64


def digest_of_files(kind: str, files: Iterable[tuple[str, Path]]) -> str:
    """Return the SHA-256 over the names and bytes of files, in order.

    A file that cannot be read counts as such: the set is another one as soon as it can.

    Args:
        kind: what they are read as, because the same files read otherwise are another set.
        files: the name of each in its set, and where it lies.
    """
    content = hashlib.sha256(f"{kind}\n".encode())
    for name, path in files:
        named = name.encode("utf-8", "surrogateescape")
        content.update(f"{len(named)} ".encode() + named + _sha256(path).encode())
    return content.hexdigest()


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return _UNREADABLE
