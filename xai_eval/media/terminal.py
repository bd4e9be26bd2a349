"""The terminal and the log of a CI job: everything that a command prints goes through here.

A line that is shown is one line, whatever names and sentences in it hold: it moves no cursor, sets no colour, makes no
link, hides nothing, commands no CI service, and has an end. Characters that the console cannot encode are written as
escapes by `xai_eval.cli.console`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from xai_eval.media.characters import LONGEST, escape, shortened, visible
from xai_eval.media.ci_commands import inert
from xai_eval.media.json_text import json_parts, json_text
from xai_eval.media.screen import for_eyes

# Characters of one sentence; a line may hold several, and a command.
_SENTENCE = 2_000


def line(text: str) -> str:
    """Return text as one line for a terminal: ends of lines are shown as escapes, too. Spaces stay as they are."""
    return inert(visible(shortened(text, LONGEST)).replace("\n", escape("\n")))


def sentence(text: str) -> str:
    """Return text as one line for a terminal, with single spaces between words."""
    return inert(visible(" ".join(shortened(text, _SENTENCE).split())))


def block(text: str) -> str:
    """Return several lines for a terminal, such as a traceback. Only `\\n` ends a line."""
    return "\n".join(map(line, text.split("\n")))


def message(text: str) -> str:
    """Return the message of an error, whose further lines are indented: none of them looks like another message."""
    return "\n  ".join(map(line, text.split("\n")))


def answer(lines: Iterable[str]) -> None:
    """Print lines on standard output: what the command was asked for."""
    print("\n".join(for_eyes(map(line, lines), sys.stdout)))


def answer_json(document: Any) -> None:
    """Print a document on standard output, for another program; values that are iterators are printed as lists."""
    for part in json_parts(document) if isinstance(document, Mapping) else [json_text(document)]:
        print(part, end="")
    print()


def answer_script(script: str) -> None:
    """Print a script on standard output, for a shell. It holds nothing that is read from files."""
    print(script)


def tell(text: str) -> None:
    """Print a message on standard error, at once."""
    if sys.stderr is not None:
        print(message(text), file=sys.stderr, flush=True)


def tell_block(text: str) -> None:
    """Print several lines on standard error, such as a traceback."""
    if sys.stderr is not None:
        print(block(text), file=sys.stderr, flush=True)


def command_ci(command: str) -> None:
    """Print a command that a CI service shall obey; its text is made by the module that knows the service."""
    if sys.stderr is not None:
        print(command, end="", file=sys.stderr)
