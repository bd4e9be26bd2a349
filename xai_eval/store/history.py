"""The history of a golden: when it was accepted, by whom, why, and despite which verdict. Stored beside the golden."""

from __future__ import annotations

import dataclasses
import functools
import getpass
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.disk.files import accessible, exists, read_json
from xai_eval.disk.typed import read_as
from xai_eval.errors import StorageError, UsageError
from xai_eval.media.characters import says_nothing, shortened
from xai_eval.result.fields.numbers import to_json
from xai_eval.store.git import run_git
from xai_eval.store.runs import now

HISTORY_FILE = "accepted.json"
# Only the newest entries are kept, so that a golden accepted every night does not grow without end. Version control
# still has the older ones.
LONGEST = 50
_LONGEST_REASON = 4_000  # characters
_GIT_SECONDS = 10


@dataclass(frozen=True)
class Acceptance:
    """One entry of a history. What an earlier version did not record is empty.

    Attributes:
        when: ISO 8601 in UTC.
        reason: why the result is right, in the words of the person who accepted it.
        result: digest of the golden that was stored.
        who: name or login of the person, never an e-mail address.
        state: state of the verdict that was overruled.
        severity: severity of this verdict; empty if nothing drifted.
        verdict: sentence of this verdict.
        upgrade: whether the explanations were still as good over the whole set, if all of an upgrade was accepted.
        measure: the measure that was farthest beyond its limit, with its value and limit, as text; empty without one.
        excess: how far it was beyond its limit, as a multiple of the largest distance that is allowed.
    """

    when: str
    reason: str
    result: str
    who: str = ""
    state: str = ""
    severity: str = ""
    verdict: str = ""
    upgrade: str = ""
    measure: str = ""
    excess: float = 0.0


@dataclass(frozen=True)
class Overruled:
    """The verdict that an acceptance overrules, as text; all empty if the case was never judged.

    `upgrade` is the answer for the whole set, if all of an upgrade is accepted. `measure` and `excess` are those of an
    `Acceptance`.
    """

    state: str = ""
    severity: str = ""
    sentence: str = ""
    upgrade: str = ""
    measure: str = ""
    excess: float = 0.0


NOT_JUDGED = Overruled()


def acceptance(digest: str, reason: str, overruled: Overruled = NOT_JUDGED) -> Acceptance:
    """Return the entry for accepting the golden with `digest` now. Texts that are too long to be read are cut."""
    words = (overruled.state, overruled.severity, overruled.sentence, overruled.upgrade, overruled.measure)
    state, severity, sentence, upgrade, measure = map(shortened, words)
    person, excess = shortened(whoami()), overruled.excess
    return Acceptance(now(), shortened(reason), digest, person, state, severity, sentence, upgrade, measure, excess)


def read_history(place: Path) -> list[Acceptance]:
    """Return the history of the case in the folder `place`, oldest entry first; empty if nothing was accepted.

    Raises:
        StorageError: the file is truncated, or holds something else.
    """
    path = place / HISTORY_FILE
    try:
        with accessible(path):
            entries = read_json(path) if exists(path) else []
        history: tuple[Acceptance, ...] = read_as(tuple[Acceptance, ...], entries)
        return list(history)
    except ValueError as error:
        raise StorageError(
            f"{path} is truncated or not a history ({error}). Restore it from version control, or delete it and accept "
            "a new result."
        ) from error


def history_bytes(history: list[Acceptance]) -> bytes:
    """Return the newest entries of a history as they are stored."""
    entries = [_document(entry) for entry in history[-LONGEST:]]
    return f"{json.dumps(entries, indent=1)}\n".encode()


def _document(entry: Acceptance) -> dict[str, Any]:
    """Return an entry as it is stored: without an upgrade or a measure as earlier versions stored and can read it."""
    stored = {**dataclasses.asdict(entry), "excess": to_json(entry.excess)}
    absent = {"upgrade"} if not entry.upgrade else set()
    absent |= {"measure", "excess"} if not entry.measure else set()
    return {name: value for name, value in stored.items() if name not in absent}


def check_reason(reason: str) -> None:
    """Refuse what cannot be a reason. Raises UsageError if nobody sees anything of it, or it is too long to be read."""
    if says_nothing(reason):
        raise UsageError('accepting needs a reason: --reason "why the new explanation is right".')
    if len(reason) > _LONGEST_REASON:
        raise UsageError(
            f"the reason has {len(reason):,} characters; expected at most {_LONGEST_REASON:,}. Say it in fewer, and "
            "link what is longer."
        )


@functools.cache
def whoami() -> str:
    """Name the person at the keyboard as git knows them, else by their login. An e-mail address is never kept."""
    return _without_address(_git_name()) or _without_address(_login()) or "unknown"


def _without_address(name: str) -> str:
    return " ".join(word for word in name.split() if not re.search(r"\w@\w", word))


def _git_name() -> str:
    try:
        done = run_git(Path(), "config", "user.name", seconds=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""  # a container may have no users
