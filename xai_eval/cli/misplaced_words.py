"""Words of a command line that no command takes: each is refused with what to write instead."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence

from xai_eval.errors import UsageError, unknown_name
from xai_eval.media.shell import word

_ONE_VALUE = (
    "An option takes one value: repeat the option for the next (--images A --images B), and put a pattern in quotes "
    '(--images "photos/*.jpg"), because the shell replaces it by all names that fit.'
)


def refuse_unknown_command(words: Sequence[str], parser: argparse.ArgumentParser, commands: Collection[str]) -> None:
    """Raise UsageError if a command line does not begin with a command, or with an option of `parser`."""
    first = words[0]
    named = next((each for each in words if each in commands), None)
    if first == named or first.partition("=")[0] in _options_of(parser):
        return
    if not first.startswith("-"):
        raise _unknown_command(first, commands)
    if named:
        raise UsageError(f"options stand behind the command: write xai-eval {named} {word(first)} ...")


def _unknown_command(name: str, commands: Collection[str]) -> UsageError:
    from xai_eval.tasks import all_tasks

    if name in all_tasks():
        return UsageError(f"{name} is a task, not a command: write xai-eval run {name}.")
    return unknown_name("command", name, commands, hint="`xai-eval --help` lists all of them.")


def refuse_left_over(words: Sequence[str], command: str, parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    """Raise UsageError if words are left over that the command does not take.

    Args:
        words: what is left over.
        command: the name of the command.
        parsers: of all commands, by name.
    """
    option = next((each.partition("=")[0] for each in words if each.startswith("-")), None)
    if option:
        raise _unknown_option(option, command, parsers)
    if words:
        what_to_do = _ONE_VALUE if "--images" in _options_of(parsers[command]) else "Leave it out."
        raise UsageError(f"xai-eval {command} does not expect {words[0]!r} there. {what_to_do}")


def _unknown_option(option: str, command: str, parsers: Mapping[str, argparse.ArgumentParser]) -> UsageError:
    others = [name for name, parser in parsers.items() if option in _options_of(parser)]
    if others:
        return UsageError(f"{option} is no option of xai-eval {command}, but of xai-eval {' and of '.join(others)}.")
    hint = f"`xai-eval {command} --help` lists all of them."
    return unknown_name("option", option, _options_of(parsers[command]), hint=hint)


def _options_of(parser: argparse.ArgumentParser) -> list[str]:
    return [each for action in parser._actions for each in action.option_strings]
