"""Print what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xai_eval.media.terminal import answer_script

SHELLS = ("bash", "zsh", "fish")
_TASK = "task"


def add_completion(parser: argparse.ArgumentParser, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the option that prints the completion of a shell.

    Args:
        parser: the parser of the command line.
        whole: builds the parser with the parameters of all tasks, which takes a while.
    """

    class Print(argparse.Action):
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: str | Sequence[Any] | None,
            option_string: str | None = None,
        ) -> None:
            answer_script(completion(whole(), str(values)))
            parser.exit()

    parser.add_argument(
        "--print-completion",
        action=Print,
        choices=SHELLS,
        metavar="SHELL",
        help=f"print the completion of a shell ({', '.join(SHELLS)}) and exit",
    )


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script by which a shell completes a command line.

    Args:
        parser: the parser with the options of all commands; what its options take is added to them.
        shell: one of `SHELLS`.
    """
    import shtab

    from xai_eval.tasks import all_tasks

    for action in _actions(parser):
        if action.dest == _TASK:
            action.choices = list(all_tasks())
        elif action.type is Path:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # shtab looks for it there
        elif action.dest == "task_files":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            yield from (inner for each in action.choices.values() for inner in _actions(each))
