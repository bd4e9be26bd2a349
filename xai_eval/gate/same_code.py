"""Finds fields that differ although every stage is the same in every bit: then other code made them. Pure.

Tolerances allow what harmless changes of the computation do to a field. Where no stage moved at all, nothing harmless
happened that could move a field. So its numbers have to agree to a few digits of single precision, and counts, flags
and texts exactly. This holds for tasks of this package, whose fields follow from their stages; a task of a user may
measure time, or draw random numbers that no stage records.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xai_eval.gate.unwatched import watched_pairs
from xai_eval.result.bundled_tasks import BUNDLED
from xai_eval.result.class_list import CLASS_LIST, moved_classes
from xai_eval.result.fields import Document, Field, Finding, Gallery, Severity, Table
from xai_eval.result.naming import plain, title, words
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

# Curves ask the model for more predictions than any stage records. In batches of another size these differ by 1e-6.
_ROUNDING = 1e-4
_SMALLEST = 1e-9
# What a field says of how it is judged, and the description of the model, which other spellings change.
_JUDGING = frozenset({"tolerance", "score_tolerance", "least_iou", "possible", "unjudged", "undecided"})
_ABOUT_THE_MODEL = "model"
CLASSES = "classes"
_READ = "the digest of what is only for reading"
# Libraries that write images, each version in its own way.
_OF_IMAGES = "pillow"
_PACKAGE = "xai-eval"
_NAMED = 5  # places of classes that a sentence spells out


def findings_of_same_stages(obtained: Result, golden: Result) -> tuple[Finding, ...]:
    """Return what differs in the fields although no stage moved; nothing if one did, or if the golden lacks one."""
    if not _all_stages_equal(obtained, golden):
        return ()
    return (*_of_classes(obtained, golden), *_of_fields(obtained, golden))


def _all_stages_equal(obtained: Result, golden: Result) -> bool:
    # Which version of this package the golden claims does not matter: otherwise any number could be excused by it.
    ours = obtained.case.task in BUNDLED and _PACKAGE in obtained.provenance.versions
    comparable = ours and obtained.case == golden.case
    now, was = (_before_the_fields(each) for each in (obtained, golden))
    return comparable and now == was


def _before_the_fields(result: Result) -> dict[Stage, str]:
    """Return the digests of all stages but trials, from which no field follows: an earlier golden may lack these."""
    return {stage: each.digest for stage, each in result.stages.items() if stage.kind is not StageKind.TRIAL}


def _of_classes(obtained: Result, golden: Result) -> Iterator[Finding]:
    """Yield a finding if classes changed places in their list. A new name in an old place is no such change."""
    now, was = (each.provenance.parameters.get(CLASS_LIST) for each in (obtained, golden))
    places = [] if now is None or was is None else moved_classes(now, was)
    if places:
        listed = ", ".join(map(str, places[:_NAMED]))
        sentence = f"{len(places)} classes have other places in the list of classes, such as those at {listed}"
        yield Finding(CLASSES, Severity.CONCLUSION, "places", sentence)


def _of_fields(obtained: Result, golden: Result) -> Iterator[Finding]:
    images_alike = _version(obtained) == _version(golden)
    for name, now, was in watched_pairs(obtained, golden):
        if name == _ABOUT_THE_MODEL or (isinstance(now, Gallery) and not images_alike):
            continue
        # What curves are made of may differ by rounding behind equal stages, and so may what is chosen by them.
        chosen = now.choosing_as(was) if isinstance(now, Document | Table) else now
        differing = _first_difference(_content(chosen), _content(was))
        if differing:
            part, before, after = differing
            sentence = (
                f"{plain(part)} of {title(name)}: {_shown(before)} became {_shown(after)}, although every stage that "
                "it is computed from is the same in every bit"
            )
            yield Finding(name, Severity.NUMBERS, f"{part}, from equal stages", sentence)


def _version(result: Result) -> str | None:
    return result.provenance.versions.get(_OF_IMAGES)


def _content(field: Field) -> Mapping[str, Any]:
    """Return what a golden keeps of a field, by the name of the part: columns of tables, otherwise what is stored."""
    kept = field.condensed()
    if kept is None:
        return {}
    if isinstance(kept, Table):
        read = {_READ: kept.read} if kept.read else {}
        return {**{words(each.name): each.values for each in kept.columns}, **read}
    meta = {
        _READ if name == "read" else words(name): value for name, value in kept.meta().items() if name not in _JUDGING
    }
    return {**meta, **{words(name): array for name, array in kept.arrays().items() if name not in _JUDGING}}


def _first_difference(now: Mapping[str, Any], was: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return the first part of both in which they differ, with the first two values that do."""
    for part in (name for name in was if name in now):
        found = _differing(now[part], was[part])
        if found is not None:
            return part, *found
    return None


def _differing(now: Any, was: Any) -> tuple[Any, Any] | None:
    """Return the first values, before and after, in which two parts differ; None if they are alike."""
    if isinstance(now, np.ndarray) and isinstance(was, np.ndarray):
        if now.shape != was.shape:
            return was.shape, now.shape
        return _differing(now.ravel().tolist(), was.ravel().tolist())
    if isinstance(now, Mapping) and isinstance(was, Mapping):
        return _differing([*now, *now.values()], [*was, *was.values()])
    if isinstance(now, list | tuple) and isinstance(was, list | tuple):
        return _differing_rows(now, was)
    return None if _alike(now, was, 0.0) else (was, now)


def _differing_rows(now: Sequence[Any], was: Sequence[Any]) -> tuple[Any, Any] | None:
    if len(now) != len(was):
        return f"{len(was)} entries", f"{len(now)} entries"
    if now == was:
        return None
    # Numbers of one part have one scale: near to 0 they are as rough as the largest.
    scale = max((abs(each) for each in was if isinstance(each, float) and math.isfinite(each)), default=0.0)
    for after, before in zip(now, was, strict=True):
        inner = isinstance(before, Mapping | list | tuple)
        found = _differing(after, before) if inner else None if _alike(after, before, scale) else (before, after)
        if found is not None:
            return found
    return None


def _alike(now: Any, was: Any, scale: float) -> bool:
    if isinstance(now, float) and isinstance(was, float):
        both_missing = math.isnan(now) and math.isnan(was)
        return both_missing or math.isclose(now, was, rel_tol=_ROUNDING, abs_tol=_ROUNDING * scale + _SMALLEST)
    return bool(now == was)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
