"""Reads text files of the user that list one thing per line: classes, concepts, prompts."""

from __future__ import annotations

from pathlib import Path

from xai_eval.disk.door import TooLarge, read_bytes
from xai_eval.errors import InputUnavailable

MOST_BYTES, MOST_LINES = 4 * 2**20, 200_000
LONGEST_NAME = 1_000  # characters; no text model takes more than a few hundred


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file in UTF-8, whatever its line ends are; a last empty one is left out.

    Raises:
        OSError: it cannot be read.
        InputUnavailable: it is not text in UTF-8, or is larger than any list of names.
    """
    try:
        # Some editors begin a file with a byte order mark, which is not part of the first line.
        text = read_bytes(path, MOST_BYTES, follow=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputUnavailable(
            f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8 text."
        ) from error
    except TooLarge as error:
        raise InputUnavailable(f"{path} is no list of names: {error.strerror}. Name another file.") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    if len(lines) > MOST_LINES:
        raise InputUnavailable(f"{path} has {len(lines):,} lines; expected at most {MOST_LINES:,}. Name another file.")
    return lines


def require_short(name: str, path: Path, number: int) -> None:
    """Raise InputUnavailable if the name in a line is too long to be one."""
    if len(name) > LONGEST_NAME:
        raise InputUnavailable(
            f"{path}, line {number}: has {len(name)} characters; expected a word or a short phrase of at most "
            f"{LONGEST_NAME}. Write one per line."
        )
