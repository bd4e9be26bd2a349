"""Images as the page holds them: within the file, or, of a large run, as files beside it that are loaded when seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.comparisons import Comparison
from xai_eval.report.drawing.panels import Panel, map_panel
from xai_eval.report.drawing.pixels import Pixels, data_uri, jpeg_bytes, png_bytes
from xai_eval.report.images_beside import FOLDER, LETTERS
from xai_eval.result.fields import Field, Heatmap, SignedMap
from xai_eval.result.naming import title
from xai_eval.result.result import Case

# The map of a golden has so few pixels that it loses nothing as PNG, and is small.
_SMALL = 64
# The case of a map that is drawn without the image below it.
_NO_IMAGE = ReportCase(Verdict(Case("", "", ""), State.OK), None, None)


@dataclass(frozen=True)
class ImageView:
    """One image of a case.

    Attributes:
        title: heading.
        alt: what the image shows, for those who do not see it.
        address: of the image; None if the map means nothing and is not drawn.
        alone: address of the map without the image below it; None for what is no map over an image.
        width: in pixels.
        height: in pixels.
        word: why it is not drawn, such as 'all zero'.
        numbers: names and values of measures, shown below it.
        coarse: whether its few pixels are enlarged to squares, without smoothing.
    """

    title: str
    alt: str
    address: Markup | None
    alone: Markup | None
    width: int
    height: int
    word: str
    numbers: tuple[tuple[str, str], ...]
    coarse: bool


@dataclass(frozen=True)
class ComparisonView:
    """The images of one field that drifted; the attributes are those of a `Comparison`."""

    title: str
    expected: ImageView
    obtained: ImageView
    difference: ImageView
    limit: float | None
    meaning: str
    legend: str
    wipes: bool

    @property
    def cells(self) -> str:
        """The grid on which the two maps were compared."""
        return f"{self.difference.height} × {self.difference.width}"


@dataclass
class CaseImages:
    """Makes the addresses of the images of one case.

    Attributes:
        beside: whether the images are files beside the page.
        files: these files so far, by name.
    """

    beside: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    def panel(self, panel: Panel, own: Field | None = None, *, flat: bool = False) -> ImageView:
        """Return the view of a panel.

        Args:
            panel: what is drawn.
            own: the field that it shows, if that is a map.
            flat: whether it has few colours and sharp borders, as a drawing has.
        """
        pixels = panel.pixels
        over_image = isinstance(own, Heatmap | SignedMap) and pixels is not None and not panel.coarse
        height, width = pixels.shape[:2] if pixels is not None else (0, 0)
        return ImageView(
            panel.title,
            panel.alt,
            None if pixels is None else self.address(pixels, flat=flat or panel.coarse),
            self._alone(own) if over_image else None,
            width,
            height,
            panel.word,
            panel.numbers,
            panel.coarse,
        )

    def comparison(self, case: ReportCase, drawn: Comparison) -> ComparisonView:
        """Return the view of a field that drifted."""
        now, was = case.changed_fields[drawn.field]
        return ComparisonView(
            drawn.title,
            self.panel(drawn.expected, was),
            self.panel(drawn.obtained, now),
            self.panel(drawn.difference),
            drawn.limit,
            drawn.meaning,
            drawn.legend,
            drawn.wipes,
        )

    def address(self, pixels: Pixels, *, flat: bool = False) -> Markup:
        """Return the address of an image: letters, digits and few signs, so nothing of it is escaped or cut."""
        kind = "png" if flat else "jpeg"
        data = png_bytes(pixels) if kind == "png" else jpeg_bytes(pixels)
        if not self.beside:
            return Markup(data_uri(data, kind))
        name = f"{hashlib.sha256(data).hexdigest()[:LETTERS]}.{kind}"
        self.files[name] = data
        return Markup(f"{FOLDER}/{name}")

    def _alone(self, own: Field | None) -> Markup | None:
        if not isinstance(own, Heatmap | SignedMap):
            return None
        pixels = map_panel(_NO_IMAGE, own, "", "").pixels
        return None if pixels is None else self.address(pixels, flat=max(pixels.shape[:2]) <= _SMALL)


def maps_by_title(case: ReportCase) -> Mapping[str, Field]:
    """Return the maps of a case by the headings of their panels."""
    return {title(name): each for name, each in case.maps.items()}
