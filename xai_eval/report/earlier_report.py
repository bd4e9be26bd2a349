"""Remove the files of an earlier report from a folder, and no others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from xai_eval.disk.files import read_json, remove_file, remove_temporaries, remove_temporary_folders
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import StorageError, UsageError
from xai_eval.report.further_pages import CASES_FILE, remove_further_pages
from xai_eval.report.images_beside import FOLDER, remove_images_beside
from xai_eval.report.text.commands import PAGE_FILE
from xai_eval.report.text.verdicts import VERDICTS_FILE
from xai_eval.store.rejections import REJECTIONS_FILE
from xai_eval.store.runs import RUN_FILE

# Names of files by the folder that they are in.
_WRITTEN = {
    ".": (PAGE_FILE, "cases-*.html", CASES_FILE, VERDICTS_FILE, RUN_FILE, REJECTIONS_FILE),
    "figures": ("*.png", "*.svg", "*.pdf"),
    "tables": ("*.csv", "*.md", "*.tex", "*.json"),
    "against": ("*.png",),
    FOLDER: ("*.jpeg", "*.png"),
}
# The list of files is read from disk and may be wrong, so only paths that a report can have written are removed.
_OURS = re.compile(r"figures/[\w-]+\.(png|svg|pdf)|tables/[\w-]+\.(csv|md|tex|json)", re.ASCII)


def require_free_for_report(folder: Path) -> None:
    """Refuse a folder in which a report of its own would replace anything but an earlier such report.

    Raises:
        UsageError: it is the folder of a run, or holds a page that no report listed.
    """
    for name, what in ((RUN_FILE, "the record of a run, whose own page would be lost"), (PAGE_FILE, "a foreign page")):
        if (folder / name).exists() and (name == RUN_FILE or _earlier_files(folder) is None):
            raise UsageError(f"{folder / name} is {what}. Name another folder with --report, such as reports/diff.")


def remove_earlier_report(folder: Path) -> None:
    """Remove the report of an earlier run from `folder`: beside new results it would look like their report.

    What a process left that was killed while it wrote a report goes as well.

    Raises:
        StorageError: a file cannot be removed.
    """
    earlier = _earlier_files(folder)
    if earlier is not None:
        # The list is removed last, so that an interrupted removal can be continued.
        _remove(folder, [*sorted(earlier), PAGE_FILE])
        remove_further_pages(folder)
        remove_images_beside(folder)
        _remove(folder, [VERDICTS_FILE])
    clear_leftovers(folder)


def clear_leftovers(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote a report or a record into `folder`.

    No other process may be writing into the folder.
    """
    for place, names in _WRITTEN.items():
        remove_temporaries(folder / place, names)
    remove_temporary_folders(folder, _WRITTEN.__contains__)


def remove_earlier_files(folder: Path, files: Collection[str]) -> None:
    """Remove what the earlier `verdicts.json` of `folder` lists and `files` does not; paths within `folder`.

    Raises:
        StorageError: a file cannot be removed.
    """
    _remove(folder, (_earlier_files(folder) or set()) - set(files))


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        try:
            remove_file(folder, folder / name)
        except OSError as error:
            found = refusal(error, "remove it, or choose another folder for the report")
            raise StorageError(
                f"{folder / name} of an earlier report cannot be removed ({found.reason}). {found.sentence}"
            ) from error


def _earlier_files(folder: Path) -> set[str] | None:
    """Return the files that the earlier report lists; None if there is no report, or none with a valid list."""
    try:
        listed = read_json(folder / VERDICTS_FILE)["files"]
        return {name for name in listed if _OURS.fullmatch(name)}
    except (OSError, ValueError, KeyError, TypeError, StorageError):
        return None
