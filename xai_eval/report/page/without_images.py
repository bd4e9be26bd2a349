"""Cases that pass beyond the first few: a row each, and in a sentence where their images are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.report.cases import ReportCase
from xai_eval.report.page.case_view import CaseLine, case_line
from xai_eval.report.text.table_files import summary_frame
from xai_eval.report.text.wording import cell_text, count
from xai_eval.result.naming import words
from xai_eval.store.runs import RESULTS_FOLDER


@dataclass(frozen=True)
class CasesWithoutImages:
    """The cases of a task that are shown without images.

    Attributes:
        title: heading.
        sentence: what is left out, and how to see it.
        folder: where it lies.
        columns: what is said of every case behind its input.
        rows: a line for the filters and links, and the cells.
    """

    title: str
    sentence: str
    folder: str
    columns: tuple[str, ...]
    rows: tuple[tuple[CaseLine, tuple[str, ...]], ...]


def cases_without_images(cases: Sequence[ReportCase], results: Path) -> CasesWithoutImages | None:
    """Prepare the cases of one task of the run in `results` that are shown without images; None if there are none."""
    if not cases:
        return None
    sentence = (
        f"Every case that does not pass is shown in full. The images of {count(len(cases), 'case')} that pass are "
        "not embedded, so that the page stays small: image, maps and all else that was obtained lie in the folder "
        "that the last column names, to be opened with xai_eval.Result.load, in"
    )
    frame = summary_frame(cases).drop(columns="input").dropna(axis="columns", how="all")
    columns = (*(words(str(column)) for column in frame.columns), "in words", "folder")
    rows = tuple(
        (case_line(case), (*map(cell_text, row), case.verdict.sentence, case.key))
        for case, row in zip(cases, frame.itertuples(index=False, name=None), strict=True)
    )
    return CasesWithoutImages(f"{len(cases)} more that pass", sentence, str(results / RESULTS_FOLDER), columns, rows)
