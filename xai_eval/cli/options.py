"""The commands of the command line and their options. Nothing is computed here."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval.cli.completion import add_completion
from xai_eval.cli.task_options import add_task_files, add_task_options, task_files
from xai_eval.store.default_folders import GOLDEN, RESULTS
from xai_eval.version import __version__

if TYPE_CHECKING:
    from xai_eval.tasks import Task

# The commands that take the parameters of tasks as options.
_MEASURING = ("run", "calibrate", "explain-drift")
_EXIT_CODES = """exit codes:
  0  everything is ok
  1  a case drifted, is about another experiment than its golden, or cannot be read; many cases shifted in one
     direction; the run is incomplete; `check` also fails for a new case and for an unused golden
  2  the command was used wrongly: an unknown name, or options that contradict each other
  3  nothing was measured: an input is unavailable, a model fails, a folder cannot be read or written,
     or an unexpected error occurred"""


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Build the parser; the name of the chosen command is in `command`.

    Args:
        words: the command line that the parser is for. Commands that measure have the parameters of all tasks as
            options, also of tasks in files that `words` names.

    Raises:
        UsageError: a file that `--tasks` names defines no task.
        InputUnavailable: a file that `--tasks` names cannot be run.
    """
    tasks = _named_tasks(words)
    parser = argparse.ArgumentParser(
        prog="xai-eval",
        description="Regression testing for explanations of vision models.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xai-eval {__version__}")
    add_completion(parser, lambda: build_parser(_MEASURING[:1]))
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    _add_run(commands, tasks)
    _add_judging(commands)
    _add_explain(commands, tasks)
    _add_changing(commands)
    _add_reading(commands)
    return parser


def _named_tasks(words: Sequence[str]) -> Mapping[str, Task]:
    """Return all tasks if the command takes their parameters; else none, because loading them takes a while."""
    if not words or words[0] not in _MEASURING:
        return {}
    from xai_eval.tasks import all_tasks, load_task_file

    for file in task_files(words):
        load_task_file(file)
    return all_tasks()


def _add_run(commands: Any, tasks: Mapping[str, Task]) -> None:
    command = _command(
        commands,
        "run",
        "explain images, measure the explanations, and write results and a page; goldens are not changed",
    )
    command.add_argument(
        "--out", type=Path, default=RESULTS, metavar="DIR", help=f"folder to write (default: {RESULTS})"
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on with a run that was interrupted: keep the results in the folder that would come out the same",
    )
    _add_json(command)
    _add_measuring(command, tasks)
    text = (
        "measure how far harmless changes (threads, batch sizes, seeds, ...) move each case; store it beside its golden"
    )
    _add_measuring(_command(commands, "calibrate", text), tasks)


def _add_measuring(command: Any, tasks: Mapping[str, Task]) -> None:
    """Add the options that say what to measure, with which model and on which images."""
    command.add_argument(
        "task",
        nargs="*",
        metavar="TASK",
        help="tasks to run (default: those of --tasks, or else all that `xai-eval list` names)",
    )
    add_task_files(command)
    _add_inputs(command, device="auto")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_golden(command)
    add_task_options(command, tasks.values())


def _add_explain(commands: Any, tasks: Mapping[str, Task]) -> None:
    text = "find the cause of a drift: compute the case again, restoring one factor at a time"
    command = _command(commands, "explain-drift", text)
    command.description = f"{text}. Model, images and parameters are by default those of the run."
    command.add_argument("case", metavar="CASE", help="case key, or the name of an image")
    command.add_argument(
        "--old-model",
        metavar="SPEC",
        help="the model that the golden was made with, if the name in the golden does not lead to it any more",
    )
    _add_inputs(command, device=None)
    _add_results(command, "--results")
    _add_golden(command)
    add_task_files(command)
    add_task_options(command, tasks.values())


def _add_inputs(command: Any, device: str | None) -> None:
    command.add_argument(
        "--model", metavar="SPEC", help="scenes:objects, torchvision:resnet50, file:PATH.py:FACTORY, ..."
    )
    command.add_argument("--images", metavar="SPEC", help="scenes, imagenet-samples, a folder, a file or a glob")
    default = f"default: {device}" if device else "default: as in the run"
    command.add_argument("--device", default=device, help=f"auto, cpu, cuda, ... ({default})")


def _add_judging(commands: Any) -> None:
    check = _command(commands, "check", "compare a run with the goldens; needs no torch")
    _add_results(check, "results", nargs="?")
    diff = _command(commands, "diff", "compare one run with another: two versions of torch, two models")
    diff.add_argument(
        "results_a", type=Path, metavar="RESULTS_A", help="folder of the run that is taken as the reference"
    )
    diff.add_argument("results_b", type=Path, metavar="RESULTS_B", help="folder of the run that is compared with it")
    _add_golden(check)
    for command in (check, diff):
        add_task_files(command)
        _add_json(command)


def _add_changing(commands: Any) -> None:
    command = _command(commands, "accept", "make results of a run the goldens of their cases, with a reason")
    command.add_argument("case", nargs="*", metavar="CASE", help="case key, or the name of an image")
    command.add_argument("--all", action="store_true", help="accept every result of the run")
    command.add_argument(
        "--reason", required=True, metavar="TEXT", help="why the new results are right; stored beside the golden"
    )
    command.add_argument("--bulk", action="store_true", help="allow more than 20 goldens to change at once")
    prune = _command(
        commands,
        "prune",
        "delete goldens that a complete run did not use",
    )
    prune.add_argument("--dry-run", action="store_true", help="only list them")
    for each in (command, prune):
        _add_results(each, "--results")
        _add_golden(each)
        add_task_files(each)
    log = _command(commands, "log", "show who accepted results of a case, when, why, and what the verdict was")
    log.add_argument("case", metavar="CASE", help="case key, or the name of an image")
    _add_golden(log)
    add_task_files(log)


def _add_reading(commands: Any) -> None:
    report = _command(commands, "report", "write the page, figures and tables of an earlier run again")
    _add_results(report, "results", nargs="?")
    _add_golden(report)
    add_task_files(report)
    listing = _command(commands, "list", "list the tasks with their parameters and defaults")
    add_task_files(listing)
    _add_json(listing)
    fetch = _command(
        commands, "fetch", "download models or images into the data folder; without a name, list what there is"
    )
    fetch.add_argument("name", nargs="*", metavar="NAME", help="name of a download")


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    return command


def _add_results(command: argparse.ArgumentParser, name: str, **how: Any) -> None:
    text = f"folder of a run (default: {RESULTS})"
    command.add_argument(name, type=Path, default=RESULTS, metavar="RESULTS", help=text, **how)


def _add_golden(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--golden",
        type=Path,
        default=GOLDEN,
        metavar="DIR",
        help=f"folder of goldens (default: {GOLDEN})",
    )


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON instead of text")
