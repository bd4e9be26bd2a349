"""Commands to copy into a shell: each word is one word there, and runs nothing.

They are written for bash, zsh and other POSIX shells. On Windows, use them in Git Bash or WSL: the rules of cmd.exe and
PowerShell for quotes differ.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from xai_eval.media.characters import escape, visible
from xai_eval.media.ci_commands import inert

_PROGRAM = "xai-eval"
# Characters of a command; half of one would leave the quotes open.
_LONGEST = 1_800


def command(name: str, cases: Iterable[str] = (), *options: str) -> str:
    """Return a command of this package: its name, cases, and options as `option` makes them.

    A case that begins with a hyphen stands behind `--`, or it would be an option. In place of a command that is too
    long to be shown whole stands a comment, which does nothing if it is copied.
    """
    keys = list(cases)
    words = " ".join(map(word, keys))
    behind = any(key.startswith("-") for key in keys)
    parts = [name, *options, "--", words] if behind else [name, words, *options]
    whole = " ".join(filter(None, [_PROGRAM, *parts]))
    if len(whole) > _LONGEST:
        return f"# {_PROGRAM} {name}: the names are too long for a command ({len(whole):,} characters)"
    return whole


def option(name: str, value: str) -> str:
    """Return an option with its value; a value that begins with a hyphen is bound to it."""
    return f"{name}{'=' if value.startswith('-') else ' '}{word(value)}"


def word(text: str) -> str:
    """Return text as one word of a command, in quotes where it needs them.

    What must not stand in a line of a log (a control character, a command of a CI service) is written as an escape in
    `$'...'`, which bash, zsh and ksh turn back into the character.
    """
    if inert(visible(text)) == text and not re.search(r"[\n\t]", text):
        # zsh replaces =name by the path of the program.
        return f"'{text}'" if re.fullmatch(r"=[\w@%+=:,./-]*", text, re.ASCII) else shlex.quote(text)
    escaped = visible(text.replace("\\", "\\\\").replace("'", "\\'"))
    for character in "\n\t":
        escaped = escaped.replace(character, escape(character))
    return f"$'{inert(escaped)}'"
