"""Adds entries to the quarantine, as a person would write them; what stands in the file is left as it is."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

from xai_eval.disk.door import read_bytes
from xai_eval.disk.files import accessible, exists, remove_temporaries, write_file
from xai_eval.disk.strict_toml import MOST_TOML_BYTES
from xai_eval.errors import UsageError
from xai_eval.store.quarantine import QUARANTINE_FILE, Quarantine, entries_of, this_day


def add_entries(folder: Path, keys: Sequence[str], entry: Quarantine, longest: int) -> None:
    """Add one entry per case to the end of `quarantine.toml`. The caller has locked the folder.

    Args:
        folder: the folder of goldens.
        keys: case keys.
        entry: owner, reason and last day, the same for all of them.
        longest: how many days ahead the last day may lie.

    Raises:
        UsageError: the last day is over, or a case has an entry already.
        StorageError: the document cannot be read or written, the entry is incomplete, or it ends too late.
    """
    path, today = folder / QUARANTINE_FILE, this_day()
    with accessible(path):
        content = read_bytes(path, MOST_TOML_BYTES) if exists(path) else b""
    _refuse_over(entry.expires, today)
    _refuse_twice(keys, entries_of(content, path, today, longest), path)
    added = "\n".join(_block(key, entry) for key in keys).encode()
    whole = b"\n".join(filter(None, [content.rstrip(b"\n") + b"\n" if content.strip() else b"", added]))
    entries_of(whole, path, today, longest)  # what could not be read again is not written
    write_file(path, whole)
    remove_temporaries(folder, [QUARANTINE_FILE])


def _refuse_over(expires: datetime.date, today: datetime.date) -> None:
    if expires < today:
        raise UsageError(f"{expires} is over (today is {today}, in UTC). Give a later last day for the quarantine.")


def _refuse_twice(keys: Sequence[str], entries: dict[str, Quarantine], path: Path) -> None:
    twice = next((key for key in keys if key in entries), None)
    if twice is not None:
        raise UsageError(
            f"{twice} is in {path} already, until {entries[twice].expires}, so nothing was added. Edit its entry there."
        )


def _block(key: str, entry: Quarantine) -> str:
    return (
        f"[{_text(key)}]\nowner = {_text(entry.owner)}\nreason = {_text(entry.reason)}\n"
        f"expires = {entry.expires.isoformat()}\n"
    )


def _text(text: str) -> str:
    """Return a text as TOML spells it: as JSON does, but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
