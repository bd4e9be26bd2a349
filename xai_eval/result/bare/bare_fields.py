"""Chooses the kind of field for a bare value: by its type and shape alone, the same way every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from xai_eval.errors import UsageError
from xai_eval.result.bare.frame_table import table_of
from xai_eval.result.bare.one_map import is_scalar, one_map
from xai_eval.result.bare.plain_array import is_array, plain_array
from xai_eval.result.bare.tolerances import Tolerance, of_map, of_mask, of_score, require_known
from xai_eval.result.bare.wrong_value import wrong_value
from xai_eval.result.fields import Field, Mask, Score, SignedMap


def fields_of(value: Any, name: str, where: str, tolerance: Any = None) -> dict[str, Field]:
    """Return the fields of a value by name: one that has the name of the value, or one per entry of a dict.

    Args:
        value: a map, a mask, a number, a data frame, or a dict of these.
        name: of the value.
        where: the call, for errors.
        tolerance: see `field_of`; for a dict, one for all of its entries, or a tolerance by entry.

    Raises:
        UsageError: a value, a name or a tolerance is wrong.
    """
    if not isinstance(value, Mapping):
        return {name: field_of(value, where, tolerance)}
    if not value:
        raise wrong_value(where, value, "It is empty: check that it was filled.")
    for each in value:
        require_name(each, f"{where}, a key of the dict,")
    given = tolerance if isinstance(tolerance, Mapping) else dict.fromkeys(value, tolerance)
    require_known(given, list(value), "entry", where)
    return {entry: field_of(each, f"{where}, entry {entry!r},", given.get(entry)) for entry, each in value.items()}


def field_of(value: Any, where: str, tolerance: Tolerance = None) -> Field:
    """Return the field of one value.

    Args:
        value: a two-dimensional array or tensor of floats is a `SignedMap`, one of bools is a `Mask`, a number a
            `Score`, a pandas DataFrame a `Table`.
        where: the call, for errors.
        tolerance: of a map, the share of its own range that a pixel may differ by, or a `SignedMapTolerance`; of a
            mask, how far the IoU may fall below 1; of a number, the largest absolute difference; of a table, the
            largest absolute difference of all floats, or by column.

    Raises:
        UsageError: the value is of another kind, has another shape, is empty, or holds NaN or infinity.
    """
    if isinstance(value, pd.DataFrame):
        return table_of(value, tolerance, where)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = np.asarray(value, dtype=np.float64)
    if not is_array(value):
        raise wrong_value(where, value, _advice(value))
    array = plain_array(value, where)
    if is_scalar(array):
        if array.dtype.kind == "b":
            raise wrong_value(where, value, "A single bool needs no golden: use assert.")
        return Score(array.item(), of_score(tolerance, array.item(), where))
    single = np.ascontiguousarray(one_map(array, value, where))
    if single.dtype.kind == "b":
        return Mask(single, of_mask(tolerance, where))
    return SignedMap(single, of_map(tolerance, where))


def require_name(name: object, where: str) -> None:
    """Raise UsageError unless `name` is a text that can be read in one line."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(f'{where} got the name {name!r}; expected a text in one line, such as "saliency".')


def _advice(value: object) -> str:
    """Say what to do with a value of a kind that cannot be checked."""
    if type(value).__module__.partition(".")[0] == "shap":
        return (
            "Give the numbers of one image and one class, added up over the channels, such as "
            "explanation.values[0, ..., 0].sum(-1)."
        )
    if isinstance(value, list | tuple):
        return f'Check one of its {len(value)} entries, value[0], or give them names, {{"first": value[0], ...}}.'
    if isinstance(value, Mapping):
        return "A dict in a dict cannot be checked: put its entries into the outer one."
    if isinstance(value, str | bool):
        return "A text or a bool needs no golden: use assert; or make a Result with a Label."
    return "Convert it, or make a Result of the fields in docs/api.md and check that."
