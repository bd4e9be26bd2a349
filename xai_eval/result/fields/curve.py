"""Lines over one axis, compared point by point."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.strict_json import require_distinct
from xai_eval.disk.typed import entry
from xai_eval.result.fields.base import Arrays, Difference, Extensible, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import all_apart, to_json
from xai_eval.result.fields.possible import Possible, nearest
from xai_eval.result.fields.stored_arrays import require_shape, stored_array
from xai_eval.result.naming import title


@register
@dataclass(frozen=True)
class Curve(Extensible):
    """Several lines over the same points.

    Attributes:
        x: the points, (n,), in rising order.
        lines: values by name of the line, (n,) each; NaN for missing values.
        x_label: what x is.
        y_label: what the values are.
        tolerance: largest absolute difference of a value.
        possible: the smallest and the largest value that rounding could have given at each point, by name of the line;
            lines that do not jump are left out.
    """

    kind: ClassVar[str] = "curve"
    part: ClassVar[str] = "line"
    x: NDArray[np.floating[Any]]
    lines: Mapping[str, NDArray[np.floating[Any]]]
    x_label: str
    y_label: str
    tolerance: float
    possible: Mapping[str, tuple[Possible, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.x.size:
            raise ValueError("a curve needs at least one point, got none")
        for name, points in self.possible.items():
            if name in self.lines and len(points) != len(self.x):
                raise ValueError(f"a curve needs a range per point, got {len(points)} of {name!r} at {len(self.x)}")
        for name, values in self.lines.items():
            if values.shape != self.x.shape or self.x.ndim != 1:
                raise ValueError(f"a curve needs one value per point, got {values.shape} of {name!r} at {self.x.shape}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The points, and the values of the lines in the order of their names in `meta`."""
        return {"x": self.x, "y": np.array(list(self.lines.values())).reshape(len(self.lines), len(self.x))}

    def meta(self) -> dict[str, Any]:
        """Names, labels and tolerance, and what else was possible, where anything was."""
        also = {name: [list(map(to_json, each)) for each in points] for name, points in self.possible.items()}
        labels = {"x_label": self.x_label, "y_label": self.y_label, "tolerance": to_json(self.tolerance)}
        return {**labels, "lines": list(self.lines), **({"possible": also} if also else {})}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        names, x = entry(meta, "lines", tuple[str, ...]), stored_array(arrays, "x", "fiu", axes=1)
        require_distinct("lines of a curve", names)
        y = stored_array(arrays, "y", "fiu", axes=2)
        require_shape(y, (len(names), len(x)), "y")
        also = entry(meta, "possible", Mapping[str, tuple[Possible, ...]], {})
        labels = [entry(meta, name, str) for name in ("x_label", "y_label")]
        tolerance = float(entry(meta, "tolerance", float))
        return cls(x, dict(zip(names, y, strict=True)), labels[0], labels[1], tolerance, also)

    def condensed(self) -> Curve:
        """The lines alone."""
        return Curve(self.x, self.lines, self.x_label, self.y_label, self.tolerance)

    def parts(self) -> tuple[str, ...]:
        """The lines."""
        return tuple(self.lines)

    def without(self, names: Collection[str]) -> Curve:
        """The curve without the lines `names`."""
        lines = {name: values for name, values in self.lines.items() if name not in names}
        return Curve(self.x, lines, self.x_label, self.y_label, self.tolerance, self.possible)

    def differences(self, golden: Curve) -> Iterator[Difference]:
        """Per line the largest difference at any point, and as signed change the mean over the points."""
        if list(self.lines) != list(golden.lines) or not np.array_equal(self.x, golden.x):
            sentence = f"the lines or their points changed: {_about(golden)} became {_about(self)}"
            points = Statement(Severity.NUMBERS, "points", sentence)
            yield Difference("value", math.inf, self.tolerance, [points])
        else:
            for line, values in self.lines.items():
                yield self._of_line(line, values, golden.lines[line])

    def _of_line(self, line: str, now: NDArray[np.floating[Any]], was: NDArray[np.floating[Any]]) -> Difference:
        now = self._nearest(line, now, was)
        change = all_apart(now, was)
        worst = int(np.argmax(change))
        value, place = float(change[worst]), f"{title(line)} at {self.x[worst]:.3g}"
        sentence = f"{place}: {was[worst]:.3g} became {now[worst]:.3g} (may differ by at most {self.tolerance:g})"
        statements = Statement(Severity.NUMBERS, line, sentence, value, self.tolerance)
        moved = Shift(line, float((now.astype(np.float64) - was).mean()), self.tolerance)
        return Difference("value", value, self.tolerance, [statements], [moved])

    def _nearest(self, line: str, now: NDArray[np.floating[Any]], was: NDArray[np.floating[Any]]) -> NDArray[Any]:
        """Return the possible values of a line that are nearest to the golden."""
        if line not in self.possible:
            return now
        triples = zip(now.tolist(), self.possible[line], was.tolist(), strict=True)
        return np.array([nearest(*each) for each in triples])


def _about(curve: Curve) -> str:
    return f"{', '.join(map(title, curve.lines)) or 'no lines'} at {len(curve.x)} points"
