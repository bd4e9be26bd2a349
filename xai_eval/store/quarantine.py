"""Cases that are set aside for a while: `quarantine.toml` beside the goldens, written by hand, reviewed in git."""

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
    """One entry.

    Attributes:
        owner: who sees to it.
        reason: why the case is set aside.
        expires: the last day, in UTC, on which the case may fail without failing its run.
        expired: whether that day was over when the case was judged.
    """

    owner: str
    reason: str
    expires: datetime.date
    expired: bool = False

    @property
    def sentence(self) -> str:
        """What a verdict says of it."""
        whose = f"({self.owner}: {self.reason.rstrip('.')})"
        if self.expired:
            return f"Its quarantine expired on {self.expires} {whose}: mend or accept it, then take its entry out."
        return f"In quarantine until {self.expires} {whose}."


def read_quarantine(folder: Path, today: datetime.date | None = None) -> dict[str, Quarantine]:
    """Read the entries of `folder` by case key; none where there is no file. `today` is today in UTC by default.

    Raises:
        StorageError: the file cannot be read, is no TOML, or an entry is not whole.
    """
    path = folder / QUARANTINE_FILE
    today = today or datetime.datetime.now(datetime.UTC).date()
    try:
        with accessible(path):
            entries = tomllib.loads(path.read_text(encoding="utf-8")) if exists(path) else {}
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is no TOML: {error}. Mend it; nothing is set aside until then.") from error
    return {key: _entry(f"{path}: [{key!r}]", value, today) for key, value in entries.items()}


def _entry(where: str, value: Any, today: datetime.date) -> Quarantine:
    if not isinstance(value, Mapping) or value.keys() != {"owner", "reason", "expires"}:
        got = ", ".join(value) or "nothing" if isinstance(value, Mapping) else repr(value)
        raise StorageError(f"{where}: {_EXAMPLE} under a heading with the case's key in quotes, got {got}.")
    for name in ("owner", "reason"):
        if not isinstance(value[name], str) or not value[name].strip():
            raise StorageError(f"{where}: {name} is {value[name]!r}; {_EXAMPLE}.")
    expires = value["expires"]
    # A date with a time is a date to Python as well.
    if type(expires) is not datetime.date:
        raise StorageError(f"{where}: expires is {expires!r}, no date; {_EXAMPLE}, without quotes.")
    return Quarantine(value["owner"].strip(), value["reason"].strip(), expires, expired=expires < today)
