"""The stages that a case went through, held against those of its golden, with families of stages in one box."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.report.cases import ReportCase
from xai_eval.result.fingerprint import Fingerprint

# Neighbours of one family are one box, in which they are told by what makes each the member that it is.
_FAMILIES = (
    r"(?P<family>model state(?: of .*)?): (?P<member>.*)",
    r"(?P<family>raw map|final map|segments|perturbed predictions) (?P<member>.*)",
    r"(?P<family>measures): (?P<member>.*)",
    r"(?P<family>.*) (?P<member>activations|top-k|top images|similarity|overlap|overlap by chance)",
    r"(?P<member>.*_units) (?P<family>labels)",
)
_TOLD = 3  # stages of a box that moved; the rest is folded away
_EQUAL = "equal"


@dataclass(frozen=True)
class Stage:
    """One stage: `change` in words, and whether it stands `before`, `first`, or `after` where the drift began."""

    name: str
    change: str
    place: str


@dataclass(frozen=True)
class Box:
    """One box of the chain.

    Attributes:
        name: of the stage, or of the family of stages.
        place: `first` if the first that moved is among them, else where they stand.
        change: in words, of a single stage or of stages that are all equal; else empty.
        told: otherwise the stages that moved, the first that moved before all others.
        folded: those that are too many to be told at once.
        equal: how many stages beside these are equal, in words, or empty.
    """

    name: str
    place: str
    change: str = ""
    told: tuple[Stage, ...] = ()
    folded: tuple[Stage, ...] = ()
    equal: str = ""


def stage_chain(case: ReportCase) -> tuple[Box, ...]:
    """Return the stages in the golden's order, the first that moved marked; none where there is nothing to compare."""
    grouped = itertools.groupby(_stages(case), key=lambda stage: _family(stage.name)[0])
    return tuple(_box(name, list(stages)) for name, stages in grouped)


def _stages(case: ReportCase) -> list[Stage]:
    if case.obtained is None or case.golden is None:
        return []
    first = case.verdict.origin.name if case.verdict.origin else None
    stages, place = [], "before"
    for name, was in case.golden.stages.items():
        place = "first" if name == first else "after" if place == "first" else place
        stages.append(Stage(name, _change(case.obtained.stages.get(name), was), place))
    return stages


def _box(family: str, stages: Sequence[Stage]) -> Box:
    place = next((stage.place for stage in stages if stage.place == "first"), stages[-1].place)
    if len(stages) == 1:
        return Box(stages[0].name, place, stages[0].change)
    moved = [Stage(_family(each.name)[1], each.change, each.place) for each in stages if each.change != _EQUAL]
    if not moved:
        return Box(family, place, f"{len(stages)} stages {_EQUAL}")
    moved.sort(key=lambda stage: stage.place != "first")
    equal = f"{len(stages) - len(moved)} {_EQUAL}" if len(moved) < len(stages) else ""
    return Box(family, place, told=tuple(moved[:_TOLD]), folded=tuple(moved[_TOLD:]), equal=equal)


def _family(name: str) -> tuple[str, str]:
    """Return the family of a stage, and what tells it from others of the family."""
    found = next((match for pattern in _FAMILIES if (match := re.fullmatch(pattern, name))), None)
    if found is None:
        return name, name
    return found["family"], found["member"]


def _change(now: Fingerprint | None, was: Fingerprint) -> str:
    if now is None:
        return "is gone"
    change = now.distance(was)
    if change == 0.0:
        return _EQUAL
    return f"relative {change:.2g}" if math.isfinite(change) else "changed"
