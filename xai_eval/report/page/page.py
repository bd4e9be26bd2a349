"""The page: one HTML file that contains everything and loads nothing, written case by case."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from xai_eval.gate.renamed import renamed_sentence
from xai_eval.gate.requests import request_of
from xai_eval.gate.run_findings import RunFindings
from xai_eval.media import html
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.pixels import Pixels, diverging_legend, heat_legend, jpeg_uri, png_uri, signed_legend
from xai_eval.report.page.case_view import CaseView, case_line, case_view
from xai_eval.report.page.compared_runs import ComparedRuns
from xai_eval.report.page.decisions import decisions
from xai_eval.report.page.filters import filters
from xai_eval.report.page.head import head
from xai_eval.report.page.history_view import Histories
from xai_eval.report.page.marks import explained, titled, with_terms
from xai_eval.report.page.number_columns import number_columns
from xai_eval.report.page.release_view import release_view
from xai_eval.report.page.served import Served
from xai_eval.report.page.shown_cases import about_task, by_task, tasks_in_order, with_images, worst_cases_first
from xai_eval.report.page.table_of_contents import Lists, contents, lists_of
from xai_eval.report.page.without_images import CasesWithoutImages, cases_without_images
from xai_eval.report.text.commands import Folders, accept_cases_command, accept_command, explain_command
from xai_eval.report.text.summary import (
    count_severities,
    count_states,
    counts_sentence,
    not_judged_sentences,
    state_word,
    unwatched_advice,
)
from xai_eval.report.text.wording import count
from xai_eval.result.glossary import all_terms
from xai_eval.result.naming import plain
from xai_eval.store.runs import RunRecord

_TEMPLATE = "page.html.j2"
# For a case: the command that accepts it, and the command that finds the cause of its drift.
Commands = Callable[[ReportCase], tuple[str, str]]


@dataclass(frozen=True)
class TaskView:
    """The section of one task.

    Attributes:
        name: of the task.
        about: one sentence on what it shows; empty if unknown.
        cases: made one by one while the template is rendered, because their images together do not fit into memory.
        counts: in words.
        without_images: the cases that are shown without images; None if there are none.
    """

    name: str
    about: str
    cases: Iterator[CaseView]
    counts: str
    without_images: CasesWithoutImages | None


def render_page(
    record: RunRecord,
    cases: Sequence[ReportCase],
    results: Path,
    golden: Path,
    run_findings: RunFindings,
    served: Served | None = None,
    compared: ComparedRuns | None = None,
) -> Iterator[str]:
    """Render the page, part by part; `cases` may come in any order, the worst is shown first.

    `results` and `golden` are the folders that commands on the page name. `served` is what a server adds to its copy,
    and `compared` what differs between two runs, if the goldens are the results of another run.

    Names of classes and files come from users and are escaped; the page's content security policy forbids loading
    anything.
    """
    ordered = worst_cases_first(cases)
    views = [case_line(case) for case in ordered]
    verdicts = [case.verdict for case in ordered]
    lists, where = lists_of(views), Folders(results, golden)
    tasks, problem = by_task(cases), _problem(record, cases)
    return (
        _environment()
        .get_template(_TEMPLATE)
        .generate(
            record=record,
            served=served,
            compared=compared,
            histories=Histories(cases, None if compared else golden, results),
            names=tasks_in_order(record.tasks),
            counts=counts_sentence(verdicts),
            states={state_word(state): number for state, number in count_states(verdicts).items()},
            severities=count_severities(verdicts),
            problem=problem,
            run_findings=run_findings,
            release=release_view(run_findings),
            renamed=renamed_sentence(run_findings.renamed),
            not_judged=not_judged_sentences(run_findings),
            unwatched=unwatched_advice(verdicts, where),
            outcome=_outcome(lists, problem, run_findings),
            lists=lists,
            decisions=decisions(ordered, where),
            head=head(verdicts),
            contents=contents(lists, list(Counter(case.verdict.case.task for case in tasks).items())),
            accept_new=accept_cases_command(
                [view.key for view in lists.new], where, "first goldens", everything=lists.only_new
            ),
            filters=filters(views),
            terms=all_terms(),
            tasks=_tasks(tasks, lambda case: _commands(case, record, results, golden), results),
            heat_legend=_png(heat_legend()),
            diverging_legend=_png(diverging_legend()),
            signed_legend=_png(signed_legend()),
            kinds_of_maps={each.kind for case in cases for each in case.unloaded().maps.values()},
        )
    )


def _commands(case: ReportCase, record: RunRecord, results: Path, golden: Path) -> tuple[str, str]:
    """Return the command that accepts a case and the command that finds the cause of its drift."""
    request = request_of(record.requests, case.verdict.case)
    return accept_command(case.key, results, golden), explain_command(case.key, results, golden, request)


@cache
def _environment() -> jinja2.Environment:
    """One for the whole process, because it keeps the compiled template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=html.text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["jpeg_uri"] = _jpeg
    environment.filters["png_uri"] = _png
    environment.filters["explained"] = explained
    environment.filters["plain"] = plain
    environment.filters["titled"] = titled
    environment.filters["with_terms"] = with_terms
    environment.filters["number_columns"] = number_columns
    return environment


def _jpeg(pixels: Pixels) -> Markup:
    return Markup(jpeg_uri(pixels))


def _png(pixels: Pixels) -> Markup:
    """Return the address of an image: letters, digits and few signs, however long, so nothing is escaped or cut."""
    return Markup(png_uri(pixels))


def _outcome(lists: Lists, problem: str, run_findings: RunFindings) -> str:
    """The colour of the first line: a first run, which has only new cases, is shown as neither good nor bad."""
    if problem or run_findings.failed or lists.failed or not (lists.new or lists.fine):
        return "bad"
    return "new" if lists.new else "good"


def _tasks(ordered: Sequence[ReportCase], commands: Commands, results: Path) -> Iterator[TaskView]:
    shown = {case.key for case in with_images(ordered)}
    for name, group in itertools.groupby(ordered, key=lambda case: case.verdict.case.task):
        own = list(group)
        views = _views([case for case in own if case.key in shown], commands)
        others = cases_without_images([case for case in own if case.key not in shown], results)
        yield TaskView(name, about_task(name), views, counts_sentence([case.verdict for case in own]), others)


def _views(cases: Sequence[ReportCase], commands: Commands) -> Iterator[CaseView]:
    for case in cases:
        yield case_view(case.unloaded(), *commands(case))


def _problem(record: RunRecord, cases: Sequence[ReportCase]) -> str:
    """Say why the run is incomplete, so that a part of a run never looks like the whole."""
    measured = sum(case.obtained is not None for case in cases)
    of_planned = f"{measured} of {count(record.planned, 'planned case')} measured"
    if not record.finished:
        return f"The run did not finish: {of_planned}."
    return f"The run is incomplete: {of_planned}." if measured < record.planned or record.failures else ""
