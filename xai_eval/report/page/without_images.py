"""Cases that a page shows without images, mostly ok: one row per case, and a sentence on where their images are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xai_eval.gate.verdict import Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.page.case_view import CaseLine, case_line
from xai_eval.report.text.summary import is_fine
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
        folder: where the results are.
        columns: of the table, after the input.
        rows: for each case, what filters and links need, and its cells.
    """

    title: str
    sentence: str
    folder: str
    columns: tuple[str, ...]
    rows: tuple[tuple[CaseLine, tuple[str, ...]], ...]


def cases_without_images(
    cases: Sequence[ReportCase], results: Path, *, one_page: bool = True
) -> CasesWithoutImages | None:
    """Prepare the cases of one task of the run in `results` that are shown without images; None if there are none.

    `one_page` says whether the report is one page, on which all other cases are shown with images.
    """
    if not cases:
        return None
    others = "; all other cases are shown with their images" if one_page else ""
    told = f"So that the page stays small, the images of {_number(cases)} are not on it{others}."
    sentence = (
        f"{told} xai_eval.Result.load opens a result with its image and maps; the last column names its folder in"
    )
    frame = summary_frame(cases).drop(columns="input").dropna(axis="columns", how="all")
    columns = (*(words(str(column)) for column in frame.columns), "in words", "folder")
    rows = tuple(
        (case_line(case), (*map(cell_text, row), _told(case.verdict), case.key))
        for case, row in zip(cases, frame.itertuples(index=False, name=None), strict=True)
    )
    return CasesWithoutImages(_title(cases), sentence, str(results / RESULTS_FOLDER), columns, rows)


def _title(cases: Sequence[ReportCase]) -> str:
    if not _all_fine(cases):
        return f"{count(len(cases), 'more case')} without images"
    return f"{count(len(cases), 'more case')} that {'is' if len(cases) == 1 else 'are'} ok, without images"


def _number(cases: Sequence[ReportCase]) -> str:
    return count(len(cases), "ok case" if _all_fine(cases) else "case")


def _told(verdict: Verdict) -> str:
    return verdict.sentence if is_fine(verdict) else verdict.short


def _all_fine(cases: Sequence[ReportCase]) -> bool:
    return all(is_fine(case.verdict) for case in cases)
