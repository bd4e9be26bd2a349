"""Which groups of stages a result and its golden have in common, bit by bit; counted once for all stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xai_eval.gate.stage_table import Before, Group, groups_of, rules_of
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage


@dataclass(frozen=True)
class EqualStages:
    """For each group of stages that both have: whether all of them are the same in every bit."""

    groups: Mapping[Group, bool]

    def made(self, stage: Stage) -> bool:
        """Whether all stages that a stage is made from are recorded in both, and the same in every bit."""
        return all(self._all(before, stage) for before in rules_of(stage).steps[0].after)

    def _all(self, before: Before, made: Stage) -> bool:
        found = [self.groups[group] for group in before.groups(made) if group in self.groups]
        return bool(found) and all(found)


def equal_stages(obtained: Result, golden: Result) -> EqualStages:
    """Compare the stages of a result with those of its golden."""
    groups: dict[Group, bool] = {}
    for stage, was in golden.stages.items():
        now = obtained.stages.get(stage)
        if now is not None:
            for group in groups_of(stage):
                groups[group] = groups.get(group, True) and now.digest == was.digest
    return EqualStages(groups)
