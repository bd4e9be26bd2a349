"""The commands that compute nothing: they judge what a run left, show it, and change goldens."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xai_eval.cli.exit_codes import EXIT_OK
from xai_eval.cli.judged_run import goldens_of, judge_and_report, locked_if_there, print_verdicts, try_to_report
from xai_eval.media.terminal import answer, tell

# Everything else is imported by the command that needs it: `--help` must not wait for pandas.
if TYPE_CHECKING:
    from xai_eval.gate.judge_run import Judged


def check(options: argparse.Namespace) -> int:
    """`xai-eval check`: judge a run against its goldens."""
    from xai_eval.cli.against import review_with_images, reviewed
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.text.commands import folders_to_accept
    from xai_eval.report.text.github_actions import report_to_github

    goldens = goldens_of(options)
    review = None if options.against is None else reviewed(options.against, goldens, options.settings)
    suite = {entry.task for entry in options.settings.suite} if options.complete else None
    judge = partial(judge_run, options.results, goldens, options.settings.policy, complete=suite)
    judged, told = judge_and_report(options.results, goldens.folder, judge)
    where = folders_to_accept(judged, options.results, goldens.folder)
    report_to_github(judged.verdicts, told if isinstance(told, Path) else None, where)
    code = print_verdicts(judged, options, told, review=review)
    if review is not None and not options.json:
        answer(review_with_images(review, options.against, options.results))
    return code


def compare_runs(options: argparse.Namespace) -> int:
    """`xai-eval diff`: judge a run against another one."""
    from xai_eval.gate.judge_run import judge_by_run
    from xai_eval.report.page.compared_runs import compared_runs, compared_sentence
    from xai_eval.store.run_folder import RunFolder, require_apart

    if options.report is not None:
        from xai_eval.report.earlier_report import require_free_for_report

        require_apart(options.report, options.settings.golden)
        require_free_for_report(options.report)
    judged = judge_by_run(options.results_b, options.results_a, options.settings.policy)
    tell(compared_sentence(options.results_a, options.results_b))
    told = None
    if options.report is not None:
        reference = RunFolder(options.results_a).record()
        compared = compared_runs(reference, options.results_a, judged.record, options.results_b)
        told = try_to_report(options.report, options.settings.golden, judged, options.results_b, compared)
    return print_verdicts(judged, options, told)


def accept_results(options: argparse.Namespace) -> int:
    """`xai-eval accept`: make results of a run goldens."""
    from xai_eval.gate.accept import accept, matching_goldens
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.text.accepted import accepted_lines
    from xai_eval.report.text.release import release_sentence

    goldens = goldens_of(options)
    judged = judge_run(options.results, goldens, options.settings.policy)
    release = judged.run_findings.release
    accepted = accept(
        judged,
        goldens,
        options.case,
        everything=options.all,
        reason=options.reason,
        bulk=options.bulk,
        upgrade=release_sentence(release) if release and options.all else "",
    )
    matching = matching_goldens(judged, options.case, accepted)
    answer(accepted_lines(accepted, matching, options.golden, judged.record.when))
    return EXIT_OK


def show_history(options: argparse.Namespace) -> int:
    """`xai-eval log`: show how a golden came about."""
    from xai_eval.gate.processes import over
    from xai_eval.report.text.log import history_lines

    key, history = goldens_of(options).history(options.case, over)
    answer([key, *history_lines(history)])
    return EXIT_OK


def review_drifts(options: argparse.Namespace) -> int:
    """`xai-eval review`: decide on each drift in the browser."""
    from xai_eval.cli.review import review

    review(options.results, goldens_of(options), options.settings.policy)
    return EXIT_OK


def prune(options: argparse.Namespace) -> int:
    """`xai-eval prune`: delete the goldens that a run did not use."""
    from xai_eval.gate.accept import unused_goldens
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.text.summary import left_by_prune
    from xai_eval.report.text.wording import count

    goldens = goldens_of(options)

    def judged() -> Judged:
        return judge_run(options.results, goldens, options.settings.policy)

    at_first = judged()
    found = unused_goldens(at_first)
    changing = not options.dry_run and (bool(found) or goldens.has_leftovers())
    with goldens.locked() if changing else nullcontext():
        if changing:
            found = unused_goldens(judged())  # another process may have accepted results meanwhile
        if options.dry_run:
            answer([f"would delete {key}" for key in found])
        for key in found if not options.dry_run else ():
            goldens.remove(key)
            answer([f"deleted {key}"])
    answer([f"{count(len(found), 'unused golden')} in {options.golden}", *left_by_prune(at_first.run_findings)])
    return EXIT_OK


def write_page(options: argparse.Namespace) -> int:
    """`xai-eval report`: write the page of a run again."""
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.write import write_report
    from xai_eval.store.run_folder import RunFolder

    goldens = goldens_of(options)
    with locked_if_there(RunFolder(options.results)):
        judged = judge_run(options.results, goldens, options.settings.policy)
        formats = ("png", *options.figures)
        answer([str(write_report(options.results, judged, goldens.folder, formats=formats))])
    return EXIT_OK
