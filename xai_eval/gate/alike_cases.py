"""Finds cases whose names people take for one: they differ only in upper and lower case, or in Unicode's spelling."""

from __future__ import annotations

import collections
import heapq
from collections.abc import Iterable

from xai_eval.result.result import Case

_NAMED = 4


def alike_cases(cases: Iterable[Case], what: str) -> dict[str, str]:
    """Return a sentence, by case key, for each case that looks the same as another one.

    Args:
        cases: of one run, or all goldens.
        what: their name in the plural, such as `goldens`.
    """
    groups: dict[str, list[Case]] = collections.defaultdict(list)
    for case in cases:
        groups[case.look].append(case)
    told = [(alike, _sentence(alike, what)) for alike in groups.values() if len(alike) > 1]
    return {case.key: sentence for alike, sentence in told for case in alike}


def _sentence(alike: list[Case], what: str) -> str:
    named = heapq.nsmallest(_NAMED, (case.key for case in alike))
    more = [f"{len(alike) - _NAMED:,} more"] if len(alike) > _NAMED else []
    keys = " and ".join([*named, *more])
    return (
        f"{len(alike)} {what} have one name for people, and for some file systems: {keys} differ only in upper and "
        "lower case, or in how Unicode spells the same letters. Rename the image or the model of one, or delete the "
        "wrong one."
    )
