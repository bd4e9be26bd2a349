"""The report of a run: one self-contained page, figures, tables, and `verdicts.json` for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from xai_eval.disk.files import write_file, write_files, write_stream
from xai_eval.gate.verdict import Verdict
from xai_eval.gate.whole_run import NOTHING, Overall
from xai_eval.report.cases import collect
from xai_eval.report.drawing.figures import figure_files
from xai_eval.report.page.page import PAGE_FILE, render_page
from xai_eval.report.page.selection import figured
from xai_eval.report.stale import remove_report, remove_stale
from xai_eval.report.text.commands import GOLDEN
from xai_eval.report.text.summary import summary_lines
from xai_eval.report.text.tables import table_files
from xai_eval.report.text.verdicts import VERDICTS_FILE, verdicts_document
from xai_eval.result.result import Result
from xai_eval.store.runs import RunRecord

__all__ = ["PAGE_FILE", "VERDICTS_FILE", "remove_report", "summary_lines", "verdicts_document", "write_report"]


def write_report(
    folder: Path,
    record: RunRecord,
    results: Mapping[str, Result],
    goldens: Mapping[str, Result],
    verdicts: Sequence[Verdict],
    golden: Path = GOLDEN,
    overall: Overall = NOTHING,
) -> Path:
    """Write the report of a run into `folder`; `results` and `goldens` go from case key to result.

    `golden` is the folder of the goldens, for the commands on the page.

    What an earlier report left there and this one does not have is removed: the figure of a drift that is
    mended would mislead.

    Returns:
        The page, `index.html`. Beside it: `figures/*.png`, `tables/*.csv` and `*.md`, `verdicts.json`.

    Raises:
        StorageError: the folder cannot be written.
    """
    cases = collect(results, goldens, verdicts)
    tables, figures = table_files(cases), figure_files(figured(cases))
    files = [*(f"tables/{name}" for name in tables), *(f"figures/{name}" for name in figures)]
    remove_stale(folder, files)
    document = json.dumps({**verdicts_document(verdicts, record, overall), "files": files}, indent=1, allow_nan=False)
    write_file(folder / VERDICTS_FILE, f"{document}\n".encode())
    write_files(folder / "tables", tables)
    write_files(folder / "figures", figures)
    page = folder / PAGE_FILE
    # Names of files may hold halves of characters, which UTF-8 refuses.
    parts = render_page(record, cases, folder, golden, overall)
    write_stream(page, (part.encode("utf-8", "replace") for part in parts))
    return page
