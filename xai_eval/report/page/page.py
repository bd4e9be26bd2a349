"""The pages, mostly one: HTML files that load nothing but images of their own beside them, written case by case."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jinja2

from xai_eval.gate.renamed import renamed_sentence
from xai_eval.gate.requests import request_of
from xai_eval.gate.run_findings import RunFindings
from xai_eval.gate.verdict import Verdict
from xai_eval.media import html
from xai_eval.media.progress import SILENT, progress
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.comparisons import SCALE
from xai_eval.report.drawing.pixels import diverging_legend, heat_legend, signed_legend
from xai_eval.report.further_pages import CASES_FILE, MARK
from xai_eval.report.images_beside import FOLDER
from xai_eval.report.page.aside import asides
from xai_eval.report.page.case_index import case_index
from xai_eval.report.page.case_view import CaseView, case_line, case_view
from xai_eval.report.page.colour_bars import gradient
from xai_eval.report.page.compared_runs import ComparedRuns
from xai_eval.report.page.decisions import decisions
from xai_eval.report.page.history_view import Histories, time_words
from xai_eval.report.page.images import CaseImages
from xai_eval.report.page.marks import explained, titled, with_terms
from xai_eval.report.page.number_columns import number_columns
from xai_eval.report.page.release_view import release_view
from xai_eval.report.page.served import Served
from xai_eval.report.page.sheets import Sheet, further_link, sheets_of, tasks_on
from xai_eval.report.page.shown_cases import about_task, by_task, images_beside, tasks_in_order, worst_cases_first
from xai_eval.report.page.survey import Survey, survey
from xai_eval.report.page.table_of_contents import contents, lists_of, only_new
from xai_eval.report.page.terms import meaning, term_groups
from xai_eval.report.page.without_images import CasesWithoutImages, cases_without_images
from xai_eval.report.text.commands import (
    MOST_NAMES,
    PAGE_FILE,
    Folders,
    accept_cases_command,
    accept_command,
    explain_command,
)
from xai_eval.report.text.head import head
from xai_eval.report.text.summary import (
    count_states,
    counts_sentence,
    is_fine,
    is_new,
    not_judged_sentences,
    state_word,
    unwatched_advice,
)
from xai_eval.report.text.wording import commit_words, count
from xai_eval.result.naming import plain
from xai_eval.store.runs import RunRecord

_TEMPLATE, _FURTHER = "page.html.j2", "further.html.j2"
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
        more: how many cases of the task are on further pages.
    """

    name: str
    about: str
    cases: Iterator[CaseView]
    counts: str
    without_images: CasesWithoutImages | None
    more: int = 0


@dataclass(frozen=True)
class _Making:
    """How the cases are made: their commands, the folder of the run, and what becomes of images beside the page."""

    commands: Commands
    results: Path
    beside: Collection[str]
    keep: Keep

    def views(self, cases: Sequence[ReportCase]) -> Iterator[CaseView]:
        with progress(len(cases), "drawing", "case", after=SILENT) as advance:
            for case in cases:
                images = CaseImages(beside=case.key in self.beside)
                yield case_view(case.unloaded(), *self.commands(case), images)
                self.keep(images.files)
                advance(1)


