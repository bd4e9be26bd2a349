"""The stages of a case compared with those of its golden, as a chain of boxes; similar stages share a box."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.movement import share
from xai_eval.gate.stage_table import meaning_of, meaning_of_box, rules_of
from xai_eval.gate.stage_words import stage_words
from xai_eval.report.cases import ReportCase
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.stage import Stage, StageKind, in_model

_SHOWN = 3  # changed stages of a box; the others are folded away
_EQUAL = "equal"


@dataclass(frozen=True)
class ChainStage:
    """One stage; `place` is `before` the first stage that changed, the `first` itself, or `after` it."""

    stage: Stage
    change: str
    place: str

    @property
    def family(self) -> str:
        """Name of the box that it shares with the other stages of its family."""
        rules = rules_of(self.stage)
        return in_model(self.stage.of if rules.box_per_part else rules.family or self.stage.kind, self.stage.model)

    @property
    def name(self) -> str:
        """Its name within the box."""
        rules, stage = rules_of(self.stage), self.stage
        if rules.family:
            return stage_words(Stage(stage.kind, stage.of))
        return stage.kind if rules.box_per_part or not stage.of else stage.of

    @property
    def meaning(self) -> str:
        """What it holds, in words; empty for a kind that only a task of a user has."""
        return meaning_of(self.stage)


@dataclass(frozen=True)
class Box:
    """One box of the chain.

    Attributes:
        name: of the stage, or of the family of stages.
        meaning: what it holds, in words; empty for a kind that only a task of a user has.
        place: `first` if the first stage that changed is in the box, else `before` or `after` it.
        change: in words, if the box has a single stage or only equal ones; else empty.
        shown: otherwise the stages that changed, the first that changed before the others.
        folded: further stages that changed, which the page folds away.
        equal: how many other stages of the box are equal, in words, or empty.
    """

    name: str
    meaning: str
    place: str
    change: str = ""
    shown: tuple[ChainStage, ...] = ()
    folded: tuple[ChainStage, ...] = ()
    equal: str = ""


def stage_chain(case: ReportCase) -> tuple[Box, ...]:
    """Return the boxes in the order of the golden's stages; none if there is nothing to compare."""
    grouped = itertools.groupby(_stages(case), key=lambda stage: stage.family)
    return tuple(_box(family, list(stages)) for family, stages in grouped)


def _stages(case: ReportCase) -> list[ChainStage]:
    if case.obtained is None or case.golden is None:
        return []
    first = case.verdict.origin.stage if case.verdict.origin else None
    chain, place = [], "before"
    for stage, was in case.golden.stages.items():
        place = "first" if stage == first else "after" if place == "first" else place
        chain.append(ChainStage(stage, _change(case.obtained.stages.get(stage), was), place))
    return chain


def _box(family: str, stages: Sequence[ChainStage]) -> Box:
    place = next((stage.place for stage in stages if stage.place == "first"), stages[-1].place)
    if len(stages) == 1:
        return Box(str(stages[0].stage), stages[0].meaning, place, stages[0].change)
    meaning = meaning_of_box(stages[0].stage)
    changed = [stage for stage in stages if stage.change != _EQUAL]
    if not changed:
        return Box(family, meaning, place, _all_equal(stages))
    changed.sort(key=lambda stage: stage.place != "first")
    equal = f"{len(stages) - len(changed)} {_EQUAL}" if len(changed) < len(stages) else ""
    return Box(family, meaning, place, shown=tuple(changed[:_SHOWN]), folded=tuple(changed[_SHOWN:]), equal=equal)


def _all_equal(stages: Sequence[ChainStage]) -> str:
    # Beside a map that moved, a bare "equal" of what is tried on other images would mislead.
    where = " on images that never change" if stages[0].stage.kind is StageKind.TRIAL else ""
    return f"{len(stages)} stages {_EQUAL}{where}"


def _change(now: Fingerprint | None, was: Fingerprint) -> str:
    if now is None:
        return "is gone"
    change = now.distance(was)
    if change == 0.0:
        return _EQUAL
    return f"by {share(change)}" if math.isfinite(change) else "changed"
