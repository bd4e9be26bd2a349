"""Places the drift of a whole set where the drift of its images began, if its own stages cannot tell. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from xai_eval.gate.pairing import Scope, is_whole_set, scope_of
from xai_eval.gate.stages import StageShift
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.stage import StageKind


def with_origins_of_images(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts of a run, those on whole sets with the origin of their images where theirs is the measures.

    The result of a whole set is made of the results of its images, of which it has few stages: what an image is meant
    to show is in none of them. If images drifted as well, their drift is that of the set.
    """
    known: dict[Scope, StageShift] = {}
    for verdict in verdicts:
        origin = verdict.origin if verdict.state is State.DRIFT else None
        if origin is not None and not is_whole_set(verdict.case) and origin.stage.kind != StageKind.MEASURES:
            known.setdefault(scope_of(verdict.case), origin)
    return [
        dataclasses.replace(each, origin=known.get(scope_of(each.case), each.origin))
        if is_whole_set(each.case) and _at_the_measures(each)
        else each
        for each in verdicts
    ]


def _at_the_measures(verdict: Verdict) -> bool:
    """Whether a case drifted and no recorded stage tells where."""
    origin = verdict.origin
    return verdict.state is State.DRIFT and origin is not None and origin.stage.kind == StageKind.MEASURES
