"""The command line: parse the arguments, call the code that does the work, print, and return the exit code."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xai_eval.cli.asked import asked, narrowed, tell_bundled, tell_settings
from xai_eval.cli.console import console, prints_apart
from xai_eval.cli.init import init
from xai_eval.cli.misplaced_words import refuse_left_over, refuse_unknown_command
from xai_eval.cli.options import MEASURING, build_parser, named_profile, named_suite
from xai_eval.errors import StorageError, UsageError, XaiEvalError
from xai_eval.media.terminal import answer, answer_json, tell
from xai_eval.report.text.unexpected import unexpected
from xai_eval.settings.bundled_suites import bundled_suite
from xai_eval.settings.read import load_settings
from xai_eval.settings.settings import NO_SETTINGS, Settings

# Everything else is imported by the command that needs it: `--help` must not wait for pandas.
if TYPE_CHECKING:
    from xai_eval.gate.judge_run import Judged
    from xai_eval.gate.review import Review
    from xai_eval.report.page.compared_runs import ComparedRuns
    from xai_eval.result.result import Result
    from xai_eval.store.goldens import Goldens
    from xai_eval.store.run_folder import RunFolder

EXIT_OK, EXIT_DRIFT, EXIT_NOTHING, EXIT_INTERRUPTED = 0, 1, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    with console():
        try:
            code = _run_command(arguments)
            sys.stdout.flush()  # a disk may turn out to be full only now
            return code
        except XaiEvalError as error:
            return _failed(error)
        except KeyboardInterrupt:  # before the command began, or while it cleaned up
            tell("xai-eval: interrupted")
            return EXIT_INTERRUPTED


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    refuse_unknown_command(words, parser, _COMMANDS)
    options, left_over = parser.parse_known_args(words)
    refuse_left_over(left_over, options.command, options.parsers)
    return options


def _run_command(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with prints_apart():  # it runs the files of --tasks
            parser = build_parser(words, _settings(words))
    except XaiEvalError as error:
        return _failed(error)
    except Exception as error:
        return _unexpected(error)
    if not words:
        answer(parser.format_help().splitlines())
        return EXIT_OK
    try:
        options = _parsed(parser, words)
    except UsageError as error:
        return _failed(error)
    try:
        if options.command in _JUDGING:
            _know_kinds(options)
        if options.command in MEASURING:
            import xai_eval.report.drawing  # noqa: F401 (before another library imports matplotlib)
        _tell_links(options)
        with _at_root(options), _shown_to_people(options):
            return _COMMANDS[options.command](options)
    except XaiEvalError as error:
        return _failed(error)
    except KeyboardInterrupt as stop:
        tell(f"xai-eval: interrupted{str(stop) or _how_to_go_on(options)}")
        return EXIT_INTERRUPTED
    except BaseException as error:
        return _unexpected(error)


def _unexpected(error: BaseException) -> int:
    """Say what happened, and return an exit code that is neither that of a drift (1) nor of a success (0)."""
    tell(f"xai-eval: error: {unexpected(error)}")
    return EXIT_NOTHING


def _tell_links(options: argparse.Namespace) -> None:
    """Say once that a folder is a link: it is used where it leads, unlike links within it."""
    for name in ("golden", "results", "out", "report"):
        folder = getattr(options, name, None)
        with suppress(OSError):  # whoever uses the folder says why it cannot be looked at
            if isinstance(folder, Path) and folder.is_symlink():
                tell(f"xai-eval: {folder} is a link to {folder.resolve()}.")


def _settings(words: Sequence[str]) -> Settings:
    """Return the configuration of the repository, for the commands that use it."""
    if not words or words[0] not in _CONFIGURED:
        return NO_SETTINGS
    own = load_settings(profile=named_profile(words))
    named = named_suite(words) if words[0] in MEASURING[:2] else None
    return own if named is None else bundled_suite(named, own)


def _at_root(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Call factories in the folder of the configuration file, if the command loads models."""
    if options.command not in MEASURING:
        return nullcontext()
    from xai_eval.inputs.models.called_in import factories_called_in

    return factories_called_in(options.settings.root)


