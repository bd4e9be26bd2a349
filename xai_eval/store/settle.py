"""Put in order what a killed process left in the folder of a case: the old result, or the new one, and nothing else.

Every file of a case is replaced in one step, but not all in the same one: first the history, then the arrays, and last
the document, which decides which of the two results is there. So until it is replaced, the old golden is in force, with
its arrays under a temporary name, and a history that is one entry ahead.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xai_eval.disk.door import is_own_folder
from xai_eval.disk.files import is_temporary, read_json, remove_temporaries, remove_temporary_folders
from xai_eval.disk.system_errors import is_of_the_machine
from xai_eval.errors import StorageError
from xai_eval.result.left_arrays import find_left_arrays
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, is_case_id, read_arrays, read_document

_MOST = 3


def settle(place: Path, names: Iterable[str]) -> None:
    """Give the arrays of the result in `place` their name back, and remove the temporary files of the files `names`.

    No other process may be writing into the folder. If the system refuses something, all is left, because it does no
    harm, and the next one may need it.
    """
    files = tuple(names)
    if not is_own_folder(place) or not any(is_temporary(path, files) for path in place.glob(".*")):
        return
    try:
        _restore_arrays(place)
    except OSError:
        return
    except StorageError as error:
        if isinstance(error.__cause__, OSError) and is_of_the_machine(error.__cause__):
            return
    remove_temporaries(place, files)


def _restore_arrays(place: Path) -> None:
    document = read_document(place)
    read_arrays(place, document)  # raises if the result is damaged for another reason
    left = find_left_arrays(place / ARRAYS_FILE, document["arrays_sha256"])
    if left is not None:
        left.path.replace(place / ARRAYS_FILE)


def settle_folders(parent: Path) -> None:
    """Remove the folders of cases in `parent` that a killed process was writing or deleting."""
    remove_temporary_folders(parent, is_case_id)


def is_being_replaced_by(place: Path, digest: str) -> bool:
    """Whether a process was killed while it replaced the result in `place` by the one with this digest."""
    left = sorted(path for path in place.glob(".*") if is_temporary(path, [RESULT_FILE]))
    return any(_digest(path) == digest for path in left[:_MOST])


def _digest(path: Path) -> object:
    try:
        return read_json(path)["digest"]
    except (OSError, ValueError, KeyError, TypeError, StorageError):
        return None
