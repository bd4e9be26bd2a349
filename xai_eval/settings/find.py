"""Finds the configuration file: `xai_eval.toml`, or `pyproject.toml` with a table `[tool.xai_eval]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.disk.door import is_link, read_bytes
from xai_eval.disk.files import accessible, exists
from xai_eval.disk.strict_toml import MOST_TOML_BYTES, parse_toml
from xai_eval.disk.system_errors import refusal
from xai_eval.disk.typed import spelled
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.settings.settings import shown

OWN_FILE, SHARED_FILE = "xai_eval.toml", "pyproject.toml"


@dataclass(frozen=True)
class Document:
    """A configuration file that was read but not checked.

    Attributes:
        file: the file.
        table: its keys; of a `pyproject.toml`, those of `[tool.xai_eval]`.
    """

    file: Path
    table: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The file as messages name it; for a `pyproject.toml`, together with the table."""
        return shown(self.file) + (" [tool.xai_eval]" if self.file.name == SHARED_FILE else "")


def find_document(start: Path) -> Document | None:
    """Return the configuration in `start` or in the nearest folder above it; None if there is none.

    Raises:
        UsageError: a file is not valid TOML, or a folder has both kinds of configuration.
        InputUnavailable: a file cannot be read.
        StorageError: the folder cannot be looked at, such as one whose path is too long.
    """
    for folder in (start, *start.parents):
        own, shared = folder / OWN_FILE, folder / SHARED_FILE
        found = [Document(own, _parsed(own))] if _is_there(own) else []
        found += [Document(shared, table) for table in [_table_of(shared)] if table is not None]
        if len(found) > 1:
            raise UsageError(
                f"{shown(folder / OWN_FILE)} and [tool.xai_eval] in {shown(shared)} both configure xai-eval. "
                "Keep one of them."
            )
        if found:
            return found[0]
    return None


def _table_of(shared: Path) -> Mapping[str, Any] | None:
    """Return `[tool.xai_eval]`; None if there is none. A file that does not name it is not parsed: it may be broken."""
    if not _is_there(shared) or "xai_eval" not in _text_of(shared):
        return None
    tool = _parsed(shared).get("tool", {})
    table = tool.get("xai_eval") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{shown(shared)}: tool.xai_eval is {spelled(table)}; expected a table, [tool.xai_eval].")
    return table


def _is_there(file: Path) -> bool:
    """Whether a configuration file is there. What is no ordinary file is: to read it says so, instead of nothing."""
    with accessible(file):
        return is_link(file) or exists(file)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return parse_toml(_text_of(file))
    except ValueError as error:
        raise UsageError(f"{shown(file)} is not valid TOML: {error}. Correct it there.") from error


def _text_of(file: Path) -> str:
    try:
        return read_bytes(file, MOST_TOML_BYTES, follow=True).decode("utf-8-sig")
    except OSError as error:
        found = refusal(error, "put an ordinary file there")
        raise InputUnavailable(f"{shown(file)} cannot be read ({found.reason}). {found.sentence}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{shown(file)} is not valid TOML: it is not in UTF-8. Save it in UTF-8.") from error
    except ValueError as error:
        raise UsageError(f"{shown(file)} is not read: {error}. Make it smaller.") from error
