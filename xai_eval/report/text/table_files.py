"""Files with the tables of the report: a summary of each task and every table field, as CSV, Markdown and LaTeX.

Documents, such as chosen settings, are written beside them as JSON.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xai_eval.media import latex as tex
from xai_eval.media import markdown as md
from xai_eval.media.json_text import json_text
from xai_eval.report.cases import AUDIT, ReportCase
from xai_eval.report.text.about_tables import about_table
from xai_eval.report.text.long_tables import MOST_ROWS, csv, csv_parts, is_number, shapes_of, tables_of
from xai_eval.report.text.print_columns import for_print
from xai_eval.report.text.wording import slug, text_rows
from xai_eval.result.fields import Document, Ranking, Score
from xai_eval.result.naming import plain, words

# The ranking of classes by probability, and what its first value is called.
_CLASSES, _BEST = "top5", "top_probability"
_ROWS_OF_A_PAGE = 40
_FEW = 4  # columns whose names have room on one line
_MANY = 7  # columns for which a page is too narrow in letters of the usual size
# Cases whose rows become one table at once: on their own they take ten times its memory.
_CASES_AT_ONCE = 2_048
_OF_THE_CASE = ("input", "model")
_SUMMARY = "The classes of each case, and its verdict."
_OF_MAPS = "How well each map can be read, points at the object and marks what matters, as far as it was measured."


def table_files(cases: Sequence[ReportCase]) -> dict[str, Iterable[bytes]]:
    """Write every table of `cases` three times, and every document; file name -> content, in parts.

    A table of more than `MOST_ROWS` rows is only written as CSV, part by part.
    """
    files: dict[str, Iterable[bytes]] = {}
    for task, own in _by_task(cases).items():
        files |= _written(_NamedFrame(task, "summary", _models(own), summary_frame(own)))
        for field, shape in shapes_of(own).items():
            if shape.long:
                files[f"{_name(task, field)}.csv"] = csv_parts(own, field, shape)
            else:
                files |= _written(_NamedFrame(task, field, tuple(shape.models), field_frame(own, field)))
    return files | _documents(cases)


def _by_task(cases: Iterable[ReportCase]) -> Mapping[str, Sequence[ReportCase]]:
    found: dict[str, list[ReportCase]] = defaultdict(list)
    for case in cases:
        found[case.verdict.case.task].append(case)
    return found


def _written(table: _NamedFrame) -> dict[str, Iterable[bytes]]:
    files: dict[str, Iterable[bytes]] = {f"{table.name}.csv": [csv(table.frame).encode()]}
    if len(table.frame) > MOST_ROWS:
        return files
    files[f"{table.name}.md"] = [markdown(table.frame).encode()]
    printed = for_print(table.frame, table.models)
    caption = f"{table.caption} {printed.note}".strip()
    return files | {f"{table.name}.tex": [latex(printed.frame, caption, table.name).encode()]}


def summary_frame(cases: Sequence[ReportCase]) -> pd.DataFrame:
    """Return one row per case: input, model, labels with the indices of classes, scores, state, severity, audit."""
    frames, labels = list[pd.DataFrame](), dict[str, None]()
    for start in range(0, len(cases), _CASES_AT_ONCE):
        own = [case.unloaded() for case in cases[start : start + _CASES_AT_ONCE]]
        frames.append(pd.DataFrame([_summary_row(case) for case in own]))
        labels |= dict.fromkeys(name for case in own for name in case.labels)
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    for name in labels:
        if f"{name}_index" in frame:
            frame[f"{name}_index"] = frame[f"{name}_index"].astype("Int64")
    # Columns that only some cases have are added at the end; state, severity and warning stay behind them.
    last = ["state", "severity", AUDIT]
    return frame[[column for column in frame.columns if column not in last] + last]


def field_frame(cases: Sequence[ReportCase], field: str) -> pd.DataFrame:
    """Return the rows of one table field of all cases, after their input and, if there are several, their model."""
    several = len({case.verdict.case.model for case in cases}) > 1
    frames = []
    for case in cases:
        tables = tables_of(case)
        if field in tables:
            frame = tables[field].frame.copy()
            if several:
                frame.insert(0, "model", case.verdict.case.model, allow_duplicates=True)
            frame.insert(0, "input", case.verdict.case.input, allow_duplicates=True)
            frames.append(frame)
        if len(frames) > _CASES_AT_ONCE:
            frames = [pd.concat(frames, ignore_index=True)]
    return pd.concat(frames, ignore_index=True)


def markdown(frame: pd.DataFrame) -> str:
    """Render a frame as a Markdown table, numbers to the right."""
    numeric = [is_number(frame.iloc[:, i]) for i in range(frame.shape[1])]
    rows = [
        [md.text(str(column)) for column in frame.columns],
        ["---:" if right else "---" for right in numeric],
        *([md.text(cell) for cell in row] for row in text_rows(frame)),
    ]
    return "".join(f"{md.row(row)}\n" for row in rows)


def latex(frame: pd.DataFrame, caption: str, label: str) -> str:
    """Render a frame as a LaTeX table for the package booktabs, numbers to the right and their points aligned.

    A table that is longer than a page is one of the package longtable. The label is `tab:` and `label`. Columns are
    named in words, because the table is for print; CSV and Markdown keep their names. Long texts, and the names of
    several columns, are broken over lines; many columns have small letters.
    """
    texts = [tuple(map(plain, row)) for row in text_rows(frame)]
    sides = ["r" if is_number(frame.iloc[:, place]) else "l" for place in range(frame.shape[1])]
    columns = "".join(tex.column(side, [row[place] for row in texts]) for place, side in enumerate(sides))
    names = [words(str(name)) for name in frame.columns]
    head = ["\\toprule", tex.row(names) if len(names) <= _FEW else tex.broken_row(names, sides), "\\midrule"]
    about = f"\\caption{{{tex.text(caption)}}}", f"\\label{{tab:{slug(label)}}}"
    rows, small = map(tex.row, texts), tex.SMALL if len(names) > _MANY else ()
    if len(frame) > _ROWS_OF_A_PAGE:
        first = [
            "\\begingroup",
            *small,
            "\\begin{longtable}{" + columns + "}",
            f"{about[0]} {about[1]} \\\\",
            *head,
            "\\endfirsthead",
        ]
        return "\n".join([*first, *head, "\\endhead", *rows, "\\bottomrule", "\\end{longtable}", "\\endgroup", ""])
    first = ["\\begin{table}", "\\centering", *about, *small, "\\begin{tabular}{" + columns + "}"]
    return "\n".join([*first, *head, *rows, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""])


def _documents(cases: Sequence[ReportCase]) -> dict[str, Iterable[bytes]]:
    """Return the documents of whole image sets as files; those of single images are in their results."""
    files: dict[str, Iterable[bytes]] = {}
    for case in cases:
        for field, document in case.fields(Document).items():
            if case.whole_set:
                content = json_text(document.content, ascii_only=False)
                files[f"{slug(case.verdict.case.task)}_{slug(field)}.json"] = [f"{content}\n".encode()]
    return files


@dataclass(frozen=True)
class _NamedFrame:
    """A table of one task: its summary, or the rows of one field of all its cases."""

    task: str
    about: str
    models: tuple[str, ...]
    frame: pd.DataFrame

    @property
    def name(self) -> str:
        return _name(self.task, self.about)

    @property
    def caption(self) -> str:
        return f"{self._shown} Task {self.task}, model {', '.join(self.models)}."

    @property
    def _shown(self) -> str:
        own = [str(name) for name in self.frame.columns if name not in _OF_THE_CASE]
        if self.about == "summary":
            return _SUMMARY
        return _OF_MAPS if {"method", "map"} <= set(own) else about_table(self.about, own)


def _name(task: str, about: str) -> str:
    return f"{slug(task)}_{slug(about)}"


def _models(cases: Sequence[ReportCase]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(case.verdict.case.model for case in cases))


def _summary_row(case: ReportCase) -> dict[str, Any]:
    verdict = case.verdict
    row: dict[str, Any] = {"input": verdict.case.input, "model": verdict.case.model}
    for name, label in case.labels.items():
        row[name] = label.text
        if label.index is not None:
            row[f"{name}_index"] = label.index
    classes = case.fields(Ranking).get(_CLASSES)
    if classes and classes.values:
        row[_BEST] = classes.values[0]
    row |= {name: score.value for name, score in case.fields(Score).items()}
    severity = verdict.severity.label if verdict.severity else None
    return {**row, "state": str(verdict.state), "severity": severity, AUDIT: case.audit}
