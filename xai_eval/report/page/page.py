"""The page: one HTML file that loads nothing but images of its own beside it, written case by case."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from xai_eval.gate.renamed import renamed_sentence
from xai_eval.gate.requests import request_of
from xai_eval.gate.run_findings import RunFindings
from xai_eval.media import html
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.comparisons import SCALE
from xai_eval.report.drawing.pixels import diverging_legend, heat_legend, signed_legend
from xai_eval.report.images_beside import FOLDER
from xai_eval.report.page.aside import asides
from xai_eval.report.page.case_view import CaseView, case_line, case_view
from xai_eval.report.page.colour_bars import gradient, kinds_of_maps
from xai_eval.report.page.compared_runs import ComparedRuns
from xai_eval.report.page.decisions import decisions
from xai_eval.report.page.filters import filters
from xai_eval.report.page.history_view import Histories, time_words
from xai_eval.report.page.images import CaseImages
from xai_eval.report.page.marks import explained, titled, with_terms
from xai_eval.report.page.number_columns import number_columns
from xai_eval.report.page.release_view import release_view
from xai_eval.report.page.served import Served
from xai_eval.report.page.shown_cases import (
    about_task,
    by_task,
    images_beside,
    tasks_in_order,
    with_images,
    worst_cases_first,
)
from xai_eval.report.page.table_of_contents import Lists, contents, lists_of
from xai_eval.report.page.terms import meaning, term_groups
from xai_eval.report.page.without_images import CasesWithoutImages, cases_without_images
from xai_eval.report.text.commands import Folders, accept_cases_command, accept_command, explain_command
from xai_eval.report.text.head import head
from xai_eval.report.text.summary import (
    count_states,
    counts_sentence,
    not_judged_sentences,
    state_word,
    unwatched_advice,
)
from xai_eval.report.text.wording import commit_words, count
from xai_eval.result.naming import plain
from xai_eval.store.runs import RunRecord

_TEMPLATE = "page.html.j2"
# For a case: the command that accepts it, and the command that finds the cause of its drift.
Commands = Callable[[ReportCase], tuple[str, str]]
# Keeps images in the folder `images.FOLDER` beside the page, by name.
Keep = Callable[[Mapping[str, bytes]], None]
# Cases from which on a browser lays out only those that are near the screen.
_MANY = 60


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


@dataclass(frozen=True)
class _Making:
    """How the cases are made: their commands, the folder of the run, and what becomes of images beside the page."""

    commands: Commands
    results: Path
    beside: Collection[str]
    keep: Keep

    def views(self, cases: Sequence[ReportCase]) -> Iterator[CaseView]:
        for case in cases:
            images = CaseImages(beside=case.key in self.beside)
            yield case_view(case.unloaded(), *self.commands(case), images)
            self.keep(images.files)


def render_page(
    record: RunRecord,
    cases: Sequence[ReportCase],
    results: Path,
    golden: Path,
    run_findings: RunFindings,
    keep: Keep | None = None,
    served: Served | None = None,
    compared: ComparedRuns | None = None,
) -> Iterator[str]:
    """Render the page, part by part; `cases` may come in any order, the worst is shown first.

    Names of classes and files come from users and are escaped; the page's content security policy forbids loading
    anything, but images beside the page if there are any.

    Args:
        record: of the run.
        cases: all cases.
        results: the folder of the run, for commands on the page.
        golden: the folder of the goldens, for commands on the page.
        run_findings: what was found in the run as a whole.
        keep: keeps the images of cases for which the file has no room. If it is None, all are within the file.
        served: what a server adds to its copy.
        compared: what differs between two runs, if the goldens are the results of another run.
    """
    ordered = worst_cases_first(cases)
    views = [case_line(case) for case in ordered]
    verdicts = [case.verdict for case in ordered]
    lists, where = lists_of(views), Folders(results, golden)
    tasks, problem, told = by_task(cases), _problem(record, cases), head(verdicts, run_findings)
    beside = images_beside(with_images(tasks)) if keep else set[str]()
    histories = Histories(cases, None if compared else golden, results)
    making = _Making(lambda case: _commands(case, record, results, golden), results, beside, keep or (lambda _: None))
    return (
        _environment()
        .get_template(_TEMPLATE)
        .generate(
            record=record,
            served=served,
            compared=compared,
            histories=histories,
            made=_made(record, histories),
            names=tasks_in_order(record.tasks),
            counts=counts_sentence(verdicts),
            states={state_word(state): number for state, number in count_states(verdicts).items()},
            problem=problem,
            run_findings=run_findings,
            release=release_view(run_findings, failed=bool(lists.failed)),
            renamed=renamed_sentence(run_findings.renamed),
            not_judged=not_judged_sentences(run_findings),
            unwatched=unwatched_advice(verdicts, where),
            outcome=_outcome(lists, problem, run_findings, undecided=told.undecided),
            lists=lists,
            decisions=decisions(ordered, where, record.requests),
            head=told,
            contents=contents(lists, list(Counter(case.verdict.case.task for case in tasks).items())),
            accept_new=accept_cases_command(
                [view.key for view in lists.new], where, "first goldens", everything=lists.only_new
            ),
            aside=asides(ordered, where),
            number=len(views),
            filters=filters(views),
            terms=term_groups(),
            tasks=_tasks(tasks, making),
            beside=len(beside),
            images_folder=FOLDER,
            many=len(cases) > _MANY,
            differences=any(case.unloaded().changed_fields for case in ordered),
            share_of_range=f"{SCALE:.0%}",
            heat_legend=gradient(heat_legend()),
            diverging_legend=gradient(diverging_legend()),
            signed_legend=gradient(signed_legend()),
            kinds={kind for case in cases for kind in kinds_of_maps(case.unloaded())},
        )
    )


def _commands(case: ReportCase, record: RunRecord, results: Path, golden: Path) -> tuple[str, str]:
    """Return the command that accepts a case and the command that finds the cause of its drift."""
    request = request_of(record.requests, case.verdict.case)
    return accept_command(case.key, results, golden), explain_command(case.verdict.case, results, golden, request)


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
    environment.filters["explained"] = explained
    environment.filters["meaning"] = meaning
    environment.filters["plain"] = plain
    environment.filters["titled"] = titled
    environment.filters["with_terms"] = with_terms
    environment.filters["number_columns"] = number_columns
    return environment


def _outcome(lists: Lists, problem: str, run_findings: RunFindings, *, undecided: bool) -> str:
    """The colour of the first line: a first run, which has only new cases, is shown as neither good nor bad.

    So is an upgrade that is not known to be worse, about which somebody has to decide.
    """
    if undecided and not problem:
        return "open"
    if problem or run_findings.failed or lists.failed or not (lists.new or lists.fine):
        return "bad"
    return "new" if lists.new else "good"


def _made(record: RunRecord, histories: Histories) -> str:
    """Say when the run was made, of which commit, and when its goldens were accepted."""
    commit = commit_words(record.commit, uncommitted=record.uncommitted)
    run = f"Run of {time_words(record.when)}{f' at commit {commit}' if commit else ''}" if record.when else ""
    goldens = f"goldens accepted {histories.accepted}" if histories.accepted else ""
    return "; ".join(filter(None, [run, goldens]))


def _tasks(ordered: Sequence[ReportCase], making: _Making) -> Iterator[TaskView]:
    shown = {case.key for case in with_images(ordered)}
    for name, group in itertools.groupby(ordered, key=lambda case: case.verdict.case.task):
        own = list(group)
        views = making.views([case for case in own if case.key in shown])
        others = cases_without_images([case for case in own if case.key not in shown], making.results)
        yield TaskView(name, about_task(name), views, counts_sentence([case.verdict for case in own]), others)


def _problem(record: RunRecord, cases: Sequence[ReportCase]) -> str:
    """Say why the run is incomplete, so that a part of a run never looks like the whole."""
    measured = sum(case.obtained is not None for case in cases)
    of_planned = f"{measured} of {count(record.planned, 'planned case')} measured"
    if not record.finished:
        return f"The run did not finish: {of_planned}."
    return f"The run is incomplete: {of_planned}." if measured < record.planned or record.failures else ""
