"""The measured noise of a case: how far harmless changes, such as the number of threads, change its result."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from xai_eval.disk.files import accessible, exists, read_json, write_files
from xai_eval.disk.signed import canonical, sign, signed_object
from xai_eval.disk.typed import WrongValue, read_as, shown
from xai_eval.errors import StorageError, UsageError
from xai_eval.result.fields.numbers import to_json
from xai_eval.result.result import stored_digest
from xai_eval.result.stage import Stage

NOISE_FILE = "noise.json"
SCHEMA = 3
_BY_FIELD = ("distances", "shifts")
# A condition is a harmless change, by its name. ByField goes from field to measure to condition.
ByCondition = Mapping[str, float]
ByField = Mapping[str, Mapping[str, ByCondition]]


@dataclass(frozen=True)
class LargestNoise:
    """The largest change that a harmless change caused, and the name of this condition."""

    value: float
    condition: str


@dataclass(frozen=True)
class Noise:
    """By how much harmless changes (the conditions) changed the result of one case.

    Attributes:
        golden: digest of the golden that it was measured for; for another golden it is outdated.
        distances: how far each field changed, in the unit of its tolerance, by measure and condition.
        shifts: the same with a sign, for measures that have a direction.
        stages: relative change of each stage by condition.
        unmeasured: conditions under which the model or the task cannot run, with the reason.
        versions: library name -> version, at the time of measuring.
        device: as torch names it.
        precision: flags of torch that change arithmetic, and autocast; none if it was measured before they were stored.
    """

    golden: str
    distances: ByField
    shifts: ByField = field(default_factory=dict)
    stages: Mapping[Stage, ByCondition] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    precision: Mapping[str, Any] = field(default_factory=dict)

    def largest_distance(self, field_name: str, measure: str) -> LargestNoise | None:
        """Return the largest distance of a field in a measure; None if it was not measured."""
        return _largest(self.distances.get(field_name, {}).get(measure, {}))

    def largest_shift(self, field_name: str, measure: str) -> LargestNoise | None:
        """Return the largest shift in either direction; None if it was not measured."""
        return _largest(self.shifts.get(field_name, {}).get(measure, {}))

    def largest_stage_change(self, stage: Stage) -> LargestNoise | None:
        """Return the largest relative change of a stage; None if it was not measured."""
        return _largest(self.stages.get(stage, {}))

    def save(self, place: Path, root: Path | None = None) -> None:
        """Write `noise.json` into the folder of the golden; `root` is that of `write_files`.

        Raises:
            StorageError: it cannot be written.
        """
        every = (self.distances, self.shifts, self.stages)
        conditions = list(dict.fromkeys(name for each in every for name in _conditions(each)))
        document = {
            "schema": SCHEMA,
            **vars(self),
            "conditions": conditions,
            **{name: _rows(getattr(self, name), conditions) for name in _BY_FIELD},
            "stages": [
                {**stage.document, "changes": _rows(changes, conditions)} for stage, changes in self.stages.items()
            ],
        }
        # The file has no line breaks, to save bytes: nobody reviews noise number by number.
        write_files(place, {NOISE_FILE: f"{canonical(sign(document))}\n".encode()}, root=root)

    @classmethod
    def load(cls, place: Path) -> Noise | None:
        """Read `noise.json` in the folder of a golden; None if there is none.

        Raises:
            StorageError: truncated, of another schema, or edited by hand.
        """
        path = place / NOISE_FILE
        with accessible(path):
            if not exists(path):
                return None
        try:
            with accessible(path):
                document = read_json(path)
            document = signed_object(document)
            if document.get("schema") != SCHEMA:
                raise ValueError(f"its schema is {shown(document.get('schema'))}, but this version reads {SCHEMA}")
            return _restored(read_as(_Stored, document))
        except (ValueError, UsageError) as error:
            raise StorageError(
                f"{path} is not valid noise ({error}). Restore it from version control, or run `xai-eval calibrate`."
            ) from error


# What was measured under each condition, null where nothing was; an empty object if there were no conditions.
_Row = tuple[float | None, ...] | Mapping[str, float]


@dataclass(frozen=True)
class _StoredStage:
    """The noise of one stage as it is stored."""

    kind: str
    changes: _Row
    of: str = ""
    model: str = ""


@dataclass(frozen=True)
class _Stored:
    """The document as it is stored."""

    schema: int
    golden: str
    conditions: tuple[str, ...]
    distances: Mapping[str, Mapping[str, _Row]]
    shifts: Mapping[str, Mapping[str, _Row]]
    stages: tuple[_StoredStage, ...]
    unmeasured: Mapping[str, str]
    versions: Mapping[str, str]
    device: str
    digest: str
    precision: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.conditions)) < len(self.conditions):
            raise WrongValue("has two of one name; expected different ones", ".conditions")


def _restored(stored: _Stored) -> Noise:
    distances, shifts = (_by_field(each, stored.conditions) for each in (stored.distances, stored.shifts))
    stages = {Stage.restored(vars(each)): _by_condition(each.changes, stored.conditions) for each in stored.stages}
    made = stored.unmeasured, stored.versions, stored.device, stored.precision
    return Noise(stored.golden, distances, shifts, stages, *made)


def _conditions(value: Mapping[Any, Any]) -> Iterator[str]:
    """Yield the names of conditions, which are on the deepest level."""
    for name, each in value.items():
        if isinstance(each, Mapping):
            yield from _conditions(each)
        else:
            yield name


def _rows(value: Mapping[str, Any], conditions: Sequence[str]) -> Any:
    """Turn numbers by condition into rows in the order of `conditions`, with None for what was not measured."""
    if any(isinstance(each, Mapping) for each in value.values()):
        return {name: _rows(each, conditions) for name, each in value.items()}
    # Most are 0, which is shorter without its point.
    return [(to_json(value[name]) or 0) if name in value else None for name in conditions] if value else {}


def _by_field(value: Mapping[str, Mapping[str, _Row]], conditions: Sequence[str]) -> ByField:
    """Undo `_rows`."""
    return {
        name: {measure: _by_condition(row, conditions) for measure, row in each.items()} for name, each in value.items()
    }


def _by_condition(row: _Row, conditions: Sequence[str]) -> ByCondition:
    if len(row) != (0 if isinstance(row, Mapping) else len(conditions)):
        raise WrongValue(f"has {len(row)} numbers; expected one for each of {len(conditions)} conditions")
    pairs = () if isinstance(row, Mapping) else zip(conditions, row, strict=True)
    return {name: float(each) for name, each in pairs if each is not None}


def _largest(distances: ByCondition) -> LargestNoise | None:
    if not distances:
        return None
    condition = max(distances, key=lambda name: abs(distances[name]))
    return LargestNoise(abs(distances[condition]), condition)


@dataclass(frozen=True)
class Measured:
    """Usable noise of goldens by case key, and one sentence per file that cannot be used."""

    noises: Mapping[str, Noise]
    unusable: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """The noise beside a golden, and whether it was measured for it."""

    noise: Noise
    standing: bool


_Loaded = _Found | StorageError | None


def _loaded(folder: Path, key: str) -> _Loaded:
    """Read the noise beside a golden; None if there is none."""
    try:
        noise = Noise.load(folder / key)
        return None if noise is None else _Found(noise, noise.golden == stored_digest(folder / key))
    except StorageError as error:
        return error


class OverKeys(Protocol):
    """Does something with each key, in order, as `map` does."""

    def __call__(self, work: Callable[[str], _Loaded], keys: Sequence[str], /) -> Iterable[_Loaded]:
        """Return what `work` returns for each key."""
        ...


def load_noises(folder: Path, keys: Iterable[str], over: OverKeys = map) -> Measured:
    """Read the noise of the goldens `keys` in `folder`. Outdated noise is named in a sentence and not used.

    `over` is what reads all of them; several processes may do it at once.
    """
    noises, unusable, stale = {}, [], []
    every = list(keys)
    for key, found in zip(every, over(functools.partial(_loaded, folder), every), strict=True):
        if isinstance(found, StorageError):
            unusable.append(str(found))
        elif found is not None and found.standing:
            noises[key] = found.noise
        elif found is not None:
            stale.append(key)
    if stale:
        others = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
        unusable.append(
            f"the noise of {stale[0]}{others} was measured for a golden that has been replaced since then. Run "
            "`xai-eval calibrate`."
        )
    return Measured(noises, tuple(unusable))
