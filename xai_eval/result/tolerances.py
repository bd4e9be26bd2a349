"""Puts tolerances of the user in place of those that a task states, never above their caps."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from xai_eval.errors import UsageError, unknown_name
from xai_eval.result.fields import Extensible, Field
from xai_eval.result.result import RAISED_TOLERANCES, Provenance, Result

# One number, or numbers by the names of parts: those of the tolerance of a map, or columns of a table.
Given = float | Mapping[str, float]


def with_tolerances(result: Result, given: Mapping[str, Given]) -> Result:
    """Return a result whose fields have the given tolerances.

    Its provenance names those that were raised. The gate then judges what is computed of such a field by its tolerance
    alone, and not by the limits of its stages.

    Args:
        result: of a task.
        given: by the name of a field. One number replaces a tolerance that is one number. A table of numbers replaces
            parts of a tolerance (`largest`, `top`, ... of a map), or the tolerances of columns of a table. What the
            result does not have is left out, because another result of the task may have it: see `unknown_tolerance`.

    Raises:
        UsageError: a field has no tolerance, is given a number in place of a table or the reverse, or is given a
            tolerance above its cap.
    """
    place = f"tolerances.{result.case.task}"
    changed = {
        name: _changed(result.fields[name], f"{place}.{name}", each)
        for name, each in given.items()
        if name in result.fields
    }
    raised = {name: given[name] for name, each in changed.items() if _raised(each, result.fields[name])}
    return dataclasses.replace(
        result, fields={**result.fields, **changed}, provenance=_recording(result.provenance, raised)
    )


def _raised(field: Field, before: Field) -> bool:
    pairs = zip(field.distances(field), before.distances(before), strict=True)
    return any(now.tolerance > was.tolerance for now, was in pairs)


def _recording(provenance: Provenance, raised: Mapping[str, Given]) -> Provenance:
    """Record raised tolerances, also those that were raised before, when the same ones are given a second time."""
    known = {**provenance.parameters.get(RAISED_TOLERANCES, {}), **raised}
    if not known:
        return provenance
    return dataclasses.replace(provenance, parameters={**provenance.parameters, RAISED_TOLERANCES: known})


def tolerated_parts(result: Result) -> dict[str, list[str]]:
    """Return the fields of a result that have a tolerance, each with the names that a table for it may have."""
    return {name: _parts(each) for name, each in result.fields.items() if hasattr(each, each.tolerance_attribute)}


def unknown_tolerance(task: str, given: Mapping[str, Given], known: Mapping[str, Collection[str]]) -> UsageError | None:
    """Return the error for the first field, or part of one, that no result of a task has; None if all are known.

    Args:
        task: name of the task.
        given: tolerances by the name of a field.
        known: what `tolerated_parts` returned for results of the task, joined.
    """
    for name, each in given.items():
        if name not in known:
            return unknown_name(f"field in tolerances.{task}", name, known)
        for part in each if isinstance(each, Mapping) else ():
            if part not in known[name]:
                return unknown_name(f"name in tolerances.{task}.{name}", part, known[name])
    return None


def _changed(field: Field, name: str, given: Given) -> Field:
    attribute = field.tolerance_attribute
    if not hasattr(field, attribute):
        raise UsageError(
            f"{name} is a {field.kind}, which has no tolerance: any change of it is a finding. Leave it out."
        )
    # A copy, because some kinds are not made from their attributes. What a field caches does not depend on it.
    made = copy.copy(field)
    object.__setattr__(made, attribute, _tolerance(field, name, given))
    _refuse_above_cap(made, name)
    return made


def _tolerance(field: Field, name: str, given: Given) -> Any:
    before, parts = getattr(field, field.tolerance_attribute), _parts(field)
    if not isinstance(given, Mapping):
        if parts:
            raise UsageError(f"{name} is a number; expected a table with some of {', '.join(parts)} ({field.kind}).")
        return given
    if not parts:
        raise UsageError(f"{name} is a table; expected a number ({field.kind}).")
    mine = {part: value for part, value in given.items() if part in parts}
    if isinstance(before, Mapping):
        return {**before, **mine}
    if dataclasses.is_dataclass(before) and not isinstance(before, type):
        return dataclasses.replace(before, **mine)
    return next(iter(mine.values()), before)


def _parts(field: Field) -> list[str]:
    """Return the names that a table of tolerances may have; none if the tolerance is one number."""
    before = getattr(field, field.tolerance_attribute)
    if isinstance(before, Mapping):
        return list(field.parts()) if isinstance(field, Extensible) else list(before)
    if dataclasses.is_dataclass(before):
        # A whole number in a tolerance counts something, such as seeds; it is no limit.
        return [each.name for each in dataclasses.fields(before) if each.type in (float, "float")]
    return [] if field.tolerance_attribute == Field.tolerance_attribute else [field.tolerance_attribute]


def _refuse_above_cap(field: Field, name: str) -> None:
    """Raise UsageError if a tolerance is above its cap, which the kind of field states wherever it compares."""
    for distance in field.distances(field):
        # A cap such as 1 - 0.5 is computed, and so may come out a little below a tolerance that is meant to equal it.
        if distance.tolerance > distance.cap + 1e-9:
            raise UsageError(
                f"{name}: the tolerance of the {distance.measure} is {distance.tolerance:g}, above its cap "
                f"{distance.cap:g}, from which on it does not tell one explanation from another. Give a smaller one."
            )
