"""Checks that somebody accepted a golden: the last entry of its history names its digest, a person and a reason."""

from __future__ import annotations

from pathlib import Path

from xai_eval.errors import StorageError
from xai_eval.media.characters import says_nothing
from xai_eval.media.shell import command
from xai_eval.result.result import Result, stored_digest
from xai_eval.store.history import HISTORY_FILE, Acceptance, read_history
from xai_eval.store.lazy import digest_of, open_checked, open_result
from xai_eval.store.settle import is_being_replaced_by

_SHOWN = 8  # digits of a digest in a sentence


def load_vouched(place: Path) -> Result:
    """Read the golden in the folder of a case. Raises StorageError as `Result.load` and `require_vouched` do."""
    result = Result.load(place)
    require_vouched(place, stored_digest(place))
    return result


def open_vouched(place: Path) -> Result:
    """Open the golden in the folder of a case. Its arrays are read only when they are used, and dropped soon after.

    Raises:
        StorageError: as `open_result` and `require_vouched`.
    """
    result = open_result(place)
    try:
        require_vouched(place, digest_of(result))
    except StorageError:
        result.in_memory()  # if it is not even a result, that is what has to be told
        raise
    return result


def open_vouched_checked(place: Path) -> Result:
    """Open a golden as `open_vouched` does, but check all of its parts at once.

    Raises:
        StorageError: as `open_checked` and `require_vouched`.
    """
    result = open_checked(place)
    require_vouched(place, digest_of(result))
    return result


def require_vouched(place: Path, digest: str) -> None:
    """Check that the history beside a golden vouches for it; `digest` is that of its document.

    A digest is no signature of a person: whoever rewrites both files is found only by looking at the change, which
    `xai-eval check --against` lists.

    Raises:
        StorageError: there is no history, it is damaged, its last entry is for another result, or that entry names no
            person or no reason.
    """
    history = read_history(place)
    if history and history[-1].result != digest:
        history = standing_history(place)
    fault = _fault(history[-1], digest) if history else "it is missing or empty"
    if fault:
        raise StorageError(
            f"{place / HISTORY_FILE} does not vouch for the golden beside it: {fault}. Restore the whole folder from "
            "version control; or look at a new result, and accept it: "
            + command("accept", [f"{place.parent.name}/{place.name}"], '--reason "..."')
        )


def standing_history(place: Path) -> list[Acceptance]:
    """Return the history without its last entry, if a process was killed before it stored the golden of this entry.

    Then the golden before is still in force, and the new one lies beside it under a temporary name.

    Raises:
        StorageError: as `read_history`.
    """
    history = read_history(place)
    if len(history) < 2 or not is_being_replaced_by(place, history[-1].result):
        return history
    try:
        began = history[-2].result == stored_digest(place) != history[-1].result
    except StorageError:
        return history  # the golden cannot be read, so nothing can be said about its history
    return history[:-1] if began else history


def _fault(last: Acceptance, digest: str) -> str:
    if last.result != digest:
        return (
            f"its last entry is for the result {last.result[:_SHOWN]}, but the golden is {digest[:_SHOWN]}, so the "
            "golden was changed without being accepted, or the file is that of another case"
        )
    if says_nothing(last.who):
        return "its last entry does not say who accepted the golden"
    return "its last entry does not say why the golden was accepted" if says_nothing(last.reason) else ""
