"""The images that are drawn of a case, on the page and in figure files: the image, its superpixels and its maps."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from xai_eval.report.cases import OBJECT, ReportCase
from xai_eval.report.drawing.pixels import Map, Pixels, boundaries, enlarge, grey, outline, overlay, signed
from xai_eval.report.text.wording import cell_text, count
from xai_eval.result.fields import Heatmap, InputImage, Mask, Segments, SignedMap, Weights
from xai_eval.result.naming import title, words

# That a map can be read is seen; only why it cannot is worth a line.
_READABLE = ("map", "ok")
# The strongest 2 % of a signed map have the same colour.
_DEEPEST = 0.98


@dataclass(frozen=True)
class Panel:
    """One image with a heading, as the page and the figure files show it (a panel of a figure).

    Attributes:
        title: heading.
        alt: what the image shows, for those who do not see it.
        pixels: RGB, or None if the map means nothing and is not drawn.
        word: why it is not drawn, such as 'all zero'.
        numbers: names and values of measures, shown below it.
        coarse: whether its few pixels are enlarged to squares, without smoothing.
    """

    title: str
    alt: str
    pixels: Pixels | None = None
    word: str = ""
    numbers: tuple[tuple[str, str], ...] = ()
    coarse: bool = False


def panels(case: ReportCase, without: Container[str] = ()) -> list[Panel]:
    """Return the image with its mask outlined, then one panel per further image, further mask, and map.

    Without an image, as for values that a test computed itself, masks and maps are drawn on grey. Maps whose names are
    in `without` are left out, because they are shown elsewhere.
    """
    maps = [_named_map(case, each, heatmap) for each, heatmap in case.maps.items() if each not in without]
    if case.view is None:
        return [*_masks_alone(case), *maps]
    pixels, name = case.view.array, case.verdict.case.input
    images = [
        Panel(title(each), f"{name}: {words(each)}", image.array)
        for each, image in list(case.fields(InputImage).items())[1:]
    ]
    masks = [
        Panel(title(each), f"{name} with {words(each)} outlined", outline(pixels, mask.array))
        for each, mask in case.fields(Mask).items()
        if each != OBJECT and mask.array.shape == pixels.shape[:2]
    ]
    return [_original(pixels, case.mask, name), *images, *masks, *_superpixel_panels(case, pixels), *maps]


def _masks_alone(case: ReportCase) -> list[Panel]:
    return [
        Panel(title(name), f"{title(name)} of {case.verdict.case.input}", outline(grey(mask.array.shape), mask.array))
        for name, mask in case.fields(Mask).items()
    ]


def _superpixel_panels(case: ReportCase, pixels: Pixels) -> list[Panel]:
    """The superpixels, and on them the weights of the explained class."""
    shown = []
    for each, segments in case.fields(Segments).items():
        if segments.array.shape != pixels.shape[:2]:
            continue
        numbers = (("superpixels", str(segments.count)),)
        about = f"{case.verdict.case.input} with the borders of {segments.count} superpixels"
        shown.append(Panel(title(each), about, boundaries(pixels, segments.array), numbers=numbers))
        shown.extend(
            _weights_panel(case, name, weights, segments, pixels)
            for name, weights in case.fields(Weights).items()
            if weights.values.shape[1] == segments.count
        )
    return shown


def _weights_panel(case: ReportCase, name: str, weights: Weights, segments: Segments, pixels: Pixels) -> Panel:
    explained = str(case.labels.get("explained", ""))
    label = explained if explained in weights.names else weights.names[0]
    values = weights.of(label).astype(np.float64)
    limit = float(np.abs(values).max())
    about = f"{title(name)} of {case.verdict.case.input} for {label}: red speaks for it, blue against it"
    if not np.isfinite(limit) or limit == 0.0:
        word = "all zero" if limit == 0.0 else "NaN"
        return Panel(title(name), f"{about}: {word}, not drawn", word=word)
    numbers = (
        ("red: for the class", count(int((values > 0).sum()), "superpixel")),
        ("blue: against it", count(int((values < 0).sum()), "superpixel")),
        ("largest weight", f"{limit:.2g}"),
    )
    return Panel(title(name), about, signed(pixels, values[segments.array], limit), numbers=numbers)


def _original(pixels: Pixels, mask: Mask | None, name: str) -> Panel:
    if mask is None:
        return Panel("original", f"{name} as the model saw it", pixels)
    numbers = (("object", f"{mask.array.mean():.0%} of the image"),)
    return Panel(
        "original",
        f"{name} as the model saw it, the object outlined",
        outline(pixels, mask.array),
        numbers=numbers,
    )


def _named_map(case: ReportCase, name: str, heatmap: Heatmap | SignedMap) -> Panel:
    explained = case.labels.get("explained")
    about = f"{title(name)} of {case.verdict.case.input}" + (f" for {explained}" if explained else "")
    return map_panel(case, heatmap, title(name), about, measures(case.row_of(name)))


def measures(row: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return the names and values of a row of measures in words."""
    return tuple((words(column), cell_text(value)) for column, value in row.items() if (column, value) != _READABLE)


def map_panel(
    case: ReportCase,
    saliency: Heatmap | SignedMap,
    heading: str,
    about: str,
    numbers: tuple[tuple[str, str], ...] = (),
) -> Panel:
    """Draw a map over the image, or in squares where it has another shape; a degenerate one is only named."""
    if saliency.degenerate:
        return Panel(heading, f"{about}: {saliency.degenerate}, not drawn", word=saliency.degenerate, numbers=numbers)
    over_image = case.view is not None and saliency.shape == case.view.array.shape[:2]
    image = case.view.array if case.view is not None and over_image else None
    if isinstance(saliency, SignedMap):
        net = saliency.net / _deepest(saliency.net)
        about = f"{about}: red speaks for it, blue against it, strongest {_highest(np.abs(net))}"
        numbers = (*numbers, ("largest value", f"{saliency.strength:.2g}"))
        pixels = signed(image, enlarge(net, saliency.shape) if over_image else net, 1.0)
    else:
        about = f"{about}, hottest {_highest(saliency.array)}"
        numbers = (*numbers, ("largest value", f"{saliency.own_range:.2g}")) if saliency.own_range else numbers
        pixels = overlay(image, enlarge(saliency.shown, saliency.shape) if over_image else saliency.shown)
    return Panel(heading, about, pixels, numbers=numbers, coarse=not over_image)


def _deepest(net: Map) -> float:
    """Return the absolute value that gets the deepest colour, as all above it do; else a few would make the rest pale.

    It is 1 for a golden whose parts cancel out everywhere.
    """
    sizes = np.abs(net[net != 0.0])
    return float(np.quantile(sizes, _DEEPEST)) if sizes.size else 1.0


def _highest(values: Map) -> str:
    row, column = np.unravel_index(int(np.argmax(values)), values.shape)
    down, across = (row + 0.5) / values.shape[0], (column + 0.5) / values.shape[1]
    return f"{across:.0%} from the left and {down:.0%} from the top"
