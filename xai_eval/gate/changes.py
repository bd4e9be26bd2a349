"""Lists what changed in the recorded circumstances of a case since its golden was accepted, each with its kind."""

from __future__ import annotations

import dataclasses
import enum
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xai_eval.result.class_list import CLASS_LIST, described, same_names
from xai_eval.result.precisions import AUTOCAST
from xai_eval.result.result import Provenance, Result
from xai_eval.result.without_effect import with_effect

# All other digests are of weights: of the model, of each of several models, or of CLIP.
DIGESTS_OF_INPUTS = frozenset({"image", "images", "probe", "concepts"})
IMAGE_NAME = "name"  # what a change is called that is of the name of an image alone
PARAMETER_PREFIX = "parameter "  # in front of the name of a setting that a result records
_SOURCE_OF_NAMES = "classes"  # the parameter that says where the names of classes come from


class ChangeKind(enum.StrEnum):
    """Kinds of changes between two runs.

    `NAME`: an image or a class is called otherwise, and is the same, or the same names of classes come from elsewhere.
    `NOTHING`: no recorded value changed, so the code
    itself must have.
    """

    WEIGHTS = "weights"
    VERSION = "version"
    PARAMETER = "parameter"
    SEED = "seed"
    INPUT = "input"
    DEVICE = "device"
    PRECISION = "precision"
    NAME = "name"
    NOTHING = "nothing recorded"


@dataclass(frozen=True)
class Change:
    """One recorded value that changed since the golden was accepted."""

    what: str
    before: str
    after: str
    kind: ChangeKind

    def __str__(self) -> str:
        return f"{self.what} {self.before} -> {self.after}"


def changes_between(obtained: Result, golden: Result) -> tuple[Change, ...]:
    """List what changed, the likeliest cause first: the model, `provenance_changes`, the name of the image.

    Last come parameters of the case that cannot change an answer. The others are not listed: see `parameter_changes`.
    """
    now, was = obtained.case, golden.case
    changes = provenance_changes(obtained.provenance, golden.provenance)
    model = () if now.model == was.model else (Change("model", was.model, now.model, ChangeKind.WEIGHTS),)
    same_name = _called(now.input) == _called(was.input)
    name = () if same_name else (Change(IMAGE_NAME, was.input, now.input, ChangeKind.NAME),)
    return (*model, *changes, *name, *_without_effect(now.params, was.params))


def _without_effect(now: Mapping[str, Any], was: Mapping[str, Any]) -> Iterator[Change]:
    decisive = set(parameter_changes(with_effect(now), with_effect(was)))
    return (each for each in parameter_changes(now, was) if each not in decisive)


def _called(name: str) -> str:
    """Return a name as people read it: in one spelling of Unicode, and without the number of images of a set."""
    return re.sub(r" \(\d+ images?\)$", "", unicodedata.normalize("NFC", name))


def provenance_changes(now: Provenance, was: Provenance) -> tuple[Change, ...]:
    """List the differences in how two results were computed, the likeliest cause first."""
    return (
        *map(_of_input, _changes(ChangeKind.WEIGHTS, was.digests, now.digests, shorten=True)),
        *_changes(ChangeKind.VERSION, was.versions, now.versions),
        *_other_classes(was.parameters.get(CLASS_LIST), now.parameters.get(CLASS_LIST)),
        *_other_source_of_names(was.parameters, now.parameters),
        *_changes(ChangeKind.PARAMETER, _own(was, now), _own(now, was), prefix=PARAMETER_PREFIX),
        *_changes(ChangeKind.DEVICE, {"device": was.device}, {"device": now.device}),
        *_changes(ChangeKind.SEED, {"seed": was.seed}, {"seed": now.seed}),
        *_changes(ChangeKind.PRECISION, _told(was.precision), _told(now.precision), prefix="precision "),
    )


def parameter_changes(now: Mapping[str, Any], was: Mapping[str, Any]) -> tuple[Change, ...]:
    """List the differences between the parameters of two cases."""
    return tuple(_changes(ChangeKind.PARAMETER, was, now))


def _own(provenance: Provenance, other: Provenance) -> dict[str, Any]:
    """Return the parameters without those of the classes that are told otherwise."""
    apart = {CLASS_LIST, *([_SOURCE_OF_NAMES] if _same_names(provenance.parameters, other.parameters) else [])}
    return {name: value for name, value in provenance.parameters.items() if name not in apart}


def _same_names(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    now, was = one.get(CLASS_LIST), other.get(CLASS_LIST)
    try:
        return isinstance(now, Mapping) and isinstance(was, Mapping) and same_names(now, was)
    except (KeyError, ValueError):  # a golden may claim anything
        return False


def _other_source_of_names(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """Tell that the same names come from elsewhere, such as a file in place of the weights: no cause of anything."""
    before, after = (str(each.get(_SOURCE_OF_NAMES, "not recorded")) for each in (was, now))
    if before != after and _same_names(was, now):
        yield Change("source of the class names", before, after, ChangeKind.NAME)


def _told(precision: Mapping[str, Any]) -> dict[str, Any]:
    """Return a precision with autocast, which is recorded only if it is on; older goldens never record it."""
    return {**precision, AUTOCAST: precision.get(AUTOCAST, "off")}


def _other_classes(was: Any, now: Any) -> Iterator[Change]:
    """Tell which classes of the model have other names or ids; nothing of a golden that records no classes."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)) or was.get("digest") == now.get("digest"):
        return
    try:
        before, after = described(was), described(now, was)
    except (KeyError, ValueError):  # a golden may claim anything
        before, after = "a list that cannot be read", described(now)
    yield Change(CLASS_LIST, before, after, ChangeKind.PARAMETER)


def _of_input(change: Change) -> Change:
    return dataclasses.replace(change, kind=ChangeKind.INPUT) if change.what in DIGESTS_OF_INPUTS else change


def _changes(
    kind: ChangeKind, was: Mapping[str, Any], now: Mapping[str, Any], *, prefix: str = "", shorten: bool = False
) -> Iterator[Change]:
    def show(mapping: Mapping[str, Any], key: str) -> str:
        text = str(mapping.get(key, "none"))
        return text[:8] if shorten else text

    if was == now:  # as almost always
        return
    was, now = dict(_flat(was)), dict(_flat(now))
    for key in dict.fromkeys((*was, *now)):
        if was.get(key) != now.get(key):
            yield Change(prefix + key, show(was, key), show(now, key), kind)


def _flat(mapping: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten nested mappings, so that only the value that changed is named: {a: {b: 1}} gives ('a b', 1)."""
    for name, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name} ")
        else:
            yield f"{above}{name}", value
