"""Puts tolerances of the user in place of those that a task states, never above their caps."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from xai_eval.errors import UsageError, unknown_name
from xai_eval.result.fields import Extensible, Field
from xai_eval.result.result import Result

Given = float | Mapping[str, float]


def with_tolerances(result: Result, given: Mapping[str, Given]) -> Result:
    """Return a result whose fields have the given tolerances.

    Args:
        result: of a task.
        given: by the name of a field. One number replaces a tolerance that is one number. A table of numbers replaces
            parts of a tolerance (`largest`, `top`, ... of a map), or the tolerances of columns of a table. Fields that
            the result does not have are left out.

    Raises:
        UsageError: the field has no such tolerance, or the tolerance is above its cap.
    """
    place = f"tolerances.{result.case.task}"
    changed = {
        name: _changed(result.fields[name], f"{place}.{name}", each)
        for name, each in given.items()
        if name in result.fields
    }
    return dataclasses.replace(result, fields={**result.fields, **changed}) if changed else result


def _changed(field: Field, name: str, given: Given) -> Field:
    attribute = field.tolerance_attribute
    if not hasattr(field, attribute):
        raise UsageError(f"{name} ({field.kind}) has no tolerance: any change of it is a finding. Leave it out.")
    before = getattr(field, attribute)
    # A tolerance that is an attribute of another name is given by that name, as in `lime_top5 = {least_iou = 0.8}`.
    named = isinstance(given, Mapping) and not isinstance(before, Mapping) and set(given) == {attribute}
    tolerance = _tolerance(field, name, before, given[attribute] if named else given)  # type: ignore[index]
    # A copy, because some kinds are not made from their attributes. What a field caches does not depend on it.
    made = copy.copy(field)
    object.__setattr__(made, attribute, tolerance)
    _refuse_above_cap(made, name)
    return made


def _tolerance(field: Field, name: str, before: Any, given: Given) -> Any:
    parts = _parts(field, before)
    if isinstance(given, Mapping):
        for part in given:
            if part not in parts:
                raise _unknown_part(field, name, part, parts)
        joined = {**before, **given} if isinstance(before, Mapping) else None
        return dataclasses.replace(before, **given) if joined is None else joined
    if parts:
        raise UsageError(f"{name} ({field.kind}) is one number; expected a table with some of {', '.join(parts)}.")
    return given


def _parts(field: Field, before: Any) -> list[str]:
    """Return the names that a table of tolerances may have; none if the tolerance is one number."""
    if isinstance(before, Mapping):
        return list(field.parts()) if isinstance(field, Extensible) else list(before)
    if dataclasses.is_dataclass(before):
        # A whole number in a tolerance counts something, such as seeds; it is no limit.
        return [each.name for each in dataclasses.fields(before) if each.type in (float, "float")]
    return []


def _unknown_part(field: Field, name: str, part: str, parts: list[str]) -> UsageError:
    if not parts:
        return UsageError(f"{name} ({field.kind}) has a table of tolerances; expected one number.")
    return unknown_name(f"tolerance of {name} ({field.kind})", part, parts)


def _refuse_above_cap(field: Field, name: str) -> None:
    """Raise UsageError if a tolerance is above its cap, which the kind of field states wherever it compares."""
    for distance in field.distances(field):
        # Written as sums of rounded numbers, a tolerance may come out above a cap that it equals.
        if distance.tolerance > distance.cap + 1e-9:
            raise UsageError(
                f"{name} ({field.kind}), {distance.measure}: the tolerance {distance.tolerance:g} is above its cap "
                f"{distance.cap:g}, at which it no longer tells one explanation from another. Give a smaller one."
            )
