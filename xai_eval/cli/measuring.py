"""The commands that load models and compute: run, calibrate, explain-drift and bench."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from xai_eval.cli.asked import asked, narrowed, tell_bundled, tell_settings
from xai_eval.cli.console import prints_apart
from xai_eval.cli.exit_codes import EXIT_DRIFT, EXIT_NOTHING, EXIT_OK
from xai_eval.cli.judged_run import goldens_of, print_verdicts, try_to_report
from xai_eval.cli.unloadable import tell_unloadable
from xai_eval.media.terminal import answer, tell

# Everything else is imported by the command that needs it: `--help` must not wait for pandas.
if TYPE_CHECKING:
    from xai_eval.result.result import Result


def run_suite(options: argparse.Namespace) -> int:
    """`xai-eval run`: compute the cases, judge them, and write the page."""
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

    goldens = goldens_of(options)
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
            told = try_to_report(folder.path, goldens.folder, judged)
            return print_verdicts(judged, options, told, failing=("drift", "incomparable", "error"))


def _tell(options: argparse.Namespace) -> None:
    tell_unloadable()
    if not options.quiet:
        tell_settings(options)


def explain(options: argparse.Namespace) -> int:
    """`xai-eval explain-drift`: find what made a case drift by putting back one thing after another."""
    _let_threads_sleep()
    from xai_eval.cli.explain import explain_drift

    with prints_apart():
        lines = explain_drift(options, goldens_of(options))
    answer(lines)
    return EXIT_OK


def _let_threads_sleep() -> None:
    """Set an environment variable that torch reads when it is imported, so that waiting threads sleep.

    Threads that spin while they wait make small networks ten times slower as soon as another process wants the same
    cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def calibrate(options: argparse.Namespace) -> int:
    """`xai-eval calibrate`: measure how far harmless changes move each result."""
    from xai_eval.media.progress import shown

    _let_threads_sleep()
    from xai_eval.gate.accept import refuse_calibration_under_ci, store_noise
    from xai_eval.report.text.calibration import calibration_lines
    from xai_eval.run.calibrate import calibrate_task
    from xai_eval.run.suite import plan_all

    refuse_calibration_under_ci()  # before hours of computing
    goldens = goldens_of(options)
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


def measure_speed(options: argparse.Namespace) -> int:
    """`xai-eval bench`: time each task beside the plain libraries."""
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
