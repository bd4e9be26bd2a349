"""The base of all kinds of fields. A new kind is a frozen dataclass with the decorator `@register` that defines:

1. `kind`: the name under which it is stored.
2. Its attributes. Those annotated as `NDArray` are stored as arrays, all others as JSON. Both are read back as
   annotated: float, int, str, tuples of one of these, dataclasses of these, or None. `stored_as` gives an array
   another name. A kind that is stored in another way overrides `arrays`, `meta` and `restore`. A kind that a golden
   stores in smaller form, or not at all, overrides `condensed`.
3. `differences(golden)`: one `Difference` per measure, whether or not there is one. The findings of a comparison
   (`compare`), the noise of a calibration (`distances`) and signed changes (`shifts`) follow from it for all kinds.

`score.py` is the shortest example. Reports show kinds that they do not know by their findings only.
"""

from __future__ import annotations

import abc
import enum
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from numpy.typing import NDArray

from xai_eval.disk.typed import entry
from xai_eval.errors import UsageError, unknown_name
from xai_eval.result.fields.storage import layout_of, to_stored
from xai_eval.result.fields.stored_arrays import stored_array

Arrays = Mapping[str, NDArray[Any]]


class Severity(enum.IntEnum):
    """How severe a drift is: only numbers changed, or the evidence (where an explanation points), or the conclusion."""

    NUMBERS = 1
    EVIDENCE = 2
    CONCLUSION = 3

    @property
    def label(self) -> str:
        """The word used on pages and in tables."""
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One difference between a field and its golden beyond the tolerance. `sentence` is a clause for people."""

    field: str
    severity: Severity
    measure: str
    sentence: str
    value: float | None = None
    limit: float | None = None

    @property
    def excess(self) -> float:
        """How far it is beyond its limit: the distance from the golden, divided by the largest that is allowed.

        A value below its limit is a similarity, of which 1 is the most (an overlap, a correlation). Infinite where
        nothing may differ, or where the difference is no number.
        """
        if self.value is None or self.limit is None or math.isnan(self.value) or math.isnan(self.limit):
            return math.inf
        distance, allowed = self.value, self.limit
        if self.value < self.limit:
            distance, allowed = 1.0 - self.value, 1.0 - self.limit
        return distance / allowed if allowed > 0.0 else math.inf


@dataclass(frozen=True)
class Distance:
    """How far a field is from another of its kind in one measure, in the unit of its tolerance.

    Attributes:
        measure: name of the measure, the same for all cases of a task.
        value: 0 if nothing differs, infinite if the two cannot be compared.
        tolerance: largest value at which the field counts as unchanged.
        cap: largest tolerance that can still tell one explanation from another; infinite for numbers in units of the
            task.
    """

    measure: str
    value: float
    tolerance: float
    cap: float = math.inf


@dataclass(frozen=True)
class Shift:
    """A signed change of a field in one measure. `tolerance` is that of the field, in the unit of the change."""

    measure: str
    change: float
    tolerance: float


class Statement(NamedTuple):
    """A `Finding` without the name of its field, which a field does not know."""

    severity: Severity
    measure: str
    sentence: str
    value: float | None = None
    limit: float | None = None


class Difference(NamedTuple):
    """The comparison of a field with its golden in one measure, whether or not they differ.

    It is a named tuple, because a run makes tens of thousands, and a frozen dataclass takes several times as long.

    Attributes:
        measure: name of the measure, the same for all cases of a task; of several differences with the same measure the
            largest is its distance. None if no noise is to be measured.
        value: how far apart the two are: 0 if nothing differs, infinite if they cannot be compared.
        tolerance: largest value at which the field counts as unchanged.
        statements: what people read if `value` is above `tolerance`.
        shifts: the signed changes. Statements and shifts may be generators, because few of them are ever used.
        cap: largest tolerance that can still tell one explanation from another; infinite for numbers in units of the
            task.
    """

    measure: str | None
    value: float
    tolerance: float
    statements: Iterable[Statement] = ()
    shifts: Iterable[Shift] = ()
    cap: float = math.inf


class Field(abc.ABC):
    """A part of a Result. Kinds are frozen dataclasses below `@register`."""

    kind: ClassVar[str]
    stored_as: ClassVar[Mapping[str, str]] = {}  # attribute -> name of its array, if that is another one
    tolerance_attribute: ClassVar[str] = "tolerance"  # what users may replace; a kind that judges strictly has none

    @abc.abstractmethod
    def differences(self, golden: Any) -> Iterable[Difference]:
        """Compare with `golden`, of the same kind, in every measure. The tolerance is that of this field."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store by name. Names are unique within the field and contain no dot."""
        return {self.stored_as.get(name, name): getattr(self, name) for name in layout_of(type(self)).arrays}

    def meta(self) -> dict[str, Any]:
        """Return everything else to store, as JSON values."""
        return {name: to_stored(getattr(self, name)) for name in layout_of(type(self)).kinds}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild the field from what `meta` and `arrays` returned.

        Raises:
            WrongValue: an entry or an array is missing or of another type. A kind that overrides this reads each of
                its entries by `entry` and `stored_array`, which raise it.
        """
        layout = layout_of(cls)
        read = {name: entry(meta, name, kind) for name, kind in layout.kinds.items()}
        found = {
            name: stored_array(arrays, cls.stored_as.get(name, name), kind) for name, kind in layout.arrays.items()
        }
        return cls(**read, **found)

    def condensed(self) -> Field | None:
        """Return what a golden stores of the field; None if the field is only for display."""
        return self

    def compare(self, golden: Any, name: str) -> tuple[Finding, ...]:
        """List the differences from `golden`, of the same kind, beyond the tolerance; `name` is that of the field."""
        return tuple(
            Finding(name, *each)
            for difference in self.differences(golden)
            # Written with `not`, so that a value or tolerance of NaN is a finding. An infinite difference is one too,
            # because no tolerance excuses what cannot be compared.
            if math.isinf(difference.value) or not difference.value <= difference.tolerance
            for each in difference.statements
        )

    def distances(self, other: Any) -> tuple[Distance, ...]:
        """Return the distance to `other`, of the same kind, in every measure."""
        largest: dict[str, Difference] = {}
        for each in self.differences(other):
            if each.measure is not None and each.value >= largest.setdefault(each.measure, each).value:
                largest[each.measure] = each
        return tuple(Distance(name, each.value, each.tolerance, each.cap) for name, each in largest.items())

    def shifts(self, golden: Any) -> tuple[Shift, ...]:
        """Return the signed changes since `golden`; empty if the field has no measure with a direction."""
        return tuple(shift for difference in self.differences(golden) for shift in difference.shifts)


class Extensible(Field):
    """A kind of field with parts, to which a later version may add. Parts that a golden lacks are unwatched."""

    part: ClassVar[str]  # the word for one part, such as column

    def description(self, golden: Any) -> Any:
        """Return `golden`, of the same kind, without claims about how it is judged: only this field says that."""
        return golden

    @abc.abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Return the names of the parts that are judged."""

    @abc.abstractmethod
    def without(self, names: Collection[str]) -> Field:
        """Return the field without the parts `names`."""


