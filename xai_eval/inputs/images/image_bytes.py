"""Read the bytes of an image file: of an ordinary file of bounded size."""

from __future__ import annotations

from pathlib import Path

from xai_eval.disk.door import read_bytes
from xai_eval.disk.git_lfs import is_pointer, pointer_sentence
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import LARGEST_FILE


def image_bytes(path: Path) -> bytes:
    """Return the bytes of an image file; a link to one is followed, as torchvision's `ImageFolder` does.

    Raises:
        InputUnavailable: it is missing, empty, larger than 300 MiB, no ordinary file (but a device or a pipe, which
            might never end), or a Git LFS pointer.
    """
    try:
        data = read_bytes(path, LARGEST_FILE, follow=True)
    except OSError as error:
        found = refusal(error, "check the path")
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {found.reason}"
        raise InputUnavailable(f"{path} {reason}; expected an image file. {found.sentence}") from error
    if not data:
        raise InputUnavailable(f"{path} is empty (0 bytes); expected an image. Get the file again.")
    if is_pointer(data):
        raise InputUnavailable(pointer_sentence(path))
    return data
