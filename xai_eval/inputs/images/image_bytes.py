"""Read the bytes of an image file: of an ordinary file of bounded size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from xai_eval.disk.git_lfs import is_pointer, pointer_sentence
from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import LARGEST_FILE


def image_bytes(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        InputUnavailable: it is missing, empty, larger than 300 MiB, no ordinary file (but a device or a pipe, which
            might never end), or a Git LFS pointer.
    """
    try:
        data = _ordinary(path)
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputUnavailable(f"{path} {reason}; expected an image file. Check the path.") from error
    if not data:
        raise InputUnavailable(f"{path} is empty (0 bytes); expected an image. Get the file again.")
    if is_pointer(data):
        raise InputUnavailable(pointer_sentence(path))
    return data


def _ordinary(path: Path) -> bytes:
    # A pipe without a writer would block for ever when it is opened; Windows has no such flag, and no such pipes.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "Is a directory", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise InputUnavailable(f"{path} is a device or a pipe; expected an ordinary file. Check the path.")
        if status.st_size > LARGEST_FILE:
            raise InputUnavailable(
                f"{path} has {status.st_size / 2**20:,.0f} MiB; expected at most {LARGEST_FILE // 2**20}. "
                "Scale the image down first; models see a few hundred pixels per side."
            )
        return file.read(status.st_size)
