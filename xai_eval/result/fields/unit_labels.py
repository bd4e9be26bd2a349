"""Which concept every unit of a model stands for, by one method."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.disk.strict_json import parse_json
from xai_eval.disk.typed import WrongValue, entry, read_as
from xai_eval.result.fields.base import Arrays, Difference, Field, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import all_apart
from xai_eval.result.fields.stored_arrays import stored_array
from xai_eval.result.fields.table import Column, Table, digest_of, restored_columns

COLUMNS = ("unit", "label", "score", "second", "margin")
_TEXTS, _NUMBERS = ("unit", "label", "second"), ("score", "margin")
# Flags that are only for reading, and what they are where a task has none.
_FLAGS, _RATE = {"dead": False, "interpretable": True}, "false_discovery_rate"
_NAMED = 5  # changed labels that a sentence spells out
_LEAD_OF_SECOND = "second_margin"
_FINENESS = 64  # goldens round scores to this part of the tolerance


@register
@dataclass(frozen=True)
class UnitLabels(Field):
    """Which concept every unit of a model stands for, one row per unit.

    Attributes:
        frame: begins with the columns `unit` (unique, such as "layer4/17"), `label` (None if the unit has none),
            `score`, `second` (the runner-up) and `margin` (how much lower the score of the runner-up is). Further
            columns are only for reading, and not stored in a golden. If one is called `second_margin` (how much lower
            the third best score is than that of the runner-up), another runner-up is a change, unless the two are tied.
        tolerance: largest difference of a score.
        read: what a golden keeps of the texts, flags and counts that are only for reading: their digest; empty if
            there are none.
    """

    kind: ClassVar[str] = "unit labels"
    frame: pd.DataFrame
    tolerance: float
    read: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        if tuple(self.frame.columns[: len(COLUMNS)]) != COLUMNS:
            raise ValueError(f"unit labels begin with the columns {COLUMNS}, got {tuple(self.frame.columns)}")
        object.__setattr__(self, "frame", Table(self.frame).frame)

    @property
    def units(self) -> pd.DataFrame:
        """The rows, with the columns for reading that reports show: layer, flags, and false discovery rate.

        A field of another task, or one that somebody changed, may lack them or hold other values there. Then the layer
        is what precedes the last slash of the unit, and nothing is said against the unit.
        """
        frame = self.frame
        layer = frame["unit"].str.rpartition("/")[0] if "layer" not in frame else frame["layer"]
        known: dict[str, Any] = {"layer": layer.astype(str)}
        for name, usual in _FLAGS.items():
            known[name] = frame[name] if name in frame and frame[name].dtype == bool else usual
        rate = frame.get(_RATE)
        known[_RATE] = rate if rate is not None and pd.api.types.is_numeric_dtype(rate) else 0.0
        return frame.assign(**known)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The judged columns, texts as JSON: one array per text would be too large for thousands of units."""
        texts = {name: _packed(self.frame[name].tolist()) for name in _TEXTS}
        return texts | {name: self.frame[name].to_numpy(np.float64) for name in _NUMBERS}

    def meta(self) -> dict[str, Any]:
        """The columns for reading, or their digest, and the tolerance."""
        also = {"read": self.read} if self.read else {}
        return {"columns": self._reading.meta()["columns"][1:], "score_tolerance": self.tolerance, **also}

    @property
    def _reading(self) -> Table:
        return Table(self.frame.drop(columns=[name for name in COLUMNS if name != "unit"]))

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        cells = {name: Column(name, "text", _texts(arrays, name)) for name in _TEXTS}
        numbers = {name: stored_array(arrays, name, "fiu", axes=1).astype(np.float64) for name in _NUMBERS}
        cells |= {name: Column(name, "float", tuple(each.tolist())) for name, each in numbers.items()}
        frame = Table.of_columns((*(cells[name] for name in COLUMNS), *restored_columns(meta))).frame
        return cls(frame, entry(meta, "score_tolerance", float), entry(meta, "read", str, ""))

    def condensed(self) -> UnitLabels:
        """Return the judged columns, with scores and margins rounded to a small part of the tolerance."""
        kept = self.frame[list(COLUMNS)].copy()
        kept[list(_NUMBERS)] = _rounded(kept[list(_NUMBERS)].to_numpy(np.float64), self.tolerance / _FINENESS)
        return UnitLabels(kept, self.tolerance, self.read or digest_of(self._reading.columns[1:]))

    def differences(self, golden: UnitLabels) -> Iterator[Difference]:
        """The share of units with another label, and for the other units the largest differences of score and margin.

        Labels can be tied. A swap between label and runner-up is then no change, and the best scores are compared.
        In the same way, another runner-up is a change only if it leads the third by more than its tie explains.
        """
        now, was = (each.frame.set_index("unit") for each in (self, golden))
        shared = was.index[was.index.isin(now.index)]
        units = _SharedUnits(now.loc[shared], was.loc[shared])
        moved = units.moved(self.tolerance)
        if not len(was) == len(now) == len(shared):
            sentence = f"{len(was)} units became {len(now)}; both have {len(shared)} of them"
            yield Difference("labels", math.inf, 0.0, [Statement(Severity.CONCLUSION, "units", sentence)], moved)
            return
        # A margin is the difference of two scores, each of which may change by the tolerance.
        most_of_margin = 2 * self.tolerance
        tied = units.tied(most_of_margin)
        changed = ~units.label & ~tied
        yield Difference("labels", float(changed.sum()) / max(len(was), 1), 0.0, units.statements(changed), moved)
        yield units.farthest("score", self.tolerance, units.label | tied)
        yield units.farthest("margin", most_of_margin, units.label)
        other = units.other_second(most_of_margin)
        yield Difference("runner-up", float(other.sum()) / max(len(was), 1), 0.0, units.second_statements(other))


