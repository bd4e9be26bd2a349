"""The command line: parse the arguments, call the code that does the work, print, and return the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from xai_eval.cli.console import console, prints_apart
from xai_eval.cli.exit_codes import EXIT_INTERRUPTED, EXIT_NOTHING, EXIT_OK
from xai_eval.cli.init import init
from xai_eval.cli.judging import accept_results, check, compare_runs, prune, review_drifts, show_history, write_page
from xai_eval.cli.measuring import calibrate, explain, measure_speed, run_suite
from xai_eval.cli.misplaced_words import refuse_left_over, refuse_unknown_command
from xai_eval.cli.options import MEASURING, build_parser, named_profile, named_suite
from xai_eval.cli.unloadable import tell_unloadable
from xai_eval.errors import UsageError, XaiEvalError
from xai_eval.media.terminal import answer, answer_json, tell
from xai_eval.report.text.unexpected import unexpected
from xai_eval.settings.bundled_suites import bundled_suite
from xai_eval.settings.read import load_settings
from xai_eval.settings.settings import NO_SETTINGS, Settings

# Everything else is imported by the command that needs it: `--help` must not wait for pandas.


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
    tell_unloadable()
    return EXIT_OK


def _fetch(options: argparse.Namespace) -> int:
    from xai_eval.inputs.downloads import downloads, fetch

    if not options.name:
        answer(downloads())
    for name in options.name:
        answer([f"{name}: {fetch(name)}"])
    return EXIT_OK


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
    "run": run_suite,
    "calibrate": calibrate,
    "check": check,
    "explain-drift": explain,
    "diff": compare_runs,
    "review": review_drifts,
    "accept": accept_results,
    "log": show_history,
    "prune": prune,
    "report": write_page,
    "list": _list,
    "fetch": _fetch,
    "init": init,
    "bench": measure_speed,
}
