"""Images of goldens before and after a change, for those who review it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.door import require_no_links
from xai_eval.disk.files import remove_file, write_files
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import StorageError
from xai_eval.gate.review import GoldenChange, Review
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.figures import figure_files

FOLDER = "against"
# One image takes a tenth of a second.
MOST = 40
_OURS = re.compile(r"[\w-]+\.png", re.ASCII)


@dataclass(frozen=True)
class ReviewImages:
    """What was drawn for those who review a change.

    Attributes:
        folder: where the images are; None if there are none.
        drawn: number of goldens that were drawn.
        left_out: keys of goldens that differ and were not drawn, because there are more than `MOST`; the most changed
            first.
    """

    folder: Path | None
    drawn: int
    left_out: tuple[str, ...] = ()


def write_review_images(found: Review, results: Path) -> ReviewImages:
    """Draw the goldens that differ, into the folder `against` of a run; of many, those that matter most.

    The maps of a golden are drawn as they are now. Every map and mask that changed beyond its tolerance is drawn as it
    was and as it is, and where the two differ.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = results / FOLDER
    _remove_earlier(results, folder)
    shown = most_changed_first(found.goldens)
    cases = [
        ReportCase(each.verdict or Verdict(each.now.case, State.MISSING), each.now, each.before)
        for each in shown[:MOST]
        if each.now is not None
    ]
    files = figure_files(cases) if cases else {}
    if files:
        write_files(folder, files, root=results)
    return ReviewImages(folder if files else None, len(cases), tuple(each.key for each in shown[MOST:]))


def most_changed_first(goldens: Sequence[GoldenChange]) -> list[GoldenChange]:
    """Return the new and changed goldens that can be drawn, in the order in which a reviewer should see them.

    First come those that nobody accepted as they are, then those that changed beyond their tolerances, the worst first,
    then new ones, which nothing judges, and last those that changed within their tolerances.
    """
    drawn = [each for each in goldens if each.now is not None and each.kind in ("new", "changed")]
    return sorted(drawn, key=_urgency, reverse=True)


def _urgency(change: GoldenChange) -> tuple[bool, int, float]:
    verdict = change.verdict
    beyond = verdict is not None and verdict.state is not State.OK
    rank = 2 + int(verdict.severity or 0) if verdict is not None and beyond else int(change.kind == "new")
    return bool(change.problem) or not change.entered, rank, verdict.excess if verdict is not None else 0.0


def _remove_earlier(results: Path, folder: Path) -> None:
    """Remove the images of an earlier review: beside new ones they would mislead."""
    try:
        require_no_links(results, folder)
        for path in folder.glob("*.png"):
            if _OURS.fullmatch(path.name):
                remove_file(results, path)
    except OSError as error:
        found = refusal(error, "remove it by hand")
        raise StorageError(f"{folder} cannot be written ({found.reason}). {found.sentence}") from error
