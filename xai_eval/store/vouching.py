"""Checks that somebody accepted a golden: the last entry of its history names its digest, a person and a reason."""

from __future__ import annotations

from pathlib import Path

from xai_eval.errors import StorageError
from xai_eval.media.shell import command
from xai_eval.result.result import Result, stored_digest
from xai_eval.store.history import HISTORY_FILE, Acceptance, read_history

_SHOWN = 8  # digits of a digest in a sentence


def load_vouched(place: Path) -> Result:
    """Read the golden in the folder of a case. Raises StorageError as `Result.load` and `require_vouched` do."""
    result = Result.load(place)
    require_vouched(place)
    return result


def require_vouched(place: Path) -> None:
    """Check that the history beside a golden vouches for it.

    A digest is no signature of a person: whoever rewrites both files is found only by looking at the change, which
    `xai-eval check --against` lists.

    Raises:
        StorageError: there is no history, it is damaged, its last entry is for another result, or that entry names no
            person or no reason.
    """
    history = read_history(place)
    fault = _fault(history[-1], stored_digest(place)) if history else "it is missing or empty"
    if fault:
        raise StorageError(
            f"{place / HISTORY_FILE} does not vouch for the golden beside it: {fault}. Restore the whole folder from "
            "version control; or look at a new result, and accept it: "
            + command("accept", [f"{place.parent.name}/{place.name}"], '--reason "..."')
        )


def _fault(last: Acceptance, digest: str) -> str:
    if last.result != digest:
        return (
            f"its last entry is for the result {last.result[:_SHOWN]}, but the golden is {digest[:_SHOWN]}, so the "
            "golden was changed without being accepted, or the file is that of another case"
        )
    if not last.who.strip():
        return "its last entry does not say who accepted the golden"
    return "" if last.reason.strip() else "its last entry does not say why the golden was accepted"
