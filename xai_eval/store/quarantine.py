"""Cases that may fail for a while without failing their run: `quarantine.toml` beside the goldens, edited by hand."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.disk.files import accessible, exists
from xai_eval.errors import StorageError

QUARANTINE_FILE = "quarantine.toml"
_EXAMPLE = 'expected owner = "name", reason = "why" and expires = 2027-01-31'


@dataclass(frozen=True)
class Quarantine:
    """The quarantine of one case.

    Attributes:
        owner: the person who will repair the case.
        reason: why the case is in quarantine.
        expires: the last day, in UTC, on which the case may fail without failing its run.
        expired: whether this day was over when the case was judged.
    """

    owner: str
    reason: str
    expires: datetime.date
    expired: bool = False

    @property
    def sentence(self) -> str:
        """The entry as text for people, at the end of a verdict."""
        whose = f"({self.owner}: {self.reason.rstrip('.')})"
        if self.expired:
            return (
                f"Its quarantine expired on {self.expires} {whose}: repair or accept the case, then delete its entry."
            )
        return f"In quarantine until {self.expires} {whose}."


def read_quarantine(folder: Path, today: datetime.date | None = None) -> dict[str, Quarantine]:
    """Read the entries of `folder` by case key; empty if there is no file. `today` is by default the day in UTC.

    Raises:
        StorageError: the file cannot be read, is not TOML, or an entry is incomplete.
    """
    path = folder / QUARANTINE_FILE
    today = today or datetime.datetime.now(datetime.UTC).date()
    try:
        with accessible(path):
            entries = tomllib.loads(path.read_text(encoding="utf-8")) if exists(path) else {}
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not TOML: {error}. Correct it; until then no case is in quarantine.") from error
    return {key: _entry(f"{path}: [{key!r}]", value, today) for key, value in entries.items()}


def _entry(where: str, value: Any, today: datetime.date) -> Quarantine:
    if not isinstance(value, Mapping) or value.keys() != {"owner", "reason", "expires"}:
        got = ", ".join(value) or "nothing" if isinstance(value, Mapping) else repr(value)
        raise StorageError(f"{where}: {_EXAMPLE} under a heading with the case's key in quotes, got {got}.")
    for name in ("owner", "reason"):
        if not isinstance(value[name], str) or not value[name].strip():
            raise StorageError(f"{where}: {name} is {value[name]!r}, but must be a text; {_EXAMPLE}.")
    expires = value["expires"]
    # A datetime is a subclass of date in Python, so the exact type is compared.
    if type(expires) is not datetime.date:
        raise StorageError(f"{where}: expires is {expires!r}, not a date; {_EXAMPLE}, without quotes.")
    return Quarantine(value["owner"].strip(), value["reason"].strip(), expires, expired=expires < today)
