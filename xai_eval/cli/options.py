"""The commands of the command line and their options. Nothing is computed here."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from xai_eval.cli.bench import add_bench
from xai_eval.cli.completion import add_completion
from xai_eval.cli.help_text import Help, examples_of, grouped
from xai_eval.cli.init import add_init
from xai_eval.cli.task_options import add_task_files, add_task_options, task_files
from xai_eval.media.terminal import block
from xai_eval.media.terminal import message as as_message
from xai_eval.result.precisions import PRECISIONS
from xai_eval.settings.bundled_suites import bundled_suites
from xai_eval.settings.engine import ENGINES, Engine
from xai_eval.settings.settings import NO_SETTINGS, Settings
from xai_eval.version import __version__

if TYPE_CHECKING:
    from xai_eval.tasks import Task

# The commands that take the parameters of tasks as options.
MEASURING = ("run", "calibrate", "explain-drift")
_EXIT_CODES = """exit codes:
  0  everything is ok
  1  a case drifted, is about another experiment than its golden, or cannot be
     read; many cases shifted in one direction; the run is incomplete; `check`
     also fails for a new case and for an unused golden
  2  the command was used wrongly: an unknown name, or options that contradict
     each other
  3  nothing was measured: an input is unavailable, a model fails, a folder
     cannot be read or written, or an unexpected error occurred"""


def build_parser(words: Sequence[str], settings: Settings = NO_SETTINGS) -> argparse.ArgumentParser:
    """Build the parser; the name of the chosen command is in `command`.

    Args:
        words: the command line that the parser is for. Commands that measure have the parameters of all tasks as
            options, also of tasks in files that `words` names.
        settings: the configuration of the repository: its folders are the defaults, and its tasks have options, too.

    Raises:
        UsageError: a file that `--tasks` names defines no task.
        InputUnavailable: a file that `--tasks` names cannot be run.
    """
    tasks = _named_tasks(words, settings)
    parser = _Parser(
        prog="xai-eval",
        description="Regression testing for explanations of vision models.",
        epilog=f"{examples_of()}\n\n{_EXIT_CODES}",
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"xai-eval {__version__}")
    add_completion(parser, lambda: build_parser(MEASURING[:1]))
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    _add_run(commands, tasks, settings)
    _add_judging(commands, settings)
    _add_explain(commands, tasks, settings)
    _add_changing(commands, settings)
    _add_reading(commands, settings)
    add_init(commands)
    add_bench(commands)
    parser.set_defaults(settings=settings, parsers=commands.choices)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose help and errors pass the function for the terminal: arguments may be a stranger's, too."""

    def error(self, message: str) -> NoReturn:
        super().error(as_message(message))

    def format_help(self) -> str:
        return block(grouped(super().format_help()))

    def format_usage(self) -> str:
        return block(super().format_usage())


def named_profile(words: Sequence[str]) -> str | None:
    """Return the profile that a command line names: its values are defaults of options, so it is read first."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_profile(parser)
    profile: str | None = parser.parse_known_args(words)[0].profile
    return profile


def named_suite(words: Sequence[str]) -> str | None:
    """Return the bundled suite that a command line names: it takes the place of that of the configuration file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_suite(parser)
    suite: str | None = parser.parse_known_args(words)[0].suite
    return suite


def _named_tasks(words: Sequence[str], settings: Settings) -> Mapping[str, Task]:
    """Return all tasks if the command takes their parameters; else none, because loading them takes a while."""
    if not words or words[0] not in MEASURING:
        return {}
    from xai_eval.tasks import all_tasks, load_task_file

    for file in (*settings.task_files, *task_files(words)):
        load_task_file(file)
    return all_tasks()


