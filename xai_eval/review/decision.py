"""A decision as the page sends it, read and checked. Nothing is done here."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xai_eval.disk.strict_json import parse_json
from xai_eval.disk.typed import read_as
from xai_eval.errors import UsageError
from xai_eval.media.characters import says_nothing
from xai_eval.review.seen import Seen

_LONGEST = 2_000  # characters of a reason, or of the name of an owner
_DAY = "a last day is needed for a quarantine, such as 2027-01-31."


class Kind(StrEnum):
    """What is decided."""

    ACCEPT = "accept"
    REJECT = "reject"
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Decision:
    """What a person decides, and about what.

    Attributes:
        kind: what.
        reason: why.
        cases: what the person saw, by case key.
        bulk: whether the person said that more than 20 goldens may change.
        owner: of a quarantine: who will repair the cases.
        expires: of a quarantine: its last day.
    """

    kind: Kind
    reason: str
    cases: Mapping[str, Seen]
    bulk: bool = False
    owner: str = ""
    expires: datetime.date = datetime.date.min


@dataclass(frozen=True)
class _Sent:
    """The document that the page sends."""

    kind: str
    reason: str
    cases: Mapping[str, Seen]
    bulk: bool = False
    owner: str = ""
    expires: str = ""


def read_decision(body: bytes) -> Decision:
    """Read a decision. Raises UsageError if it is not one, or lacks a reason, a case, an owner or a day."""
    try:
        sent: _Sent = read_as(_Sent, parse_json(body))
        kind = Kind(sent.kind)
    except ValueError as error:
        raise UsageError(f"this is no decision: {error}. Reload the page, and decide again.") from error
    _require_text("a reason", sent.reason)
    if not sent.cases:
        raise UsageError("no case was chosen, so there is nothing to decide.")
    plain = Decision(kind, sent.reason.strip(), sent.cases, sent.bulk)
    return plain if kind is not Kind.QUARANTINE else _quarantine(plain, sent)


def _quarantine(plain: Decision, sent: _Sent) -> Decision:
    _require_text("an owner (who will repair the cases)", sent.owner)
    try:
        day = datetime.date.fromisoformat(sent.expires)
    except ValueError as error:
        raise UsageError(_DAY) from error
    return Decision(plain.kind, plain.reason, plain.cases, owner=sent.owner.strip(), expires=day)


def _require_text(what: str, text: str) -> None:
    if says_nothing(text):
        raise UsageError(f"{what} is needed: write it, and decide again.")
    if len(text) > _LONGEST:
        raise UsageError(f"{what} may have {_LONGEST:,} characters, but this has {len(text):,}. Say it more briefly.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError(f"{what} holds half of a character, which cannot be stored. Write it anew.")
