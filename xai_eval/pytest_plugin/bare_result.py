"""Makes the Result of a value that a test computed itself: no task, no model and no image are known."""

from __future__ import annotations

import dataclasses
import platform
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.pytest_plugin.libraries import library_versions
from xai_eval.result.bare.bare_fields import fields_of, require_name
from xai_eval.result.bare.plain_array import is_tensor
from xai_eval.result.bare.wrong_value import described
from xai_eval.result.fields import Field, Mask, SignedMap
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.version import __version__

# All such cases are of one task and one set of inputs, so that a run of all tests finds every golden that is unused.
TASK = "values"
SET = "pytest"
_FOLDER = re.compile(r"[A-Za-z0-9][\w.+-]*")


def bare_result(value: Any, name: str | None, tolerance: Any, item: pytest.Item) -> Result:
    """Return the Result of a value; the test and the name identify its case.

    Args:
        value: a map, a mask, a number, a data frame, or a dict of these by name.
        name: which of the values of the test it is.
        tolerance: see `xai_eval.result.bare.bare_fields.field_of`.
        item: the test.

    Raises:
        UsageError: the value, the name or the tolerance is wrong.
    """
    if name is None:
        raise _no_name(value)
    require_name(name, "xai_golden.check")
    fields = fields_of(value, name, f"xai_golden.check(..., name={name!r})", tolerance)
    case = Case(TASK, "", f"{input_of(test_id(item))}/{name}")
    return Result(case, fields, _stages(fields), _provenance(value, name, item))


def input_of(nodeid: str) -> str:
    """Return what the inputs of all cases of a test begin with, before the names of the values."""
    return f"{SET}/{nodeid}"


def test_id(item: pytest.Item) -> str:
    """Return the id of a test, without the group that pytest-xdist adds to it under `--dist loadgroup`."""
    groups = {str((*mark.args, *mark.kwargs.values(), "default")[0]) for mark in item.iter_markers("xdist_group")}
    return item.nodeid.removesuffix(f"@{'_'.join(sorted(groups))}") if groups else item.nodeid


def require_result(value: object, name: str | None, tolerance: object) -> bool:
    """Return whether a value is a Result, which then needs neither a name nor a tolerance.

    Raises:
        UsageError: it has one of them, or its task cannot be the name of a folder; or it is a list of Results.
    """
    if isinstance(value, list | tuple) and any(isinstance(each, Result) for each in value):
        raise UsageError(
            f"xai_golden.check got {len(value)} Results at once; expected one. Check each of them: "
            "for result in results: xai_golden.check(result)."
        )
    if not isinstance(value, Result):
        return False
    given = [word for word, each in (("name", name), ("tolerance", tolerance)) if each is not None]
    if given:
        raise UsageError(
            f"xai_golden.check got {' and '.join(given)} with the Result of {value.case.key}; expected none, because a "
            "Result names its case, and its fields have their own tolerances. Leave it out."
        )
    if not _FOLDER.fullmatch(value.case.task):
        raise UsageError(
            f"xai_golden.check got a Result of the task {value.case.task!r}; expected letters, digits, '.', '+', '-' "
            "and '_' only, because it becomes the name of a folder. Rename the task of its Case."
        )
    return True


def require_new(name: str | None, before: frozenset[str | None]) -> frozenset[str | None]:
    """Return the names of the values that a test has checked, with one added. Raises UsageError if it is among them."""
    if name in before and name is not None:
        raise UsageError(
            f"xai_golden.check got the name {name!r} twice in one test; expected another name for each value, because "
            "test and name together find the golden. In a loop, make the name from what changes."
        )
    return before | {name}


def _no_name(value: object) -> UsageError:
    return UsageError(
        f"xai_golden.check got {described(value)} without a name; expected a Result of xai_eval, or a value with a "
        'name that tells it from the other values of the test: xai_golden.check(value, name="saliency").'
    )


def _stages(fields: Mapping[str, Field]) -> dict[Stage, Fingerprint]:
    """Return the fingerprint of every map and mask in full, because goldens store maps in coarser form."""
    arrays = {name: field.array for name, field in fields.items() if isinstance(field, SignedMap | Mask)}
    return {Stage(StageKind.VALUE, name): _fingerprint(array) for name, array in arrays.items()}


def _fingerprint(array: NDArray[Any]) -> Fingerprint:
    """Return a fingerprint, without a sketch if the sums in it are too large or too small for single precision."""
    with np.errstate(over="ignore"):
        found = fingerprint_array(array)
    usable = found.sketch is not None and np.isfinite(found.sketch).all() and found.sketch.any() == array.any()
    return found if usable else dataclasses.replace(found, sketch=None)


def _provenance(value: Any, name: str, item: pytest.Item) -> Provenance:
    parts: Mapping[str, Any] = value if isinstance(value, Mapping) else {name: value}
    versions = {"python": platform.python_version(), "xai-eval": __version__}
    return Provenance(
        parameters={"value": {entry: described(part) for entry, part in parts.items()}},
        versions={**versions, **library_versions(item, parts.values())},
        device=next((_device(part) for part in parts.values() if is_tensor(part)), "cpu"),
    )


def _device(tensor: Any) -> str:
    """Return `cpu`, or the name of the GPU."""
    if tensor.device.type != "cuda":
        return str(tensor.device.type)
    import torch

    return str(torch.cuda.get_device_name(tensor.device))
