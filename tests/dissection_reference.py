"""Network Dissection's counts, pixel by pixel in plain Python, and by the package without a pass over a model."""

from __future__ import annotations

import math

from xai_eval.explainers.dissection.counts import Counts
from xai_eval.explainers.dissection.netdissect import LabelledMaps, add_image
from xai_eval.explainers.dissection.shown_concepts import ShownConcepts


def count_images(images, thresholds, vocabulary):
    """Count what units and concepts share over images (units, maps, labels), taken one at a time."""
    total = Counts.nothing(len(thresholds), vocabulary)
    for units, maps, labels in images:
        add_image([total], LabelledMaps(units, maps, [ShownConcepts.of(labels, vocabulary)]), thresholds)
    return total


def upsampled(grid, height, width):
    """Bilinear interpolation between the centres of cells, with the border continued."""
    rows, columns = len(grid), len(grid[0])

    def along(place, old, new):
        centre = min(max((place + 0.5) * old / new - 0.5, 0.0), old - 1.0)
        low = math.floor(centre)
        return low, min(low + 1, old - 1), centre - low

    result = []
    for y in range(height):
        top, bottom, down = along(y, rows, height)
        line = []
        for x in range(width):
            left, right, across = along(x, columns, width)
            above = grid[top][left] * (1 - across) + grid[top][right] * across
            below = grid[bottom][left] * (1 - across) + grid[bottom][right] * across
            line.append(above * (1 - down) + below * down)
        result.append(line)
    return result


def count_by_hand(images, thresholds, category_of, categories):
    """Return both[j][c], unit[j][k] and label[c] of images (units, maps, labels)."""
    units, concepts = len(thresholds), len(category_of)
    both = [[0] * concepts for _ in range(units)]
    unit = [[0] * categories for _ in range(units)]
    label = [0] * concepts
    for some, maps, labels in images:
        height, width = labels.shape[1:]
        at = {
            (y, x): {int(one[y, x]) - 1 for one in labels if one[y, x] > 0} for y in range(height) for x in range(width)
        }
        shown = {category_of[c] for concepts_here in at.values() for c in concepts_here}
        for concepts_here in at.values():
            for c in concepts_here:
                label[c] += 1
        for j, grid in zip(some, maps, strict=True):
            values = upsampled(grid.tolist(), height, width)
            for (y, x), concepts_here in at.items():
                if values[y][x] > thresholds[j]:
                    for k in shown:
                        unit[j][k] += 1
                    for c in concepts_here:
                        both[j][c] += 1
    return both, unit, label
