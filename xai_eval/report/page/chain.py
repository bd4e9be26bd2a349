"""The stages that a case went through, held against those of its golden, with families of stages in one box."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.stage_table import rules_of
from xai_eval.report.cases import ReportCase
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.stage import Stage, in_model

_TOLD = 3  # stages of a box that moved; the rest is folded away
_EQUAL = "equal"


@dataclass(frozen=True)
class Link:
    """One stage: `change` in words, and whether it stands `before`, `first`, or `after` where the drift began."""

    stage: Stage
    change: str
    place: str

    @property
    def family(self) -> str:
        """Name of the box that it shares with those of its family."""
        rules = rules_of(self.stage)
        return in_model(self.stage.of if rules.box_per_part else rules.family or self.stage.kind, self.stage.model)

    @property
    def name(self) -> str:
        """What tells it from others of its family."""
        rules, stage = rules_of(self.stage), self.stage
        if rules.family:
            return str(Stage(stage.kind, stage.of))
        return stage.kind if rules.box_per_part or not stage.of else stage.of


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
    told: tuple[Link, ...] = ()
    folded: tuple[Link, ...] = ()
    equal: str = ""


def stage_chain(case: ReportCase) -> tuple[Box, ...]:
    """Return the stages in the golden's order, the first that moved marked; none where there is nothing to compare."""
    grouped = itertools.groupby(_links(case), key=lambda link: link.family)
    return tuple(_box(family, list(links)) for family, links in grouped)


def _links(case: ReportCase) -> list[Link]:
    if case.obtained is None or case.golden is None:
        return []
    first = case.verdict.origin.stage if case.verdict.origin else None
    links, place = [], "before"
    for stage, was in case.golden.stages.items():
        place = "first" if stage == first else "after" if place == "first" else place
        links.append(Link(stage, _change(case.obtained.stages.get(stage), was), place))
    return links


def _box(family: str, links: Sequence[Link]) -> Box:
    place = next((link.place for link in links if link.place == "first"), links[-1].place)
    if len(links) == 1:
        return Box(str(links[0].stage), place, links[0].change)
    moved = [link for link in links if link.change != _EQUAL]
    if not moved:
        return Box(family, place, f"{len(links)} stages {_EQUAL}")
    moved.sort(key=lambda link: link.place != "first")
    equal = f"{len(links) - len(moved)} {_EQUAL}" if len(moved) < len(links) else ""
    return Box(family, place, told=tuple(moved[:_TOLD]), folded=tuple(moved[_TOLD:]), equal=equal)


def _change(now: Fingerprint | None, was: Fingerprint) -> str:
    if now is None:
        return "is gone"
    change = now.distance(was)
    if change == 0.0:
        return _EQUAL
    return f"relative {change:.2g}" if math.isfinite(change) else "changed"
