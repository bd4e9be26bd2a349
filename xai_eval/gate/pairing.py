"""Decides which golden a case is compared with."""

from __future__ import annotations

import collections
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from xai_eval.gate.same_content import SameContent
from xai_eval.gate.same_layers import LAYER, LAYERS
from xai_eval.result.result import Case, Result
from xai_eval.result.without_effect import with_effect

# The parameter that names a probe set with the number of its images.
_PROBE = "probe"
_COUNT = re.compile(r" \(\d+ images?\)$")

# Task, image set and model. A run can tell unused goldens only within the scopes that it measured.
Scope = tuple[str, str, str]
# Returns what two cases must have in common to be paired; None for a case that is paired by nothing of the kind.
_Same = Callable[[Case], str | None]


def set_name(case: Case) -> str:
    """Return the image set of a case, also of a case about a whole set: `scenes` for `scenes (4 images)`."""
    return _COUNT.sub("", case.input) if is_whole_set(case) else case.input_set


def is_whole_set(case: Case) -> bool:
    """Whether a case is about a whole set of images, such as `scenes (4 images)`."""
    return "/" not in case.input


def pair_results(
    obtained: Mapping[str, Result], goldens: Mapping[str, Result], parts: Sequence[str] = ()
) -> dict[str, str | None]:
    """Map the key of every result to the key of the golden that it is compared with, or None.

    A result without a golden of its key is paired with a golden that no result has the key of, if the two have in
    common, in this order: the name in another Unicode spelling; the bytes of the image; its decoded pixels; everything
    but the names of layers; everything but the model; everything but model and layers; everything but the parameters;
    the image set, of which images were added or taken away. Only unambiguous pairs count.

    Args:
        obtained: results by case key.
        goldens: goldens by case key.
        parts: image sets of which the run used only a part. They are not compared with a golden of the whole.
    """
    content = SameContent(obtained, goldens)
    cases = [each.case for each in obtained.values()], [each.case for each in goldens.values()]

    def but_number(case: Case) -> str | None:
        return None if set_name(case) in parts else _but_number_of_images(case)

    named = (_spelled_alike, content.by_bytes, content.by_pixels)
    return _paired(*cases, (*named, *_WAYS, but_number))


def lone_golden(result: Result, goldens: Mapping[str, Result]) -> Result | None:
    """Return the only golden that a single result without one of its own is compared with; None if there is none.

    It is found as `pair_results` finds it, but for sets of which images were added or taken away.
    """
    content = SameContent({result.case.key: result}, goldens)
    cases = [each.case for each in goldens.values()]
    ways = (content.by_bytes, content.by_pixels, *_WAYS)
    key = _paired([result.case], cases, ways)[result.case.key]
    return None if key is None else goldens[key]


def pair_cases(obtained: Sequence[Case], goldens: Sequence[Case]) -> dict[str, str | None]:
    """Pair cases as `pair_results` pairs results, but only by their names."""
    return _paired(obtained, goldens, (_spelled_alike, *_WAYS))


def _paired(obtained: Sequence[Case], goldens: Sequence[Case], ways: Sequence[_Same]) -> dict[str, str | None]:
    known = {case.key for case in goldens}
    pairs: dict[str, str | None] = {case.key: case.key if case.key in known else None for case in obtained}
    for same in ways:
        taken = set(pairs.values())
        free, lone = [g for g in goldens if g.key not in taken], [o for o in obtained if pairs[o.key] is None]
        if not free or not lone:
            break
        candidates = _grouped(free, same)
        for identity, rivals in _grouped(lone, same).items():
            if len(candidates.get(identity, ())) == 1 and len(rivals) == 1:
                pairs[rivals[0].key] = candidates[identity][0].key
    return pairs


def _grouped(cases: Iterable[Case], same: _Same) -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = collections.defaultdict(list)
    for case in cases:
        identity = same(case)
        if identity is not None:
            groups[identity].append(case)
    return groups


def scope_of(case: Case) -> Scope:
    """Return the scope of a case: a golden counts as unused only if the run measured other cases of its scope."""
    return case.task, set_name(case), case.model


def spellings(case: Case) -> tuple[Case, ...]:
    """Return a case, and the same case with its name in the other spellings of Unicode (an accent as a letter)."""
    names = dict.fromkeys((case.input, *(unicodedata.normalize(form, case.input) for form in ("NFC", "NFD"))))
    return tuple(Case(case.task, case.model, name, case.params) for name in names)


def _spelled_alike(case: Case) -> str:
    """Return what tells a case from others: the spelling of its name does not, nor what cannot change an answer."""
    return Case(case.task, case.model, unicodedata.normalize("NFC", case.input), with_effect(case.params)).identity


def _but_model(case: Case) -> str:
    return Case(case.task, "", case.input, with_effect(case.params)).identity


def _but_model_and_layer(case: Case) -> str:
    """Return what two models of two architectures share: the layer of each has a name of its own."""
    return Case(case.task, "", case.input, _without_layers(case)).identity


def _but_layer(case: Case) -> str:
    """Return what two spellings of one model share: behind a wrapper, its layers have other names."""
    return Case(case.task, case.model, case.input, _without_layers(case)).identity


def _without_layers(case: Case) -> dict[str, Any]:
    return {name: value for name, value in with_effect(case.params).items() if name not in (LAYER, LAYERS)}


def _but_parameters(case: Case) -> str:
    return Case(case.task, case.model, case.input).identity


# What two cases of one image may differ in, and are compared all the same, in this order.
_WAYS: tuple[_Same, ...] = (_but_layer, _but_model, _but_model_and_layer, _but_parameters)


def _but_number_of_images(case: Case) -> str | None:
    if not is_whole_set(case) or not _COUNT.search(case.input) or _is_drawn(case):
        return None
    params = {name: value for name, value in case.params.items() if name != _PROBE}
    return Case(case.task, case.model, set_name(case), params).identity


def _is_drawn(case: Case) -> bool:
    """Whether the case is about a part of a probe set, drawn by a seed, as it was asked for."""
    probe = case.params.get(_PROBE)
    return isinstance(probe, list) and probe[-1] is not None
