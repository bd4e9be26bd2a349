"""The further pages of a report of many cases, and the list of what is on which: files beside the first page.

They are written together with the first page, and removed once no page leads there.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from xai_eval.disk.door import is_link, opened
from xai_eval.disk.files import remove_file
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import StorageError

# Which case is on which page, as a script, because a page that is a file may load nothing else.
CASES_FILE = "cases.js"
# A line near the beginning of each of these files, by which files of others are told apart.
MARK = "a page of many of an xai_eval report"
_OURS = re.compile(r"cases-\d+\.html|cases\.js", re.ASCII)
_BEGINNING = 1_000  # bytes


def further_page(number: int) -> str:
    """Return the name of a page; the first one, which has another, is 1."""
    return f"cases-{number}.html"


def remove_further_pages(report: Path, but: Collection[str] = ()) -> None:
    """Remove the further pages that an earlier report had in the folder `report`, and nothing else.

    Raises:
        StorageError: one of them cannot be removed.
    """
    try:
        for path in sorted(report.glob("cases*")):
            if _OURS.fullmatch(path.name) and path.name not in but and _is_ours(path):
                remove_file(report, path)
    except OSError as error:
        found = refusal(error, "remove it by hand")
        raise StorageError(f"{report} has pages of an earlier report ({found.reason}). {found.sentence}") from error


def _is_ours(path: Path) -> bool:
    if is_link(path) or not path.is_file():
        return False
    with opened(path) as file:
        return MARK.encode() in (file.read(_BEGINNING) or b"")
