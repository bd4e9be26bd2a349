"""Lines over one axis, compared point by point."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xai_eval.disk.strict_json import require_distinct
from xai_eval.result.fields.base import Arrays, Difference, Extensible, Severity, Shift, Statement, register
from xai_eval.result.fields.numbers import all_apart
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
    """

    kind: ClassVar[str] = "curve"
    part: ClassVar[str] = "line"
    x: NDArray[np.floating[Any]]
    lines: Mapping[str, NDArray[np.floating[Any]]]
    x_label: str
    y_label: str
    tolerance: float

    def __post_init__(self) -> None:
        if not self.x.size:
            raise ValueError("a curve needs at least one point, got none")
        for name, values in self.lines.items():
            if values.shape != self.x.shape or self.x.ndim != 1:
                raise ValueError(f"a curve needs one value per point, got {values.shape} of {name!r} at {self.x.shape}")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The points, and the values of the lines in the order of their names in `meta`."""
        return {"x": self.x, "y": np.array(list(self.lines.values())).reshape(len(self.lines), len(self.x))}

    def meta(self) -> dict[str, Any]:
        """Names, labels and tolerance."""
        return {**super().meta(), "lines": list(self.lines)}

    @classmethod
    def restore(cls, meta: Mapping[str, Any], arrays: Arrays) -> Self:
        """Rebuild from storage."""
        require_distinct("lines of a curve", meta["lines"])
        lines = dict(zip(meta["lines"], arrays["y"], strict=True))
        return cls(arrays["x"], lines, meta["x_label"], meta["y_label"], meta["tolerance"])

    def parts(self) -> tuple[str, ...]:
        """The lines."""
        return tuple(self.lines)

    def without(self, names: Collection[str]) -> Curve:
        """The curve without the lines `names`."""
        lines = {name: values for name, values in self.lines.items() if name not in names}
        return Curve(self.x, lines, self.x_label, self.y_label, self.tolerance)

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
        change = all_apart(now, was)
        worst = int(np.argmax(change))
        value, place = float(change[worst]), f"{title(line)} at {self.x[worst]:.3g}"
        sentence = f"{place}: {was[worst]:.3g} became {now[worst]:.3g} (may differ by at most {self.tolerance:g})"
        statements = Statement(Severity.NUMBERS, line, sentence, value, self.tolerance)
        moved = Shift(line, float((now.astype(np.float64) - was).mean()), self.tolerance)
        return Difference("value", value, self.tolerance, [statements], [moved])


def _about(curve: Curve) -> str:
    return f"{', '.join(map(title, curve.lines)) or 'no lines'} at {len(curve.x)} points"
