"""The table of measures that say how good an explanation is: what each is about, which way is better, its margin."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class About(enum.StrEnum):
    """What a measure is about."""

    LOCALISATION = "localisation"  # whether the map points at the object; needs its mask
    FAITHFULNESS = "faithfulness"  # whether the places that the map marks matter to the model
    CLASS = "class"  # whether the model predicts the class that the image is meant to show


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        about: what it is about.
        sign: 1 if higher is better, -1 if lower is better.
        margin: a mean loss of less than this counts as not worse, in the unit of the measure; None for a measure that
            is yes or no, of which images lost and won are counted.
    """

    about: About
    sign: int
    margin: float | None


# All measures with a margin go from 0 to 1 (insertion less deletion from -1 to 1); 0.05 is what one reads off a
# comparison of two maps, and two and a half times the tolerance of one case. Pointing exact is left out beside pointing
# hit, and the sweep over thresholds beside IoU at equal area: they say the same twice.
MARGIN = 0.05
MEASURES: Mapping[str, Measure] = {
    "energy_inside": Measure(About.LOCALISATION, 1, MARGIN),
    "iou_equal_area": Measure(About.LOCALISATION, 1, MARGIN),
    "pointing_hit": Measure(About.LOCALISATION, 1, None),
    "deletion": Measure(About.FAITHFULNESS, -1, MARGIN),
    "insertion": Measure(About.FAITHFULNESS, 1, MARGIN),
}
# Whether the predicted class is the intended one is not a column of a table, but follows from two labels.
RIGHT_CLASS = "intended class predicted"
RIGHT_CLASS_MEASURE = Measure(About.CLASS, 1, None)


def measure(name: str) -> Measure:
    """Return the row of a measure that a pair has."""
    return RIGHT_CLASS_MEASURE if name == RIGHT_CLASS else MEASURES[name]
