"""What every kind of field can do: store itself, compare itself with a golden, and shrink to golden size."""

from __future__ import annotations

import abc
import enum
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from numpy.typing import NDArray

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
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


class Field(Protocol):
    """A part of a Result. Kinds are frozen dataclasses; `KINDS` in this package lists them."""

    kind: ClassVar[str]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, by a name that is unique within the field."""
        ...

    def meta(self) -> dict[str, Any]:
        """Return everything else to store, as JSON values."""
        ...

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild the field from what `meta` and `arrays` gave."""
        ...

    def compare(self, golden: Any, name: str) -> tuple[Finding, ...]:
        """List in what this field, obtained now, differs from `golden` of the same kind; `name` is the field's."""
        ...

    def distances(self, other: Any) -> tuple[Distance, ...]:
        """Tell how far `other`, of the same kind, is from this field, in every measure that is judged."""
        ...

    def shifts(self, golden: Any) -> tuple[Shift, ...]:
        """Tell which way the field moved since `golden`; empty where there is no way, only another answer."""
        ...

    def condensed(self) -> Field | None:
        """Return what a golden keeps of the field; None if it is for the eye only."""
        ...


class Extensible(abc.ABC):
    """A kind of field that later versions may add parts to: a golden does not watch those that it lacks."""

    part: ClassVar[str]  # what one of them is called

    @abc.abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Name the parts that are judged, each on its own."""

    @abc.abstractmethod
    def without(self, names: Collection[str]) -> Field:
        """Return the field without the parts `names`."""