def _shown_to_people(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Show on a terminal how far the judging of many cases is; commands that measure show their own progress."""
    if options.command in MEASURING or sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from xai_eval.media.progress import shown

    return shown()


def _how_to_go_on(options: argparse.Namespace) -> str:
    if options.command != "run":
        return ""
    return f". What was finished is in {options.out}: the same command with --resume computes the rest."


def _know_kinds(options: argparse.Namespace) -> None:
    """Load the kinds of fields of --tasks files now, and all others when an unknown kind is met.

    The others are those of the configuration file and of installed packages. Their code may import torch.
    """
    from xai_eval.result.fields import KINDS
    from xai_eval.tasks import load_task_file, unloadable_entry_points

    def load_more() -> Sequence[str]:
        with prints_apart():
            for file in options.settings.task_files:
                load_task_file(file)
        return unloadable_entry_points()

    KINDS.load_more = load_more
    with prints_apart():
        for file in options.task_files:
            load_task_file(file)


def _failed(error: XaiEvalError) -> int:
    tell(f"xai-eval: error: {error}")
    return error.exit_code


def _run(options: argparse.Namespace) -> int:
    _let_threads_sleep()
    from xai_eval.cli.dry_run import dry_run
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.media.progress import shown
    from xai_eval.report.earlier_report import remove_earlier_report
    from xai_eval.run.kept import NOTHING_KEPT
    from xai_eval.run.resume import kept_results
    from xai_eval.run.run_plans import run
    from xai_eval.run.suite import plan_all
    from xai_eval.store.run_folder import RunFolder, require_apart

    goldens = _goldens(options)
    require_apart(options.out, goldens.folder)
    goldens.quarantine()  # a wrong entry is reported before anything is computed
    with nullcontext() if options.quiet else shown():
        with prints_apart():
            requests = asked(options)
            _tell(options)
        if options.dry_run:
            return dry_run(requests)
        with prints_apart():
            plans = plan_all(requests)
            tell_bundled(options, requests)
        if narrowed(options):
            plans = [dataclasses.replace(each, complete=False) for each in plans]
        folder = RunFolder(options.out)
        with folder.claimed():
            with prints_apart():
                kept = kept_results(plans, folder) if options.resume else NOTHING_KEPT
                if options.resume:
                    tell(f"xai-eval: {kept.sentence}")
                remove_earlier_report(folder.path)
                cost = None if options.quiet or options.json else _tell_cost
                run(plans, folder, _progress if not options.quiet else _silent, kept, cost)
            judged = judge_run(folder.path, goldens, options.settings.policy)
            told = _try_to_report(folder.path, goldens.folder, judged)
            return _print_verdicts(judged, options, told, failing=("drift", "incomparable", "error"))


def _tell(options: argparse.Namespace) -> None:
    _tell_unloadable()
    if not options.quiet:
        tell_settings(options)


def _explain_drift(options: argparse.Namespace) -> int:
    _let_threads_sleep()
    from xai_eval.cli.explain import explain_drift

    with prints_apart():
        lines = explain_drift(options, _goldens(options))
    answer(lines)
    return EXIT_OK


def _let_threads_sleep() -> None:
    """Set an environment variable that torch reads when it is imported, so that waiting threads sleep.

    Threads that spin while they wait make small networks ten times slower as soon as another process wants the same
    cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _calibrate(options: argparse.Namespace) -> int:
    from xai_eval.media.progress import shown

    _let_threads_sleep()
    from xai_eval.gate.accept import refuse_calibration_under_ci, store_noise
    from xai_eval.report.text.calibration import calibration_lines
    from xai_eval.run.calibrate import calibrate_task
    from xai_eval.run.suite import plan_all

    refuse_calibration_under_ci()  # before hours of computing
    goldens = _goldens(options)
    requests = asked(options)
    _tell(options)
    measured = []
    with nullcontext() if options.quiet else shown():
        plan_all(requests)  # everything is checked before hours of computing
        tell_bundled(options, requests)
        for each in requests:
            announce = _silently if options.quiet else partial(_announce, each.task)
            with prints_apart():
                measured += calibrate_task(
                    each.task,
                    each.model,
                    each.images,
                    each.device,
                    each.params,
                    announce,
                    each.tolerances,
                    each.precision,
                )
    outcome = store_noise([(each.plain, each.noise) for each in measured], goldens)
    answer(calibration_lines(outcome, {each.plain.case.key: each.noise for each in measured}))
    if not outcome.stored:
        return EXIT_NOTHING
    failed = outcome.drifted or outcome.other_precision or outcome.run_findings.misfits
    return EXIT_DRIFT if failed else EXIT_OK


def _check(options: argparse.Namespace) -> int:
    from xai_eval.cli.against import review_with_images, reviewed
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.text.commands import folders_to_accept
    from xai_eval.report.text.github_actions import report_to_github

    goldens = _goldens(options)
    review = None if options.against is None else reviewed(options.against, goldens, options.settings)
    suite = {entry.task for entry in options.settings.suite} if options.complete else None
    judge = partial(judge_run, options.results, goldens, options.settings.policy, complete=suite)
    judged, told = _judge_and_report(options.results, goldens.folder, judge)
    where = folders_to_accept(judged, options.results, goldens.folder)
    report_to_github(judged.verdicts, told if isinstance(told, Path) else None, where)
    code = _print_verdicts(judged, options, told, review=review)
    if review is not None and not options.json:
        answer(review_with_images(review, options.against, options.results))
    return code


def _judge_and_report(
    folder: Path, golden: Path, judge: Callable[[], Judged]
) -> tuple[Judged, Path | XaiEvalError | None]:
    """Judge a run and write its page while no other process writes there. If one does, the run is only judged."""
    from xai_eval.store.run_folder import RunFolder

    with ExitStack() as held:
        try:
            held.enter_context(_locked_if_there(RunFolder(folder)))
        except (StorageError, UsageError) as error:
            return judge(), error
        judged = judge()
        return judged, _try_to_report(folder, golden, judged)


def _locked_if_there(run: RunFolder) -> AbstractContextManager[None]:
    """Lock the folder of a run. Where there is none, nothing is locked, because a lock would make the folder."""
    with suppress(OSError):  # whoever reads it says why it cannot be looked at
        if run.path.is_dir():
            return run.locked()
    return nullcontext()


def _goldens(options: argparse.Namespace) -> Goldens:
    from xai_eval.store.goldens import Goldens

    goldens = Goldens(options.golden, quarantine_days=options.settings.quarantine_days)
    goldens.require_folder()
    return goldens


def _try_to_report(
    folder: Path, golden: Path, judged: Judged, results: Path | None = None, compared: ComparedRuns | None = None
) -> Path | XaiEvalError:
    """Write the page, or return why it cannot be written: the verdicts may have cost hours and are printed anyway.

    `golden` and `results` are the folders that commands on the page name; `compared` tells of two runs.
    """
    from xai_eval.report.write import write_report
    from xai_eval.store.run_folder import RunFolder

    try:
        with RunFolder(folder).locked():
            return write_report(folder, judged, golden, results, compared)
    except (StorageError, UsageError) as error:  # it cannot be written, or another process writes there
        return error
    except Exception as error:
        return StorageError(f"It cannot be drawn: {unexpected(error)}")


def _print_verdicts(
    judged: Judged,
    options: argparse.Namespace,
    page: Path | XaiEvalError | None,
    failing: Sequence[str] | None = None,
    review: Review | None = None,
) -> int:
    """Print the verdicts and return the exit code; if no case fails, that of a page that could not be written.

    `failing` names the states that fail the command; if it is None, every state but ok does. `review` is added to the
    JSON document.
    """
    from xai_eval.report.text.commands import folders_to_accept
    from xai_eval.report.text.outcome import advice_lines, outcome_line
    from xai_eval.report.text.summary import explain_line, summary_lines
    from xai_eval.report.text.verdicts import verdicts_stream

    code = _exit_code(judged, failing)
    if options.json:
        document = verdicts_stream(judged.verdicts, judged.record, judged.run_findings)
        if review is not None:
            from xai_eval.report.text.review import review_document

            document["against"] = review_document(review, options.against)
        answer_json(document)
    else:
        # Commands that accept a result or find a cause need goldens, which two runs that are compared may not have.
        results = page.parent if isinstance(page, Path) and options.command != "diff" else None
        where = folders_to_accept(judged, results, options.golden) if results else None
        lines = summary_lines(judged.verdicts, judged.run_findings, where)
        lines.append(outcome_line(judged.verdicts, judged.run_findings, code))
        if results:
            lines += explain_line(judged.verdicts, judged.record.requests, results, options.golden)
        lines += [f"page: {page}"] if isinstance(page, Path) else []
        lines += advice_lines(judged.run_findings)
        answer(lines)
    if isinstance(page, XaiEvalError):
        tell(f"xai-eval: error: the report could not be written. {page}")
    return page.exit_code if code == EXIT_OK and isinstance(page, XaiEvalError) else code


def _exit_code(judged: Judged, failing: Sequence[str] | None) -> int:
    """Return the exit code of a judged run; `failing` names the states that fail it, None all but ok."""
    if not judged.measured:
        return EXIT_NOTHING
    failed = [v for v in judged.verdicts if v.failed and (failing is None or v.state in failing or v.overdue)]
    return EXIT_DRIFT if failed or judged.run_findings.failed else EXIT_OK


def _diff(options: argparse.Namespace) -> int:
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
        told = _try_to_report(options.report, options.settings.golden, judged, options.results_b, compared)
    return _print_verdicts(judged, options, told)


def _accept(options: argparse.Namespace) -> int:
    from xai_eval.gate.accept import accept, matching_goldens
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.text.accepted import accepted_lines
    from xai_eval.report.text.release import release_sentence

    goldens = _goldens(options)
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


def _log(options: argparse.Namespace) -> int:
    from xai_eval.gate.processes import over
    from xai_eval.report.text.log import history_lines

    key, history = _goldens(options).history(options.case, over)
    answer([key, *history_lines(history)])
    return EXIT_OK


def _review(options: argparse.Namespace) -> int:
    from xai_eval.cli.review import review

    review(options.results, _goldens(options), options.settings.policy)
    return EXIT_OK


def _prune(options: argparse.Namespace) -> int:
    from xai_eval.gate.accept import unused_goldens
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.text.summary import left_by_prune
    from xai_eval.report.text.wording import count

    goldens = _goldens(options)

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


def _report(options: argparse.Namespace) -> int:
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.report.write import write_report
    from xai_eval.store.run_folder import RunFolder

    goldens = _goldens(options)
    with _locked_if_there(RunFolder(options.results)):
        judged = judge_run(options.results, goldens, options.settings.policy)
        formats = ("png", *options.figures)
        answer([str(write_report(options.results, judged, goldens.folder, formats=formats))])
    return EXIT_OK


def _list(options: argparse.Namespace) -> int:
    from xai_eval.cli.listing import task_lines, tasks_document
    from xai_eval.tasks import all_tasks, load_task_file

    with prints_apart():
        for file in (*options.settings.task_files, *options.task_files):
            load_task_file(file)
        tasks = all_tasks().values()
    if options.json:
        answer_json(tasks_document(tasks))
    else:
        answer(task_lines(tasks))
    _tell_unloadable()
    return EXIT_OK


def _tell_unloadable() -> None:
    from xai_eval.tasks import unloadable_entry_points

    for sentence in unloadable_entry_points():
        tell(f"xai-eval: warning: {sentence}")


def _fetch(options: argparse.Namespace) -> int:
    from xai_eval.inputs.downloads import downloads, fetch

    if not options.name:
        answer(downloads())
    for name in options.name:
        answer([f"{name}: {fetch(name)}"])
    return EXIT_OK


def _bench(options: argparse.Namespace) -> int:
    _let_threads_sleep()
    from xai_eval.cli.bench import bench

    return bench(options)


def _progress(results: Iterator[Result], total: int, name: str) -> Iterator[Result]:
    from xai_eval.media.bars import bar

    yield from bar(results, total=total, what=name, unit="case")


def _tell_cost(sentence: str) -> None:
    from xai_eval.media.bars import tell_above

    tell_above(f"xai-eval: {sentence}")


def _announce(task: str, condition: str) -> None:
    tell(f"{task}: {condition}")


def _silently(condition: str) -> None:
    pass


def _silent(results: Iterator[Result], total: int, name: str) -> Iterator[Result]:
    yield from results


_CONFIGURED = (
    "run",
    "calibrate",
    "check",
    "explain-drift",
    "review",
    "accept",
    "log",
    "prune",
    "report",
    "list",
    "diff",
)
_JUDGING = ("run", "calibrate", "check", "explain-drift", "diff", "review", "accept", "log", "prune", "report")
_COMMANDS = {
    "run": _run,
    "calibrate": _calibrate,
    "check": _check,
    "explain-drift": _explain_drift,
    "diff": _diff,
    "review": _review,
    "accept": _accept,
    "log": _log,
    "prune": _prune,
    "report": _report,
    "list": _list,
    "fetch": _fetch,
    "init": init,
    "bench": _bench,
}
