"""Results that somebody looked at and rejected: a log in the folder of the run, shown on its page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.files import accessible, exists, read_json, remove_temporaries, write_file
from xai_eval.disk.typed import read_as
from xai_eval.errors import StorageError

REJECTIONS_FILE = "rejected.json"
# Only the newest are kept, so that a folder that is used for years does not grow without end.
LONGEST = 1_000


@dataclass(frozen=True)
class Rejection:
    """A person said that a result is wrong.

    Attributes:
        when: ISO 8601 in UTC.
        who: name or login of the person.
        reason: why the result is wrong, in the words of the person.
        case: key of the case.
        result: digest of the result. If a later run obtains another one, it is not the one that was rejected.
    """

    when: str
    who: str
    reason: str
    case: str
    result: str


def read_rejections(folder: Path) -> list[Rejection]:
    """Return what was rejected of the runs in a folder, oldest first.

    Raises:
        StorageError: the file is truncated, or holds something else.
    """
    path = folder / REJECTIONS_FILE
    try:
        with accessible(path):
            entries = read_json(path) if exists(path) else []
        return list(read_as(tuple[Rejection, ...], entries))
    except ValueError as error:
        raise StorageError(
            f"{path} is truncated or not a list of rejected results ({error}). Delete it; it decides nothing."
        ) from error


def add_rejections(folder: Path, rejections: Iterable[Rejection]) -> None:
    """Add to what was rejected. The caller has locked the folder.

    Raises:
        StorageError: as `read_rejections`, or the file cannot be written.
    """
    every = [*read_rejections(folder), *rejections][-LONGEST:]
    write_file(
        folder / REJECTIONS_FILE, f"{json.dumps([dataclasses.asdict(each) for each in every], indent=1)}\n".encode()
    )
    remove_temporaries(folder, [REJECTIONS_FILE])
