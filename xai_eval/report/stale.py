"""Removing the figures and tables of an earlier report, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from xai_eval.errors import StorageError
from xai_eval.report.verdicts import VERDICTS_FILE

# The list is read from a file, so it is believed only where it names what a report writes.
_OURS = re.compile(r"figures/[\w-]+\.png|tables/[\w-]+\.(csv|md|tex|json)", re.ASCII)


def remove_stale(folder: Path, files: Collection[str]) -> None:
    """Remove what the earlier `verdicts.json` of `folder` lists and `files` does not; paths within `folder`.

    Raises:
        StorageError: a file cannot be removed.
    """
    for name in _earlier_files(folder) - set(files):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{folder / name} of an earlier report cannot be removed ({error.strerror or error}). "
                "Remove it, or choose another folder for the report."
            ) from error


def _earlier_files(folder: Path) -> set[str]:
    try:
        listed = json.loads((folder / VERDICTS_FILE).read_text())["files"]
        return {name for name in listed if _OURS.fullmatch(name)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # no earlier report, or one that says nothing about its files