def report_pages(
    record: RunRecord,
    cases: Sequence[ReportCase],
    results: Path,
    golden: Path,
    run_findings: RunFindings,
    keep: Keep | None = None,
    served: Served | None = None,
    compared: ComparedRuns | None = None,
) -> dict[str, Iterator[str]]:
    """Return the pages of a report, each part by part, by the names of their files; the first page is the last of them.

    Most reports have one page. `cases` may come in any order, the worst is shown first. Names of classes and files come
    from users and are escaped; the content security policy of a page forbids loading anything but images beside it, if
    there are any, and the list of what is on which page, if there are several.

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
    sheets = sheets_of(by_task(cases))
    beside = _beside(sheets) if keep else set[str]()
    making = _Making(lambda case: _commands(case, record, results, golden), results, beside, keep or (lambda _: None))
    histories = Histories(cases, None if compared else golden, results)
    ordered = worst_cases_first(cases)
    # The arrays of all of many cases are not read for the sake of a legend.
    found = survey(ordered, sheets[0].drawn if len(sheets) > 1 else None)
    whole = _Whole(
        record,
        ordered,
        found,
        Folders(results, golden, part=record.left_out_inputs),
        sheets,
        histories,
        making,
        served,
    )
    pages = {sheet.name: whole.further_page(sheet) for sheet in sheets[1:]}
    listed = {CASES_FILE: case_index(sheets)} if pages else {}
    return {**pages, **listed, PAGE_FILE: whole.first_page(run_findings, compared)}


def _beside(sheets: Sequence[Sheet]) -> set[str]:
    """Return the keys of cases whose images are files beside the page: of many pages, all of them."""
    drawn = [case for sheet in sheets for case in sheet.cases if case.key in sheet.drawn]
    return images_beside(drawn) if len(sheets) == 1 else {case.key for case in drawn}


@dataclass(frozen=True)
class _Whole:
    """All that the pages of a report are made of; the cases are sorted, the worst first."""

    record: RunRecord
    ordered: Sequence[ReportCase]
    found: Survey
    where: Folders
    sheets: Sequence[Sheet]
    histories: Histories
    making: _Making
    served: Served | None

    @cached_property
    def shared(self) -> Mapping[str, Any]:
        """What all pages show."""
        verdicts = [case.verdict for case in self.ordered]
        return {
            "histories": self.histories,
            "names": tasks_in_order(self.record.tasks),
            "counts": counts_sentence(verdicts),
            "states": {state_word(state): number for state, number in count_states(verdicts).items()},
            "number": len(verdicts),
            "filters": self.found.filters,
            "further": [further_link(sheet) for sheet in self.sheets[1:]],
            "cases_file": CASES_FILE,
            "heat_legend": gradient(heat_legend()),
            "diverging_legend": gradient(diverging_legend()),
            "signed_legend": gradient(signed_legend()),
        }

    def further_page(self, sheet: Sheet) -> Iterator[str]:
        """Render a page of cases alone."""
        after = self.sheets[sheet.number : sheet.number + 1]
        return _rendered(
            _FURTHER,
            self.shared,
            served=self._served(sheet),
            mark=MARK,
            sheet=sheet,
            first=PAGE_FILE,
            pages=len(self.sheets),
            previous=self.sheets[sheet.number - 2].name,
            following=after[0].name if after else "",
            own_counts=counts_sentence([case.verdict for case in sheet.cases]),
            tasks=_tasks(sheet, self.making, one_page=False),
        )

    def first_page(self, run_findings: RunFindings, compared: ComparedRuns | None) -> Iterator[str]:
        """Render the page that says what became of the run."""
        sheet, record, numbers = self.sheets[0], self.record, self.found.numbers
        here = {case.key for case in sheet.cases}
        lines = (case_line(case.unloaded()) for case in self.ordered if case.key in here)
        verdicts, problem, lists = (
            [c.verdict for c in self.ordered],
            _problem(record, self.ordered),
            lists_of(lines, numbers),
        )
        new, told = [verdict.case.key for verdict in verdicts if is_new(verdict)], head(verdicts, run_findings)
        too_many = len(new) > MOST_NAMES
        return _rendered(
            _TEMPLATE,
            self.shared,
            record=record,
            served=self._served(sheet),
            compared=compared,
            made=_made(record, self.histories),
            problem=problem,
            run_findings=run_findings,
            release=release_view(run_findings, failed=numbers["failed"] > 0),
            renamed=renamed_sentence(run_findings.renamed),
            not_judged=not_judged_sentences(run_findings),
            unwatched=unwatched_advice(verdicts, self.where),
            outcome=_outcome(numbers, problem, run_findings, undecided=told.undecided),
            lists=lists,
            decisions=decisions(self.ordered, self.where, record.requests, here),
            head=told,
            contents=contents(numbers, tasks_on(self.sheets)),
            accept_new=accept_cases_command(
                new, self.where, "first goldens", everything=only_new(verdicts) or too_many
            ),
            first_settle=too_many and not only_new(verdicts),
            aside=asides([case for case in self.ordered if case.key in here], self.where),
            terms=term_groups(),
            tasks=_tasks(sheet, self.making, self._by_task),
            sheet=sheet,
            undrawn=sum(case.key not in sheet.drawn and not is_fine(case.verdict) for case in self.ordered),
            beside=len(self.making.beside),
            images_folder=FOLDER,
            many=len(sheet.cases) > _MANY,
            differences=self.found.differences,
            share_of_range=f"{SCALE:.0%}",
            kinds=self.found.kinds,
        )

    @cached_property
    def _by_task(self) -> Mapping[str, Sequence[Verdict]]:
        found: dict[str, list[Verdict]] = defaultdict(list)
        for case in self.ordered:
            found[case.verdict.case.task].append(case.verdict)
        return found

    def _served(self, sheet: Sheet) -> Served | None:
        # Nobody decides about a case whose images the page leaves out, unless it is ok.
        seen = {case.key for case in sheet.cases if case.key in sheet.drawn or is_fine(case.verdict)}
        return None if self.served is None else self.served.about(seen)


def _rendered(template: str, shared: Mapping[str, Any], **own: Any) -> Iterator[str]:
    return _environment().get_template(template).generate(**shared, **own)


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


def _outcome(numbers: Mapping[str, int], problem: str, run_findings: RunFindings, *, undecided: bool) -> str:
    """The colour of the first line: a first run, which has only new cases, is shown as neither good nor bad.

    So is an upgrade that is not known to be worse, about which somebody has to decide.
    """
    if undecided and not problem:
        return "open"
    if problem or run_findings.failed or numbers["failed"] or not (numbers["new"] or numbers["fine"]):
        return "bad"
    return "new" if numbers["new"] else "good"


def _made(record: RunRecord, histories: Histories) -> str:
    """Say when the run was made, of which commit, and when its goldens were accepted."""
    commit = commit_words(record.commit, uncommitted=record.uncommitted)
    run = f"Run of {time_words(record.when)}{f' at commit {commit}' if commit else ''}" if record.when else ""
    goldens = f"goldens accepted {histories.accepted}" if histories.accepted else ""
    return "; ".join(filter(None, [run, goldens]))


def _tasks(
    sheet: Sheet, making: _Making, all_of: Mapping[str, Sequence[Verdict]] | None = None, *, one_page: bool = True
) -> Iterator[TaskView]:
    """Yield the tasks of a page. `all_of` are the verdicts of each task on all pages, if those are to be counted."""
    for name, group in itertools.groupby(sheet.cases, key=lambda case: case.verdict.case.task):
        own = list(group)
        verdicts = all_of[name] if all_of else [case.verdict for case in own]
        views = making.views([case for case in own if case.key in sheet.drawn])
        others = [case for case in own if case.key not in sheet.drawn]
        lines = cases_without_images(others, making.results, one_page=one_page)
        yield TaskView(name, about_task(name), views, counts_sentence(verdicts), lines, len(verdicts) - len(own))


def _problem(record: RunRecord, cases: Sequence[ReportCase]) -> str:
    """Say why the run is incomplete, so that a part of a run never looks like the whole."""
    measured = sum(case.obtained is not None for case in cases)
    of_planned = f"{measured} of {count(record.planned, 'planned case')} measured"
    if not record.finished:
        return f"The run did not finish: {of_planned}."
    return f"The run is incomplete: {of_planned}." if measured < record.planned or record.failures else ""