def _add_run(commands: Any, tasks: Mapping[str, Task], settings: Settings) -> None:
    command = _command(
        commands,
        "run",
        "explain images, measure the explanations, and write results and a page; goldens are not changed",
    )
    command.add_argument(
        "--out",
        type=Path,
        default=settings.reports,
        metavar="DIR",
        help=f"folder to write (default: {_in_help(settings.reports)})",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on with a run that was interrupted: keep the results in the folder that would come out the same",
    )
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="load models and images, list what would be computed and what is missing, and compute nothing",
    )
    _add_json(command)
    _add_engine(command, settings.engine)
    _add_measuring(command, tasks, settings)
    text = (
        "measure how far harmless changes (threads, batch sizes, seeds, ...) move each case; store it beside its golden"
    )
    _add_measuring(_command(commands, "calibrate", text), tasks, settings)


def _add_engine(command: Any, usual: Engine) -> None:
    """Add the options that say where to compute; they are for all tasks alike."""
    command.add_argument(
        "--engine",
        choices=ENGINES,
        help="where to compute: in this process, or on the workers of the Ray cluster that RAY_ADDRESS names, else on "
        f"the cores of this machine (default: {usual.name})",
    )
    command.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"number of workers of --engine ray (default: {usual.workers or 'as many as fit'})",
    )
    command.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="SHARE",
        help="GPUs of each worker of --engine ray: 0.5 lets two share one "
        f"(default: {usual.gpus_per_worker or '1 on GPUs, 0 on CPUs'})",
    )


def _add_measuring(command: Any, tasks: Mapping[str, Task], settings: Settings) -> None:
    """Add the options that say what to measure, with which model and on which images."""
    command.add_argument(
        "task",
        nargs="*",
        metavar="TASK",
        help="tasks to run (default: those of --tasks, or else the suite of the configuration file, or else all that "
        "`xai-eval list` names)",
    )
    _add_suite(command)
    add_task_files(command)
    _add_inputs(command, device=settings.device, precision=settings.precision)
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_golden(command, settings)
    add_task_options(command, tasks.values())


def _add_explain(commands: Any, tasks: Mapping[str, Task], settings: Settings) -> None:
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
    _add_results(command, "--results", settings)
    _add_golden(command, settings)
    add_task_files(command)
    add_task_options(command, tasks.values())


def _add_inputs(command: Any, device: str | None, precision: str | None = None) -> None:
    """Add the options for model, images, device and precision; the defaults are None for those of an earlier run.

    A run may have several models and image sets. A case of an earlier run has one of each.
    """
    command = command.add_argument_group("model, images and device")
    several: type[argparse.Action] | str = "append" if device else _Once
    again = "; give it again for another one" if device else ""
    examples = "scenes:objects, torchvision:resnet50, file:PATH.py:FACTORY, ..."
    command.add_argument("--model", action=several, metavar="SPEC", help=f"{examples}{again}")
    command.add_argument(
        "--output",
        metavar="KIND",
        help="what the numbers are that the model returns: logits, probabilities, binary, multilabel, regression, "
        "segmentation, embedding, detection (default: found out; what is assumed is said)",
    )
    command.add_argument(
        "--similar-to",
        metavar="SPEC",
        help="explain how like these images an image is to a model that returns features, not classes: a file, a "
        "folder, scenes:1, ...",
    )
    command.add_argument(
        "--box",
        metavar="X0,Y0,X1,Y1",
        help="the box that is explained of a detector, in pixels of its input (default: the best of the class)",
    )
    command.add_argument(
        "--reshape", metavar="ROWSxCOLUMNS", help="places of a layer of tokens, such as 14x14 (default: measured)"
    )
    examples = "scenes, imagenet-samples, a folder, a file or a glob"
    command.add_argument("--images", action=several, metavar="SPEC", help=f"{examples}{again}")
    default = f"default: {_in_help(device)}" if device else "default: as in the run"
    command.add_argument("--device", help=f"auto, cpu, cuda, ... ({default})")
    default = f"default: {precision}" if precision else "default: as in the run"
    command.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="what the model computes in: default (what torch does by itself), highest (float32 throughout), tf32, or "
        f"bfloat16 or float16 (torch.autocast) ({default})",
    )


