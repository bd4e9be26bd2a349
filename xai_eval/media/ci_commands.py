"""Commands that CI services obey when they find them in the log of a job: here they are only text.

A log is read by GitHub Actions (and Gitea, Forgejo and Cirrus), Azure Pipelines, GitLab, TeamCity, Buildkite and
Travis; nobody knows by which. One character of each command is written as an escape, as for characters that nobody
sees.
"""

from __future__ import annotations

import re

from xai_eval.media.characters import escape

# `::name key=value::text` counts at the beginning of a line. Ids of tests hold `::`, too, always after a word.
_NAMES = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env|set-output|"
    "stop-commands|warning"
)
_COLONS_COMMAND = re.compile(rf"(?<![\w\]).>]):[:]|:[:](?:{_NAMES})(?![\w-])", re.IGNORECASE)
_COLONS = re.compile(":(?=:)")
# `##[command]`, `##vso[command]` and `##teamcity[command]` count anywhere in a line.
_HASHES = re.compile("#(?=#)")
# GitLab and Travis fold what lies between two of these.
_FOLDS = re.compile(r"(?<=section)_(?=start:|end:)|(?<=travis)_(?=fold:|time:)", re.IGNORECASE)
# Buildkite makes headings of lines that begin so.
_HEADINGS = re.compile(r"^(\s*)(-(?=--)|\+(?=\+\+)|~(?=~~)|\^(?=\^\^ \+\+\+))")


def inert(line: str) -> str:
    """Return one line of a log in which no command of a CI service is left.

    A line with a command that begins with `::` loses all its `::`, because the second one of a command begins another.
    """
    if _COLONS_COMMAND.search(line):
        line = _COLONS.sub(_escaped, line)
    for command in (_HASHES, _FOLDS):
        line = command.sub(_escaped, line)
    return _HEADINGS.sub(lambda found: f"{found[1]}{_hexadecimal(found[2])}", line)


def _escaped(found: re.Match[str]) -> str:
    return _hexadecimal(found[0])


def _hexadecimal(character: str) -> str:
    return escape(character) if not character.isascii() else f"\\x{ord(character):02x}"
