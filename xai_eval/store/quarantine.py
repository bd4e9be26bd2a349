"""Cases that may fail for a while without failing their run: `quarantine.toml` beside the goldens, edited by hand."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.disk.door import read_bytes
from xai_eval.disk.files import accessible, exists
from xai_eval.disk.strict_toml import MOST_TOML_BYTES, parse_toml
from xai_eval.disk.typed import spelled
from xai_eval.errors import StorageError
from xai_eval.media.characters import says_nothing

QUARANTINE_FILE = "quarantine.toml"
# A case that may fail for longer than this is given up, which is what deleting its golden is for.
LONGEST_DAYS = 90
_NAMED, _NAME = 8, 40  # names of an entry that an error lists, and characters of each
_EXAMPLE = 'expected owner = "name", reason = "why" and expires = 2027-01-31'


@dataclass(frozen=True)
class Quarantine:
    """The quarantine of one case.

    Attributes:
        owner: the person who will repair the case.
        reason: why the case is in quarantine.
        expires: the last day, in UTC, on which the case may fail without failing its run.
        expired: whether this day was over when the case was judged.
        entry: key of the case that the entry names, if it is the earlier name of the case; empty if it names the case.
    """

    owner: str
    reason: str
    expires: datetime.date
    expired: bool = False
    entry: str = ""

    @property
    def sentence(self) -> str:
        """The entry as text for people, at the end of a verdict."""
        whose = f"({self.owner}: {self.reason.rstrip('.')}){self._under_another_name}"
        if self.expired:
            return (
                f"Its quarantine expired on {self.expires} {whose}: repair or accept the case, then delete its entry."
            )
        return f"In quarantine until {self.expires} {whose}."

    @property
    def _under_another_name(self) -> str:
        if not self.entry:
            return ""
        return f", by the entry of its earlier name {self.entry}, which needs the new key once the new case is accepted"


def read_quarantine(
    folder: Path, today: datetime.date | None = None, longest: int = LONGEST_DAYS
) -> dict[str, Quarantine]:
    """Read the entries of a folder of goldens.

    Args:
        folder: the folder.
        today: the day in UTC if None.
        longest: how many days ahead the last day of an entry may lie.

    Returns:
        The entries by case key; empty if there is no file.

    Raises:
        StorageError: the file cannot be read or is not TOML, an entry is incomplete, or it ends too late.
    """
    path = folder / QUARANTINE_FILE
    with accessible(path):
        content = read_bytes(path, MOST_TOML_BYTES) if exists(path) else b""
    return entries_of(content, path, today or this_day(), longest)


def this_day() -> datetime.date:
    """Return today, in UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def entries_of(content: bytes, path: Path, today: datetime.date, longest: int) -> dict[str, Quarantine]:
    """Return the entries that a document says, as `read_quarantine` does; `path` is where it is, or is to be."""
    try:
        entries = parse_toml(content)
    except ValueError as error:
        raise StorageError(f"{path} is not TOML: {error}. Correct it; until then no case is in quarantine.") from error
    found = {key: _entry(f"{path}: [{key!r}]", value, today) for key, value in entries.items()}
    for key, entry in found.items():
        _refuse_too_late(f"{path}: [{key!r}]", entry.expires, today, longest)
    return found


def _refuse_too_late(where: str, expires: datetime.date, today: datetime.date, longest: int) -> None:
    if (expires - today).days > longest:
        raise StorageError(
            f"{where}: expires is {expires}, {(expires - today).days} days ahead; at most {longest} are allowed, so "
            "that nothing is forgotten there. Give an earlier day, and a new one when it is over; or set "
            "quarantine_days in the configuration file."
        )


def _entry(where: str, value: Any, today: datetime.date) -> Quarantine:
    if not isinstance(value, Mapping) or value.keys() != {"owner", "reason", "expires"}:
        got = _listed(value) or "nothing" if isinstance(value, Mapping) else spelled(value)
        raise StorageError(f"{where}: {_EXAMPLE} under a heading with the case's key in quotes, got {got}.")
    for name in ("owner", "reason"):
        if not isinstance(value[name], str) or says_nothing(value[name]):
            raise StorageError(f"{where}: {name} is {spelled(value[name])}, but must be a text; {_EXAMPLE}.")
    expires = value["expires"]
    # A datetime is a subclass of date in Python, so the exact type is compared.
    if type(expires) is not datetime.date:
        raise StorageError(f"{where}: expires is {spelled(expires)}, not a date; {_EXAMPLE}, without quotes.")
    return Quarantine(value["owner"].strip(), value["reason"].strip(), expires, expired=expires < today)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(name[:_NAME] for name in every[:_NAMED]) + (", ..." if len(every) > _NAMED else "")