class _SharedUnits:
    """The units that result and golden share; `label` (units,) marks those whose label is the same in both."""

    def __init__(self, now: pd.DataFrame, was: pd.DataFrame) -> None:
        self.now, self.was = now, was
        self.label: NDArray[np.bool_] = now["label"].to_numpy() == was["label"].to_numpy()

    def tied(self, most: float) -> NDArray[np.bool_]:
        """Mark units of which another label is tied with that of the golden, which is the runner-up now.

        The other label need not have been the runner-up: three can be tied. By both margins, the first two are.
        """
        now, was, second = self.now["label"], self.was["label"], self.now["second"]
        swapped = ~self.label & (was.to_numpy() == second.to_numpy()) & now.notna().to_numpy() & was.notna().to_numpy()
        lead, lead_was = (each["margin"].to_numpy() for each in (self.now, self.was))
        return np.asarray(swapped & (np.where(lead > lead_was, lead, lead_was) <= most))

    def statements(self, changed: NDArray[np.bool_]) -> Iterator[Statement]:
        """Yield a statement that names the first units with another label."""
        units, count = self.was.index[changed], int(changed.sum())
        listed = ", ".join(f"{unit} {_shown(self.was, unit)} -> {_shown(self.now, unit)}" for unit in units[:_NAMED])
        more = f" and {count - _NAMED} more" if count > _NAMED else ""
        sentence = f"{count} of {len(changed)} units have another label: {listed}{more}"
        yield Statement(Severity.CONCLUSION, "labels", sentence, count / len(changed), 0.0)

    def other_second(self, most: float) -> NDArray[np.bool_]:
        """Mark units with the same label and another runner-up, which leads the third by more than `most`.

        The result alone says by how much it leads: what leads by more than two tolerances led in the golden, too.
        """
        if _LEAD_OF_SECOND not in self.now:
            return np.zeros(len(self.now), dtype=bool)
        clear = self.now[_LEAD_OF_SECOND].to_numpy(np.float64) > most
        return np.asarray(self.label & clear & (self.now["second"].to_numpy() != self.was["second"].to_numpy()))

    def second_statements(self, changed: NDArray[np.bool_]) -> Iterator[Statement]:
        """Yield a statement that names the first units with another runner-up."""
        units, count = self.was.index[changed], int(changed.sum())
        seconds = (
            f"{unit} {_shown(self.was, unit, 'second')} -> {_shown(self.now, unit, 'second')}"
            for unit in units[:_NAMED]
        )
        more = f" and {count - _NAMED} more" if count > _NAMED else ""
        sentence = f"{count} of {len(changed)} units have another runner-up: {', '.join(seconds)}{more}"
        yield Statement(Severity.NUMBERS, "runner-up", sentence, count / len(changed), 0.0)

    def farthest(self, measure: str, limit: float, among: NDArray[np.bool_]) -> Difference:
        """Return the largest change of score or margin among the units that `among` marks, (units,)."""
        change = np.where(among, all_apart(self.now[measure].to_numpy(), self.was[measure].to_numpy()), 0.0)
        value = float(change.max(initial=0.0))

        def statements() -> Iterator[Statement]:
            worst = int(change.argmax())
            unit, beyond = self.was.index[worst], int((change > limit).sum())
            before, after = (float(each[measure].to_numpy()[worst]) for each in (self.was, self.now))
            sentence = (
                f"{measure} of {unit} for {_shown(self.was, unit)}: {before:.4g} became {after:.4g} "
                f"(may differ by at most {limit:g}; {beyond} of {len(change)} units differ by more)"
            )
            yield Statement(Severity.NUMBERS, measure, sentence, value, limit)

        return Difference(measure, value, limit, statements())

    def moved(self, tolerance: float) -> Iterator[Shift]:
        """Yield the mean change of score among units that kept their label."""
        changes = (self.now["score"] - self.was["score"]).to_numpy(np.float64)[self.label]
        known = changes[np.isfinite(changes)].tolist()
        if known:
            yield Shift("score", math.fsum(known) / len(known), tolerance)


def _shown(frame: pd.DataFrame, unit: str, column: str = "label") -> str:
    label = frame.at[unit, column]
    return label if isinstance(label, str) else "no label"


def _texts(arrays: Arrays, name: str) -> tuple[str | None, ...]:
    """Return the texts that `_packed` packed; every unit has a name, but not every one a label."""
    packed = stored_array(arrays, name, "iu", axes=1)
    try:
        texts: tuple[str | None, ...] = read_as(tuple[str | None, ...], parse_json(packed.tobytes()))
    except WrongValue as error:
        raise error.below(name) from None
    if name == "unit" and None in texts:
        raise WrongValue("has a unit without a name; expected one for each", f".{name}")
    return texts


def _packed(texts: list[str | None]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(texts).encode(), np.uint8)


def _rounded(values: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Round to multiples of a power of two up to `step`: the last bits are then zeros, which compress well."""
    if step <= 0.0:
        return values
    power = 2.0 ** math.floor(math.log2(step))
    return np.round(values / power) * power
