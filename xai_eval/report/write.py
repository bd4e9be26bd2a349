"""The report of a run: one self-contained page, figures, tables, and `verdicts.json` for other programs."""

from __future__ import annotations

from pathlib import Path

from xai_eval.disk.files import write_file, write_files, write_stream
from xai_eval.gate.judge_run import Judged
from xai_eval.media.json_text import json_text
from xai_eval.report.cases import collect
from xai_eval.report.drawing.figures import figure_files
from xai_eval.report.earlier_report import clear_leftovers, remove_earlier_files
from xai_eval.report.images_beside import ImagesBeside
from xai_eval.report.page.page import render_page
from xai_eval.report.page.shown_cases import with_figures
from xai_eval.report.text.commands import PAGE_FILE
from xai_eval.report.text.table_files import table_files
from xai_eval.report.text.verdicts import VERDICTS_FILE, verdicts_document
from xai_eval.store.default_folders import GOLDEN


def write_report(folder: Path, judged: Judged, golden: Path = GOLDEN, results: Path | None = None) -> Path:
    """Write the report of a run into `folder`.

    `golden` is the folder of its goldens, and `results` that of the run, for the commands on the page; `folder` if it
    is None.

    Files of an earlier report that this one does not have are removed: the figure of a drift that is mended
    would mislead.

    Returns:
        The page, `index.html`. Beside it: `figures/*.png`, `tables/*.csv` and `*.md`, `verdicts.json`; in a large run
        also `page-images/`, with images that the page shows.

    Raises:
        StorageError: the folder cannot be written, or one in it is a link.
    """
    cases = collect(judged.results, judged.goldens, judged.verdicts, judged.pairs)
    tables, figures = table_files(cases), figure_files(with_figures(cases))
    files = [*(f"tables/{name}" for name in tables), *(f"figures/{name}" for name in figures)]
    clear_leftovers(folder)
    remove_earlier_files(folder, files)
    told = verdicts_document(judged.verdicts, judged.record, judged.run_findings)
    document = json_text({**told, "files": files})
    write_file(folder / VERDICTS_FILE, f"{document}\n".encode())
    write_files(folder / "tables", tables, root=folder)
    write_files(folder / "figures", figures, root=folder)
    page, images = folder / PAGE_FILE, ImagesBeside(folder)
    parts = render_page(judged.record, cases, results or folder, golden, judged.run_findings, images.keep)
    write_stream(page, (part.encode() for part in parts))
    # Only now, because until then the earlier page may show them.
    images.remove_others()
    return page
