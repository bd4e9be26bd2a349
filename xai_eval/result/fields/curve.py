"""Lines over one axis, compared point by point."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fields.base import Arrays, Distance, Extensible, Finding, Severity, Shift
from xai_eval.result.fields.numbers import all_apart


@dataclass(frozen=True)
class Curve(Extensible):
    """Values of several lines at the same points.

    Attributes:
        x: the points, (n,), rising.
        lines: values by name of the line, (n,) each; NaN where there is none.
        x_label: what x is.
        y_label: what the values are.
        tolerance: absolute, of the values.
    """

    kind: ClassVar[str] = "curve"
    part: ClassVar[str] = "line"
    x: NDArray[np.floating[Any]]
    lines: Mapping[str, NDArray[np.floating[Any]]]
    x_label: str
    y_label: str
    tolerance: float

    def __post_init__(self) -> None:
        for name, values in self.lines.items():
            if values.shape != self.x.shape or self.x.ndim != 1:
                raise ValueError(f"a curve needs a value a point, got {values.shape} of {name!r} at {self.x.shape}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Points, and the values of each line in the order of their names in `meta`."""
        return {"x": self.x, "y": np.array(list(self.lines.values())).reshape(len(self.lines), len(self.x))}

    def meta(self) -> dict[str, Any]:
        """Names, labels and tolerance."""
        return {
            "lines": list(self.lines),
            "x_label": self.x_label,
            "y_label": self.y_label,
            "tolerance": self.tolerance,
        }

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        lines = dict(zip(meta["lines"], arrays["y"], strict=True))
        return cls(arrays["x"], lines, meta["x_label"], meta["y_label"], meta["tolerance"])

    def condensed(self) -> Curve:
        """Curves are small already."""
        return self

    def parts(self) -> tuple[str, ...]:
        """The lines."""
        return tuple(self.lines)

    def without(self, names: Collection[str]) -> Curve:
        """The curve without the lines `names`."""
        lines = {name: values for name, values in self.lines.items() if name not in names}
        return Curve(self.x, lines, self.x_label, self.y_label, self.tolerance)

    def compare(self, golden: Curve, name: str) -> tuple[Finding, ...]:
        """Compare the points, then every line by its largest difference."""
        if not self._comparable(golden):
            sentence = f"lines {list(golden.lines)} at {len(golden.x)} points became {list(self.lines)}"
            return (Finding(name, Severity.NUMBERS, "points", f"{sentence} at {len(self.x)}"),)
        found = [self._compare_line(golden, name, line) for line in self.lines]
        return tuple(finding for finding in found if finding)

    def distances(self, other: Curve) -> tuple[Distance, ...]:
        """The largest difference at any point of any line."""
        if not self._comparable(other):
            return (Distance("value", math.inf, self.tolerance),)
        largest = max((float(all_apart(v, other.lines[name]).max()) for name, v in self.lines.items()), default=0.0)
        return (Distance("value", largest, self.tolerance),)

    def shifts(self, golden: Curve) -> tuple[Shift, ...]:
        """The mean difference of every line."""
        if not self._comparable(golden):
            return ()
        return tuple(
            Shift(name, float((values.astype(np.float64) - golden.lines[name]).mean()), self.tolerance)
            for name, values in self.lines.items()
        )

    def _comparable(self, other: Curve) -> bool:
        return list(self.lines) == list(other.lines) and np.array_equal(self.x, other.x)

    def _compare_line(self, golden: Curve, name: str, line: str) -> Finding | None:
        now, was = self.lines[line], golden.lines[line]
        change = all_apart(now, was)
        worst = int(np.argmax(change))
        if change[worst] <= self.tolerance:
            return None
        sentence = f"{line} at {self.x[worst]:.3g}: {was[worst]:.3g} became {now[worst]:.3g} (limit {self.tolerance:g})"
        return Finding(name, Severity.NUMBERS, line, sentence, float(change[worst]), self.tolerance)
