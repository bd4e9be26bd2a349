"""The page: one HTML file that holds everything and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from xai_eval.commands import accept_command, explain_command
from xai_eval.overall import Overall
from xai_eval.record import RunRecord
from xai_eval.report.cases import ReportCase
from xai_eval.report.filters import filters
from xai_eval.report.pictures import diverging_legend, heat_legend, jpeg_uri, png_uri
from xai_eval.report.summary import count_severities, count_states, counts_sentence, worst_first
from xai_eval.report.views import CaseView, case_view
from xai_eval.report.wording import count

_TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class TaskView:
    """The section of one task."""

    name: str
    cases: tuple[CaseView, ...]
    counts: str


def render_page(record: RunRecord, cases: Sequence[ReportCase], results: Path, golden: Path, overall: Overall) -> str:
    """Render the page; `cases` may come in any order, the worst is shown first.

    `results` and `golden` are the folders that commands on the page name.

    Class and file names are text from outside and are escaped; the page's own policy
    forbids loading anything.
    """
    order = {v.case.key: place for place, v in enumerate(worst_first(case.verdict for case in cases))}
    ordered = sorted(cases, key=lambda case: order[case.key])
    views = [case_view(case, *_commands(case, record, results, golden)) for case in ordered]
    verdicts = [case.verdict for case in ordered]
    return (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            record=record,
            counts=counts_sentence(verdicts),
            states=count_states(verdicts),
            severities=count_severities(verdicts),
            problem=_problem(record, cases),
            overall=overall,
            failed=[view for view in views if view.failed],
            aside=[view for view in views if view.quarantine and not view.failed],
            fine=[view for view in views if view.fine],
            filters=filters(views),
            warned=[view for view in views if view.audit],
            tasks=_tasks(ordered, views),
            heat_legend=png_uri(heat_legend()),
            diverging_legend=png_uri(diverging_legend()),
            has_maps=any(case.maps for case in cases),
        )
    )


def _commands(case: ReportCase, record: RunRecord, results: Path, golden: Path) -> tuple[str, str]:
    """Return the commands that accept a case and that explain its drift."""
    asked = case.verdict.case.task in record.requests
    return accept_command(case.key, results, golden), explain_command(case.key, results, golden, asked=asked)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["jpeg_uri"] = jpeg_uri
    environment.filters["png_uri"] = png_uri
    return environment


def _tasks(cases: Sequence[ReportCase], views: Sequence[CaseView]) -> list[TaskView]:
    tasks = []
    for name in dict.fromkeys(case.verdict.case.task for case in cases):
        own = [(case, view) for case, view in zip(cases, views, strict=True) if case.verdict.case.task == name]
        own.sort(key=lambda pair: not pair[0].whole_set)  # what sums up comes first
        counts = counts_sentence([case.verdict for case, _ in own])
        tasks.append(TaskView(name, tuple(view for _, view in own), counts))
    return tasks


def _problem(record: RunRecord, cases: Sequence[ReportCase]) -> str:
    """Say why the run is incomplete, so that a part of a run never looks like the whole."""
    measured = sum(case.obtained is not None for case in cases)
    of_planned = f"{measured} of {count(record.planned, 'planned case')} measured"
    if not record.finished:
        return f"The run did not finish: {of_planned}."
    return f"The run is incomplete: {of_planned}." if measured < record.planned or record.failures else ""
