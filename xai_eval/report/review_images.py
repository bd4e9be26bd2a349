"""Images of goldens before and after a change, for those who review it."""

from __future__ import annotations

import re
from pathlib import Path

from xai_eval.disk.files import write_files
from xai_eval.errors import StorageError
from xai_eval.gate.review import Review
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.figures import figure_files

FOLDER = "against"
# One image takes a tenth of a second.
MOST = 40
_OURS = re.compile(r"[\w-]+\.png", re.ASCII)


def write_review_images(found: Review, results: Path) -> Path | None:
    """Draw the goldens that differ, into the folder `against` of a run.

    The maps of a golden are drawn as they are now. Every map and mask that changed beyond its tolerance is drawn as it
    was and as it is, and where the two differ.

    Returns:
        The folder; None if no golden differs that can be drawn.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = results / FOLDER
    _remove_earlier(folder)
    drawn = [each for each in found.goldens if each.now is not None and each.kind in ("new", "changed")]
    cases = [
        ReportCase(each.verdict or Verdict(each.now.case, State.MISSING), each.now, each.before)
        for each in drawn[:MOST]
        if each.now is not None
    ]
    files = figure_files(cases) if cases else {}
    if not files:
        return None
    write_files(folder, files)
    return folder


def _remove_earlier(folder: Path) -> None:
    """Remove the images of an earlier review: beside new ones they would mislead."""
    try:
        for path in folder.glob("*.png"):
            if _OURS.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror or error}). Remove it by hand.") from error
