"""One case as the template of the page shows it; all decisions are made here, none in the template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten

from xai_eval.gate.verdict import State, Verdict, cause_kinds
from xai_eval.report.cases import AUDIT, ReportCase
from xai_eval.report.drawing.comparisons import comparison
from xai_eval.report.drawing.curves import curve_panels
from xai_eval.report.drawing.panels import panels
from xai_eval.report.page.chain import Box, stage_chain
from xai_eval.report.page.colour_bars import kinds_of_maps
from xai_eval.report.page.images import CaseImages, ComparisonView, ImageView, maps_by_title
from xai_eval.report.page.unit_rows import LayerView, concepts_of, layer_views
from xai_eval.report.text.about_tables import about_table
from xai_eval.report.text.findings import measure_words, needs, responsible_step
from xai_eval.report.text.summary import is_fine, state_word
from xai_eval.report.text.wording import cell_text, number_texts, text_rows
from xai_eval.result.fields import Document, Field, Finding, Heatmap, Label, Ranking, Score, SignedMap, Table
from xai_eval.result.naming import named, plain, title, words

_DOCUMENT_LETTERS = 400  # the rest is in the file beside the tables
_FINDINGS = 10  # findings that are shown at once; the others are folded away
_COMPARED = 3  # maps, masks and superpixels that drifted and are shown at once
# Columns whose texts are the names of methods and measures.
_NAMES = {"method", "measure", "objective", "comparison", "labels"}
# What `accept` makes goldens of.
ACCEPTABLE = (State.DRIFT, State.MISSING, State.INCOMPARABLE)


@dataclass(frozen=True)
class LabelView:
    """A label, and the golden's label if it is another one."""

    name: str
    text: str
    expected: str | None