class _Kinds(dict[str, type[Field]]):
    """Kinds by name.

    Before a name counts as unknown, `load_more` is called. It returns sentences about what it could not load. `files`
    holds the Python file that registered a kind, by its name, if that file was given with --tasks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.load_more: Callable[[], Iterable[str]] = tuple
        self.files: dict[str, str] = {}

    @property
    def needed_files(self) -> tuple[str, ...]:
        """The files that commands have to be given, so that they can read results with the kinds known now."""
        return tuple(dict.fromkeys(file for kind, file in self.files.items() if kind in self))

    def __missing__(self, name: str) -> type[Field]:
        failed = self.load_more()
        if name in self:
            return self[name]
        hint = (
            "Load the file that registers it first: on the command line with --tasks FILE.py. Or install the package "
            "that has it, with an entry point in the group xai_eval.tasks."
        )
        raise unknown_name("kind of field", name, self, hint=" ".join([hint, *failed]))


KINDS = _Kinds()
_Kind = TypeVar("_Kind", bound=type[Field])


def register(kind: _Kind) -> _Kind:
    """Register a kind of field by its name, so that results with it can be read. A decorator above `@dataclass`.

    Raises:
        UsageError: another kind has the same name, or one of its attributes is called `name`.
    """
    known = KINDS.get(kind.kind, kind)
    # A file of tasks may be loaded twice, and then defines the same kind again.
    if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        both = " and ".join(f"{each.__module__}.{each.__qualname__}" for each in (known, kind))
        raise UsageError(f"two kinds of fields are named {kind.kind!r}: {both}. Rename one of them.")
    if "name" in layout_of(kind).kinds:
        raise UsageError(f"{kind.__qualname__}.name: every stored field has this entry already. Rename the attribute.")
    KINDS[kind.kind] = kind
    return kind
