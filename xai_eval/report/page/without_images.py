"""Ok cases that the page shows without images: one row per case, and a sentence on where their images are."""

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
        folder: where the results are.
        columns: of the table, after the input.
        rows: for each case, what filters and links need, and its cells.
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
        f"So that the page stays small, the images of {count(len(cases), 'ok case')} are not on it; all other cases "
        "are shown with their images. xai_eval.Result.load opens a result with its image and maps; the last column "
        "names its folder in"
    )
    frame = summary_frame(cases).drop(columns="input").dropna(axis="columns", how="all")
    columns = (*(words(str(column)) for column in frame.columns), "in words", "folder")
    rows = tuple(
        (case_line(case), (*map(cell_text, row), case.verdict.sentence, case.key))
        for case, row in zip(cases, frame.itertuples(index=False, name=None), strict=True)
    )
    return CasesWithoutImages(
        f"{count(len(cases), 'more case')} that {'is' if len(cases) == 1 else 'are'} ok, without images",
        sentence,
        str(results / RESULTS_FOLDER),
        columns,
        rows,
    )
