"""What every kind of field can do. A kind of your own is a frozen dataclass below `@register` that says three things:

1. `kind`, the name under which it is stored.
2. Its attributes. Those annotated as `NDArray` are stored as arrays, all others as JSON, and both are read back as
   annotated: float, int, str, tuples of one of these, dataclasses of these, or None. `stored_as` gives an array
   another name. A kind that stores itself in another way overrides `arrays`, `meta` and `restore`; one that a golden
   keeps in smaller form, or not at all, overrides `condensed`.
3. `differences(golden)`: one `Difference` per measure, equal or not. What a comparison finds (`compare`), what
   calibration measures (`distances`) and which way a field moved (`shifts`) follow from it, below, for all kinds.

`score.py` is the shortest example. Reports show a kind that they do not know by its findings alone.
"""

from __future__ import annotations

import abc
import enum
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from numpy.typing import NDArray

from xai_eval.errors import UsageError, unknown_name
from xai_eval.result.fields.storage import layout_of, to_stored

Arrays = Mapping[str, NDArray[Any]]


class Severity(enum.IntEnum):
    """How bad a drift is, by what the explanation says rather than by its numbers."""

    NUMBERS = 1
    EVIDENCE = 2
    CONCLUSION = 3

    @property
    def label(self) -> str:
        """The word used on pages and in tables."""
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One thing in which a field differs from its golden by more than its tolerance allows."""

    field: str
    severity: Severity
    measure: str
    sentence: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Distance:
    """How far a field is from another of its kind in one measure, in the unit in which its tolerance is stated.

    Attributes:
        measure: what is measured; the same for all cases of a task.
        value: 0 where nothing differs, infinite where nothing can be compared.
        tolerance: up to where the field has not changed.
        cap: where a tolerance ceases to tell one explanation from another; infinite for numbers in a unit of their own.
    """

    measure: str
    value: float
    tolerance: float
    cap: float = math.inf


@dataclass(frozen=True)
class Shift:
    """Which way, and how far, a field moved in one measure; `tolerance` is what the field's own is in this unit."""

    measure: str
    change: float
    tolerance: float


class Statement(NamedTuple):
    """What people are told of a difference beyond its tolerance: a `Finding` of a field whose name is not known yet."""

    severity: Severity
    measure: str
    sentence: str
    value: float | None = None
    limit: float | None = None


class Difference(NamedTuple):
    """One measure in which a field is compared with its golden, whether they differ in it or not.

    A named tuple, because a run makes tens of thousands and a frozen dataclass takes several times as long to make.

    Attributes:
        measure: what is measured, the same for all cases of a task; of several differences in one measure the largest
            is its distance. None where no noise is measured.
        value: how far apart the two are: 0 where nothing differs, infinite where nothing can be compared.
        tolerance: up to where the field has not changed, in the unit of `value`.
        told: what people are told where `value` is beyond `tolerance`.
        shifts: the signed changes. Both are generators where they cost something, because few of them are asked for.
        cap: where a tolerance ceases to tell one explanation from another; infinite for numbers in a unit of their own.
    """

    measure: str | None
    value: float
    tolerance: float
    told: Iterable[Statement] = ()
    shifts: Iterable[Shift] = ()
    cap: float = math.inf


class Field(abc.ABC):
    """A part of a Result. Kinds are frozen dataclasses below `@register`."""

    kind: ClassVar[str]
    stored_as: ClassVar[Mapping[str, str]] = {}  # the names of arrays that are not called as their attributes

    @abc.abstractmethod
    def differences(self, golden: Any) -> Iterable[Difference]:
        """Compare with `golden` of the same kind in every measure, by the tolerance of this field."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, by a name that is unique within the field and has no dot."""
        return {self.stored_as.get(name, name): getattr(self, name) for name in layout_of(type(self)).arrays}

    def meta(self) -> dict[str, Any]:
        """Return everything else to store, as JSON values."""
        return {name: to_stored(getattr(self, name)) for name in layout_of(type(self)).readers}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild the field from what `meta` and `arrays` gave."""
        layout = layout_of(cls)
        read = {name: reader(meta[name]) for name, reader in layout.readers.items()}
        return cls(**read, **{name: arrays[cls.stored_as.get(name, name)] for name in layout.arrays})

    def condensed(self) -> Field | None:
        """Return what a golden keeps of the field; None if it is for the eye only."""
        return self

    def compare(self, golden: Any, name: str) -> tuple[Finding, ...]:
        """List in what this field, obtained now, differs from `golden` of the same kind; `name` is the field's."""
        return tuple(
            Finding(name, *each)
            for difference in self.differences(golden)
            # A tolerance or a value of NaN is no permission.
            if not difference.value <= difference.tolerance
            for each in difference.told
        )

    def distances(self, other: Any) -> tuple[Distance, ...]:
        """Tell how far `other`, of the same kind, is from this field, in every measure that is judged."""
        largest: dict[str, Difference] = {}
        for each in self.differences(other):
            if each.measure is not None and each.value >= largest.setdefault(each.measure, each).value:
                largest[each.measure] = each
        return tuple(Distance(name, each.value, each.tolerance, each.cap) for name, each in largest.items())

    def shifts(self, golden: Any) -> tuple[Shift, ...]:
        """Tell which way the field moved since `golden`; empty where there is no way, only another answer."""
        return tuple(shift for difference in self.differences(golden) for shift in difference.shifts)


class Extensible(Field):
    """A kind of field that later versions may add parts to: a golden does not watch those that it lacks."""

    part: ClassVar[str]  # what one of them is called

    @abc.abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Name the parts that are judged, each on its own."""

    @abc.abstractmethod
    def without(self, names: Collection[str]) -> Field:
        """Return the field without the parts `names`."""


class _Kinds(dict[str, type[Field]]):
    """Kinds by name. `load_more` is called before one is unknown; it says in sentences what it could not load."""

    def __init__(self) -> None:
        super().__init__()
        self.load_more: Callable[[], Iterable[str]] = tuple

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
    """Make a kind of field known by its name, so that results with it can be read: a decorator above `@dataclass`.

    Raises:
        UsageError: another kind has its name, or one of its attributes is called `name`.
    """
    known = KINDS.get(kind.kind, kind)
    # A file of tasks may be loaded twice, which makes its kinds anew.
    if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        both = " and ".join(f"{each.__module__}.{each.__qualname__}" for each in (known, kind))
        raise UsageError(f"two kinds of fields are named {kind.kind!r}: {both}. Rename one of them.")
    if "name" in layout_of(kind).readers:
        raise UsageError(f"{kind.__qualname__}.name: every stored field has that already. Rename the attribute.")
    KINDS[kind.kind] = kind
    return kind
