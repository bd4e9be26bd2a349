"""Calls the metrics on inputs with known results, and refuses to measure if a metric gives another result."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.door import read_bytes
from xai_eval.disk.strict_json import parse_json
from xai_eval.errors import MetricMisbehaves, error_line, unknown_name
from xai_eval.inputs.downloads import bundled
from xai_eval.tasks.reference.known_arguments import KNOWN_ARGUMENTS, ArgumentTuples

# A number, a text, or None for NaN and for a missing value.
Answer = float | str | None
# The largest allowed differences, because the last digits depend on the versions of libraries.
RELATIVE, ABSOLUTE = 1e-6, 1e-9


@cache
def check_metrics(modules: tuple[str, ...]) -> None:
    """Check that all metrics of some modules give their known answers. Each process does it once.

    Args:
        modules: modules of metrics, such as `metrics.localisation`. They must be keys of `KNOWN_ARGUMENTS`.

    Raises:
        MetricMisbehaves: a metric gives another answer than the known one, or raises an error.
        InputUnavailable: the file of known answers is missing or damaged.
        UsageError: there are no known answers for a module.
    """
    for name in modules:
        if name not in KNOWN_ARGUMENTS:
            raise unknown_name("module of metrics", name, KNOWN_ARGUMENTS)
    for module in (name for name in KNOWN_ARGUMENTS if name in modules):
        for metric, arguments_of_calls in KNOWN_ARGUMENTS[module].items():
            _check_metric(module, metric, arguments_of_calls())


def answers(found: object) -> list[Answer]:
    """Flatten the result of a metric, of whatever type, to a list of numbers and texts."""
    return list(_answers(found))


def _check_metric(module: str, metric: str, arguments_of_calls: ArgumentTuples) -> None:
    expected = _known_answers()[f"{module}.{metric}"]
    try:
        found: object = getattr(importlib.import_module(f"xai_eval.{module}"), metric)
        # A table, such as the objectives of a search, is its own answer.
        got = [answers(found(*arguments) if callable(found) else found) for arguments in arguments_of_calls]
    except Exception as error:  # A changed library may raise anything.
        raise _refusal(module, metric, f"it raises {error_line(error)}") from error
    for miss in filter(None, map(_miss, expected, got)):
        raise _refusal(module, metric, miss)


@cache
def _known_answers() -> Mapping[str, Sequence[Sequence[Answer]]]:
    found: dict[str, Sequence[Sequence[Answer]]] = parse_json(read_bytes(bundled("known_answers"), follow=True))
    return found


def _miss(expected: Sequence[Answer], got: Sequence[Answer]) -> str:
    """Describe the first difference; return an empty text if the answers are the same."""
    if len(expected) != len(got):
        return f"expected {len(expected)} values, got {len(got)}"
    wrong = [pair for pair in zip(expected, got, strict=True) if not _same(*pair)]
    return f"expected {wrong[0][0]!r}, got {wrong[0][1]!r}" if wrong else ""


def _same(expected: Answer, got: Answer) -> bool:
    if isinstance(expected, str) or isinstance(got, str) or expected is None or got is None:
        return expected == got
    return math.isclose(expected, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _refusal(module: str, metric: str, miss: str) -> MetricMisbehaves:
    return MetricMisbehaves(
        metric,
        f"the metric {metric} (xai_eval.{module}) misses its known answer on inputs that never change: {miss}. Nothing "
        "is measured with it, because its numbers would be wrong. Its code, or a library that it calls (numpy, scipy, "
        "scikit-image, scikit-learn, torch), has changed. Undo that change. If the metric was changed on purpose, "
        "change its reference in fixtures/known_answers.py too, and run that file.",
    )


def _answers(found: Any) -> Iterator[Answer]:
    if found is None or isinstance(found, str):
        yield found
    elif isinstance(found, np.ndarray) and found.dtype == bool and found.ndim == 2:
        yield _mask_in_words(found)
    elif isinstance(found, np.ndarray):
        yield from _answers(found.ravel().tolist())
    elif dataclasses.is_dataclass(found):
        yield from _answers([getattr(found, name) for name in _fields_and_properties(found)])
    elif hasattr(found, "columns"):
        yield from _answers({name: found[name].tolist() for name in found.columns})
    elif isinstance(found, Mapping):
        yield from _answers([*found, *found.values()])
    elif isinstance(found, Iterable):
        for each in found:
            yield from _answers(each)
    else:
        number = float(found)
        yield None if math.isnan(number) else number


def _fields_and_properties(found: Any) -> list[str]:
    properties = [name for name, value in vars(type(found)).items() if isinstance(value, property)]
    return [*(field.name for field in dataclasses.fields(found)), *properties]


def _mask_in_words(mask: NDArray[np.bool_]) -> str:
    """Describe a mask by its area and its digest, because the mask itself would be too long for the file."""
    digest = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    return f"a mask of {int(mask.sum())} pixels with digest {digest[:8]}"
