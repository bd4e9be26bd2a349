"""Recognise Git LFS pointers: small text files that stand in a checkout for large files that were not fetched."""

from __future__ import annotations

from pathlib import Path

from xai_eval.disk.door import opened

# The first line of every pointer, as the specification of Git LFS says.
_FIRST_LINE = b"version https://git-lfs.github.com/spec/v1\n"


def is_pointer(content: bytes) -> bool:
    """Tell whether the bytes of a file, or its first ones, are those of a Git LFS pointer."""
    # The end of a line may take two bytes. All of a large file is not copied.
    return content[: 2 * len(_FIRST_LINE)].replace(b"\r\n", b"\n").startswith(_FIRST_LINE)


def is_pointer_file(path: Path) -> bool:
    """Tell whether a file is a Git LFS pointer; False for one that cannot be read."""
    try:
        with opened(path, follow=True) as file:
            return is_pointer(file.read(len(_FIRST_LINE) + 1))
    except OSError:
        return False


def pointer_sentence(path: Path) -> str:
    """Say that a file is a pointer, and how to get the file itself."""
    return f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository."