@dataclass(frozen=True)
class TableView:
    """Rows under a heading.

    Attributes:
        name: heading.
        columns: their headings.
        rows: the cells.
        bars: of values that are shares of one, the length of the bar of each row, in percent.
        about: what the table shows, in one sentence; may be empty.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[float, ...] = ()
    about: str = ""


@dataclass(frozen=True)
class CaseLine:
    """What the lists and filters of the page need of one case, without images."""

    anchor: str
    key: str
    task: str
    input: str
    model: str
    state: str
    severity: str | None
    failed: bool
    fine: bool
    quarantine: str | None
    sentence: str
    audit: str | None
    causes: tuple[str, ...]
    distance: float


@dataclass(frozen=True)
class CaseView(CaseLine):
    """Everything the page says about one case."""

    short: str
    labels: tuple[LabelView, ...]
    panels: tuple[ImageView, ...]
    rankings: tuple[TableView, ...]
    comparisons: tuple[ComparisonView, ...]
    more_comparisons: tuple[ComparisonView, ...]
    findings: TableView | None
    more_findings: TableView | None
    origin: str
    step: str
    stages: tuple[Box, ...]
    changes: tuple[str, ...]
    expected: str
    accept: str | None
    explain: str | None
    details: tuple[TableView, ...]
    curves: tuple[ImageView, ...]
    layers: tuple[LayerView, ...]
    concepts: tuple[str, ...]
    kinds: tuple[str, ...]


def case_line(case: ReportCase) -> CaseLine:
    """Prepare one case for lists and filters."""
    verdict = case.verdict
    return CaseLine(
        anchor=case.anchor,
        key=case.key,
        task=verdict.case.task,
        input=verdict.case.input,
        model=verdict.case.model,
        state=state_word(verdict.state),
        severity=verdict.severity.label if verdict.severity else None,
        failed=verdict.failed,
        fine=is_fine(verdict),
        quarantine=quarantine_words(verdict),
        sentence=verdict.sentence,
        audit=case.audit,
        causes=tuple(map(str, cause_kinds(verdict))),
        distance=verdict.excess,
    )


def case_view(case: ReportCase, accept: str, explain: str, images: CaseImages) -> CaseView:
    """Prepare one case.

    Args:
        case: the case.
        accept: the command that accepts it.
        explain: the command that finds the cause of its drift.
        images: makes the addresses of its images.
    """
    verdict, layers, drifted = case.verdict, layer_views(case), list(case.changed_fields)
    compared = tuple(images.comparison(case, comparison(case, name)) for name in drifted)
    maps = maps_by_title(case)
    return CaseView(
        **vars(case_line(case)),
        short=verdict.short,
        labels=_labels(case),
        panels=tuple(images.panel(each, maps.get(each.title)) for each in panels(case, without=drifted)),
        rankings=tuple(_ranking(name, each) for name, each in case.fields(Ranking).items()),
        comparisons=compared[:_COMPARED],
        more_comparisons=compared[_COMPARED:],
        findings=_findings("findings", verdict.findings[:_FINDINGS]),
        more_findings=_findings(f"{len(verdict.findings) - _FINDINGS} more", verdict.findings[_FINDINGS:]),
        origin=_origin(case),
        step=responsible_step(verdict.origin) if verdict.origin else "",
        stages=() if is_fine(verdict) else stage_chain(case),
        changes=tuple(map(str, verdict.changes)),
        expected=verdict.upgrade.sentence if verdict.upgrade and verdict.findings else "",
        accept=accept if verdict.state in ACCEPTABLE or verdict.unwatched or verdict.upgrade else None,
        explain=explain if verdict.state is State.DRIFT and verdict.case.repeatable else None,
        details=_details(case),
        curves=tuple(images.panel(each, flat=True) for each in curve_panels(case)),
        layers=layers,
        concepts=concepts_of(layers),
        kinds=kinds_of_maps(case),
    )


def quarantine_words(verdict: Verdict) -> str | None:
    """Return whether a case is in quarantine, or was for too long; None if neither."""
    if verdict.quarantine is None:
        return None
    return "quarantine expired" if verdict.overdue else "in quarantine"


def _labels(case: ReportCase) -> tuple[LabelView, ...]:
    expected = case.expected_labels()
    return tuple(_label(name, label, expected) for name, label in case.labels.items() if name != AUDIT)


def _label(name: str, label: Label, expected: Mapping[str, Label]) -> LabelView:
    was = expected.get(name, label)
    return LabelView(words(name), plain(str(label)), None if was == label else str(was))


def _ranking(name: str, ranking: Ranking) -> TableView:
    shares = all(0.0 <= value <= 1.0 for value in ranking.values)
    rows = tuple(zip(ranking.names, number_texts(ranking.values), strict=True))
    bars = tuple(round(100 * value, 1) for value in ranking.values) if shares else ()
    return TableView(words(name), ("name", "value"), rows, bars)


def _findings(name: str, findings: tuple[Finding, ...]) -> TableView | None:
    if not findings:
        return None
    values, limits = (number_texts([getattr(each, name) for each in findings]) for name in ("value", "limit"))
    rows = tuple(map(_finding, findings, values, limits))
    columns = ("severity", "field", "measure", "value", "allowed", "limit")
    if any(row[-1] for row in rows):
        return TableView(name, (*columns, "in words"), rows)
    return TableView(name, columns, tuple(row[:-1] for row in rows))


def _finding(finding: Finding, value: str, limit: str) -> tuple[str, ...]:
    """Return the row of a finding; its sentence is left out if the numbers say the same."""
    numbers = finding.value is not None and " became " not in finding.sentence
    return (
        finding.severity.label,
        title(finding.field),
        measure_words(finding),
        value,
        needs(finding),
        limit,
        "" if numbers else plain(finding.sentence),
    )


def _origin(case: ReportCase) -> str:
    origin = case.verdict.origin
    if origin is None:
        return "no stage is recorded" if case.verdict.findings else ""
    return origin.place


def _details(case: ReportCase) -> tuple[TableView, ...]:
    """Return tables with all fields that are not shown beside the images."""
    tables = [_table(name, table) for name, table in case.fields(Table).items() if not _is_under_the_maps(case, table)]
    rows = [(title(name), _in_short(each)) for name, each in _fields(case).items() if name not in case.maps]
    other = [(name, text) for name, text in rows if text]
    return (*tables, *([TableView("other fields", ("field", "value"), tuple(other))] if other else []))


def _is_under_the_maps(case: ReportCase, table: Table) -> bool:
    return set(table.frame.iloc[:, 0]) <= case.maps.keys()


def _table(name: str, table: Table) -> TableView:
    columns = tuple(map(str, table.frame.columns))
    rows = tuple(
        tuple(_cell(column, value) for column, value in zip(columns, row, strict=True))
        for row in text_rows(table.frame)
    )
    return TableView(words(name), tuple(map(words, columns)), rows, about=about_table(name, columns))


def _cell(column: str, value: object) -> str:
    return named(cell_text(value)) if column in _NAMES else cell_text(value)


def _fields(case: ReportCase) -> Mapping[str, Field]:
    return case.obtained.fields if case.obtained else {}


def _in_short(field: Field) -> str:
    if isinstance(field, Score):
        return f"{cell_text(field.value)} (may differ by {field.tolerance:g})"
    if isinstance(field, Document):
        return shorten(json.dumps(field.content, ensure_ascii=False), _DOCUMENT_LETTERS, placeholder=" ...")
    if isinstance(field, Heatmap | SignedMap):
        height, width = field.array.shape
        return f"map of {height} × {width}" + (f": {field.degenerate}" if field.degenerate else "")
    return ""