class _Once(argparse.Action):
    """Stores a value, and refuses a second one instead of forgetting the first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option} is given twice, but a case has one. Give it once.")
        setattr(namespace, self.dest, values)


def _add_judging(commands: Any, settings: Settings) -> None:
    check = _command(commands, "check", "compare a run with the goldens; needs no torch")
    _add_results(check, "results", settings, nargs="?")
    check.add_argument(
        "--against",
        metavar="BRANCH",
        help="also list the goldens, tolerances, settings and quarantine entries that differ from this branch of git, "
        "with who accepted them, and draw the goldens before and after",
    )
    check.add_argument(
        "--complete",
        action="store_true",
        help="fail also if the run lacks a task that the suite of the configuration file names, or a result for any "
        "golden, whatever the run says of what it used",
    )
    diff = _command(commands, "diff", "compare one run with another: two versions of torch, two models")
    diff.add_argument(
        "results_a", type=Path, metavar="RESULTS_A", help="folder of the run that is taken as the reference"
    )
    diff.add_argument("results_b", type=Path, metavar="RESULTS_B", help="folder of the run that is compared with it")
    diff.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="also write the page, figures, tables and verdicts.json into this folder",
    )
    _add_golden(check, settings)
    for command in (check, diff):
        add_task_files(command)
        _add_json(command)


def _add_changing(commands: Any, settings: Settings) -> None:
    review = _command(
        commands,
        "review",
        "serve the page of a run on this machine, with buttons that accept, reject or set aside its cases",
    )
    _add_results(review, "results", settings, nargs="?")
    _add_golden(review, settings)
    add_task_files(review)
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
        _add_results(each, "--results", settings)
        _add_golden(each, settings)
        add_task_files(each)
    log = _command(commands, "log", "show who accepted results of a case, when, why, and what the verdict was")
    log.add_argument("case", metavar="CASE", help="case key, or the name of an image")
    _add_golden(log, settings)
    add_task_files(log)


def _add_reading(commands: Any, settings: Settings) -> None:
    report = _command(commands, "report", "write the page, figures and tables of an earlier run again")
    _add_results(report, "results", settings, nargs="?")
    _add_golden(report, settings)
    report.add_argument(
        "--figures",
        type=_vector_formats,
        default=(),
        metavar="FORMATS",
        help="formats of figures beside PNG: svg, pdf, or both with a comma between them",
    )
    add_task_files(report)
    listing = _command(commands, "list", "list the tasks with their parameters and defaults")
    add_task_files(listing)
    _add_json(listing)
    fetch = _command(
        commands, "fetch", "download models or images into the data folder; without a name, list what there is"
    )
    fetch.add_argument("name", nargs="*", metavar="NAME", help="name of a download")


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=examples_of(name), formatter_class=Help
    )
    if name in MEASURING:  # there are too many options to list each twice
        command.usage = f"xai-eval {name} {'CASE' if name == MEASURING[-1] else '[TASK ...]'} [OPTION ...]"
    return command


def _vector_formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [each for each in names if each not in ("svg", "pdf")]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no such format; expected svg, pdf, or svg,pdf")
    return names


def _add_results(command: argparse.ArgumentParser, name: str, settings: Settings, **how: Any) -> None:
    text = f"folder of a run (default: {_in_help(settings.reports)})"
    command.add_argument(name, type=Path, default=settings.reports, metavar="RESULTS", help=text, **how)


def _add_golden(command: argparse.ArgumentParser, settings: Settings) -> None:
    command.add_argument(
        "--golden",
        type=Path,
        default=settings.golden,
        metavar="DIR",
        help=f"folder of goldens (default: {_in_help(settings.golden)})",
    )
    _add_profile(command)


def _in_help(value: object) -> str:
    """Return a value of the configuration file in a help text, where argparse replaces what follows a percent sign."""
    return str(value).replace("%", "%%")


def _add_profile(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", metavar="NAME", help="profile of the configuration file, such as gpu")


def _add_suite(command: argparse.ArgumentParser) -> None:
    text = f"a bundled suite in place of that of the configuration file: {', '.join(bundled_suites())}"
    command.add_argument("--suite", metavar="NAME", help=text)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON instead of text")
