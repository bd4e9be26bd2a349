"""Recognises renamed images: a new case and an unused golden with the same bytes under two names."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.result import Case, Result
from xai_eval.result.without_effect import with_effect

_NAMED = 3  # images that the sentence spells out


@dataclass(frozen=True)
class Renamed:
    """An image whose bytes are there under another name: the input of the golden, and that of the new case."""

    before: str
    now: str


def renamed_images(
    verdicts: Sequence[Verdict], results: Mapping[str, Result], goldens: Mapping[str, Result]
) -> tuple[Renamed, ...]:
    """Return the images that were renamed since their goldens were accepted, each once.

    An image counts only if one unused golden and one new case of the same task, model and parameters have its bytes.

    Args:
        verdicts: of a whole run.
        results: of the run, by case key.
        goldens: by case key.
    """
    new = _by_bytes(results[v.case.key] for v in verdicts if v.state is State.MISSING and v.case.key in results)
    unused = _by_bytes(goldens[v.case.key] for v in verdicts if v.state is State.UNUSED and v.case.key in goldens)
    pairs = (
        Renamed(unused[same][0].input, new[same][0].input)
        for same in new
        if len(new[same]) == 1 and len(unused.get(same, ())) == 1
    )
    return tuple(dict.fromkeys(pairs))


def _by_bytes(results: Iterable[Result]) -> dict[tuple[str, str], list[Case]]:
    found: dict[tuple[str, str], list[Case]] = collections.defaultdict(list)
    for result in results:
        digest = result.provenance.digests.get("image")
        if digest:
            case = result.case
            found[Case(case.task, case.model, "", with_effect(case.params)).identity, digest].append(case)
    return found


def renamed_sentence(renamed: Sequence[Renamed]) -> str:
    """Say which images were renamed, and what to do; empty if none was."""
    if not renamed:
        return ""
    listed = ", ".join(f"{each.before} is now {each.now}" for each in renamed[:_NAMED])
    more = f" and {len(renamed) - _NAMED} more" if len(renamed) > _NAMED else ""
    return (
        f"The same bytes are there under another name: {listed}{more}. Name the images as before, or accept the new "
        "cases and delete the old goldens with `xai-eval prune`."
    )
