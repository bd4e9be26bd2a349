"""Compute one digest over many files, by which the same images are recognised in any folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from xai_eval.inputs.downloads import file_sha256

_UNREADABLE = "-" * 64


def digest_of_files(kind: str, files: Iterable[tuple[str, Path]]) -> str:
    """Return the SHA-256 over the names and bytes of files, in order.

    A file that cannot be read gets a fixed entry instead of its digest, so the digest changes once it can be read.

    Args:
        kind: what the files are read as; the same files read as something else get another digest.
        files: for each file, its name in the set and its path.
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
