"""Ask metrics what they say of known inputs, and refuse to measure with one that misses its known answer."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import MetricMisbehaves, one_line, unknown_name
from xai_eval.inputs.downloads import bundled
from xai_eval.tasks.reference.questions import QUESTIONS, Questions

# A number, a text, or None for a NaN and for what is not there.
Answer = float | str | None
# Libraries round the last digits in other ways.
RELATIVE, ABSOLUTE = 1e-6, 1e-9


@cache
def check_metrics(modules: tuple[str, ...]) -> None:
    """Hold every metric of some modules to its known answers. Each process asks once.

    Args:
        modules: where the metrics are, such as `metrics.localisation`: keys of `QUESTIONS`.

    Raises:
        MetricMisbehaves: a metric misses a known answer, or raises.
        InputUnavailable: the known answers are missing or damaged.
        UsageError: nothing is known of a module.
    """
    for name in modules:
        if name not in QUESTIONS:
            raise unknown_name("module of metrics", name, QUESTIONS)
    for module in (name for name in QUESTIONS if name in modules):
        for metric, questions in QUESTIONS[module].items():
            _check_metric(module, metric, questions())


def answers(found: object) -> list[Answer]:
    """Return the numbers and texts that say what a metric found, whatever its type."""
    return list(_answers(found))


def _check_metric(module: str, metric: str, questions: Questions) -> None:
    expected = _known_answers()[f"{module}.{metric}"]
    try:
        asked = getattr(importlib.import_module(f"xai_eval.{module}"), metric)
        # A table, such as the objectives of a search, is its own answer.
        got = [answers(asked(*arguments) if callable(asked) else asked) for arguments in questions]
    except Exception as error:  # whatever a changed library may raise
        raise _refusal(module, metric, f"it raises {one_line(error)}") from error
    for miss in filter(None, map(_miss, expected, got)):
        raise _refusal(module, metric, miss)


@cache
def _known_answers() -> Mapping[str, Sequence[Sequence[Answer]]]:
    found: dict[str, Sequence[Sequence[Answer]]] = json.loads(bundled("known_answers").read_text(encoding="utf-8"))
    return found


def _miss(expected: Sequence[Answer], got: Sequence[Answer]) -> str:
    """Say what was expected and what came; empty where the answers are the same."""
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
        "scikit-image, scikit-learn, torch), has changed: undo that. If the metric was changed on purpose, change its "
        "reference in fixtures/known_answers.py too, and run that file.",
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
    """Its area, and a digest that no other mask has."""
    digest = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    return f"a mask of {int(mask.sum())} pixels with digest {digest[:8]}"
