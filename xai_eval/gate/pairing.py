"""Decides which golden a case is compared with."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable, Sequence

from xai_eval.result.result import Case
from xai_eval.result.without_effect import with_effect

# The parameter whose values are names within one model.
OF_THE_MODEL = "layer"

# Task, image set and model. A run can tell unused goldens only within the scopes that it measured.
Scope = tuple[str, str, str]


def set_name(case: Case) -> str:
    """Return the image set of a case, also of a case about a whole set: `scenes` for `scenes (4 images)`."""
    return case.input_set if "/" in case.input else re.sub(r" \(\d+ images?\)$", "", case.input)


def pair_cases(obtained: Sequence[Case], goldens: Sequence[Case]) -> dict[str, str | None]:
    """Map the key of every obtained case to the key of the golden that it is compared with, or None."""
    known = {case.key for case in goldens}
    pairs: dict[str, str | None] = {case.key: case.key if case.key in known else None for case in obtained}
    for same in (_but_without_effect, _but_model, _but_model_and_layer, _but_parameters):
        taken = set(pairs.values())
        free = _grouped((g for g in goldens if g.key not in taken), same)
        lone = _grouped((case for case in obtained if pairs[case.key] is None), same)
        for identity, rivals in lone.items():
            candidates = free.get(identity, [])
            if len(candidates) == 1 and len(rivals) == 1:
                pairs[rivals[0].key] = candidates[0].key
    return pairs


def _grouped(cases: Iterable[Case], same: Callable[[Case], str]) -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = collections.defaultdict(list)
    for case in cases:
        groups[same(case)].append(case)
    return groups


def scope_of(case: Case) -> Scope:
    """Return the scope of a case: a golden counts as unused only if the run measured other cases of its scope."""
    return case.task, set_name(case), case.model


def _but_without_effect(case: Case) -> str:
    """Return what tells a case from others: a parameter that cannot change an answer does not."""
    return Case(case.task, case.model, case.input, with_effect(case.params)).identity


def _but_model(case: Case) -> str:
    return Case(case.task, "", case.input, with_effect(case.params)).identity


def _but_model_and_layer(case: Case) -> str:
    """Return what two models of two architectures share: the layer of each has a name of its own."""
    params = {name: value for name, value in with_effect(case.params).items() if name != OF_THE_MODEL}
    return Case(case.task, "", case.input, params).identity


def _but_parameters(case: Case) -> str:
    return Case(case.task, case.model, case.input).identity
