"""Changes in few words, for sentences: settings of one thing stand together, and long values are cut.

The page and `verdicts.json` list every change with its whole values.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator

from xai_eval.gate.changes import PARAMETER_PREFIX, Change

_TOGETHER = 3  # settings of one thing that are told one by one; more stand together
_NAMED = 3  # of these, so many are named
_LONGEST = 80  # characters of a value


def in_short(changes: Iterable[Change]) -> tuple[str, ...]:
    """Put changes into words.

    Another preprocessing changes a dozen recorded settings at once, some of them matrices. Each of them in full would
    hide the one thing that people have to know.

    Args:
        changes: in the order in which they are told.
    """
    by_thing: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_thing[_thing(change)].append(change)
    return tuple(text for thing, members in by_thing.items() for text in _told(thing, members))


def _thing(change: Change) -> str:
    """Return what a recorded setting belongs to, such as the preprocessing; of any other change, what it is called."""
    if not change.what.startswith(PARAMETER_PREFIX):
        return change.what
    return change.what.removeprefix(PARAMETER_PREFIX).split(" ")[0]


def _told(thing: str, members: list[Change]) -> Iterator[str]:
    if len(members) <= _TOGETHER:
        yield from (str(_cut(change)) for change in members)
        return
    names = dict.fromkeys(change.what.removeprefix(f"{PARAMETER_PREFIX}{thing} ") for change in members)
    yield f"{thing} ({', '.join(list(names)[:_NAMED])} and {len(names) - _NAMED} more of its settings)"


def _cut(change: Change) -> Change:
    before, after = (
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in (change.before, change.after)
    )
    return dataclasses.replace(change, before=before, after=after)
