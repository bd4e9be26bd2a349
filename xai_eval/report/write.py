"""The report of a run: one self-contained page, figures, tables, and `verdicts.json` for other programs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from xai_eval.disk.files import write_files, write_streams
from xai_eval.gate.judge_run import Judged
from xai_eval.media.json_text import json_parts
from xai_eval.report.cases import collect
from xai_eval.report.drawing.figure_formats import DEFAULT
from xai_eval.report.drawing.figures import figure_files
from xai_eval.report.earlier_report import clear_leftovers, remove_earlier_files
from xai_eval.report.further_pages import remove_further_pages
from xai_eval.report.images_beside import ImagesBeside
from xai_eval.report.page.compared_runs import ComparedRuns
from xai_eval.report.page.page import report_pages
from xai_eval.report.page.shown_cases import with_figures
from xai_eval.report.text.commands import PAGE_FILE
from xai_eval.report.text.table_files import table_files
from xai_eval.report.text.verdicts import VERDICTS_FILE, verdicts_stream
from xai_eval.store.default_folders import GOLDEN


def write_report(
    folder: Path,
    judged: Judged,
    golden: Path = GOLDEN,
    results: Path | None = None,
    compared: ComparedRuns | None = None,
    formats: Sequence[str] = DEFAULT,
) -> Path:
    """Write the report of a run into `folder`.

    `golden` is the folder of its goldens, and `results` that of the run, for the commands on the page; `folder` if it
    is None. `compared` is what differs between two runs, if the goldens are the results of another run. Every figure is
    written in each of `formats` (png, svg, pdf).

    Files of an earlier report that this one does not have are removed: the figure of a drift that is mended
    would mislead.

    Returns:
        The page, `index.html`. Beside it: `figures/*.png`, `tables/*.csv`, `*.md` and `*.tex`, `verdicts.json`; in a
        large run also `page-images/`, with images that the page shows.

    Raises:
        StorageError: the folder cannot be written, or one in it is a link.
    """
    cases = collect(judged.results, judged.goldens, judged.verdicts, judged.pairs)
    tables, figures = table_files(cases), figure_files(with_figures(cases), formats)
    files = [*(f"tables/{name}" for name in tables), *(f"figures/{name}" for name in figures)]
    clear_leftovers(folder)
    remove_earlier_files(folder, files)
    told = verdicts_stream(judged.verdicts, judged.record, judged.run_findings)
    document = itertools.chain(json_parts({**told, "files": files}), ["\n"])
    write_streams(folder, {VERDICTS_FILE: map(str.encode, document)})
    write_streams(folder / "tables", tables, root=folder)
    write_files(folder / "figures", figures, root=folder)
    images = ImagesBeside(folder)
    pages = report_pages(
        judged.record, cases, results or folder, golden, judged.run_findings, images.keep, compared=compared
    )
    write_streams(folder, {name: map(str.encode, parts) for name, parts in pages.items()})
    # Only now, because until then the earlier page may show them.
    images.remove_others()
    remove_further_pages(folder, but=pages)
    return folder / PAGE_FILE
