"""Find by measurement how the output of a layer lies over the image.

A part of the image is changed. In the right layout, the places that answer most are those over that part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from xai_eval.inputs.models.layout import Layout

# The image is cut into 3 x 3 parts, which are changed one at a time.
_PARTS = 3
# Correlation between the places that answer and the changed part. For 14 families of transformers with random weights,
# it was 0.68 to 0.99 in the right layout, and below 0.02 where channels were taken for places. A class token taken for
# a place costs 0.17 or more.
LEAST = 0.2
# Of few places, or where many layouts are possible, one correlates by chance: the outputs of 24 channels, taken for 4 x
# 4 places and 8 other tokens in 9 orders, reached 0.26, which is 2.9 standard deviations of chance. Right layouts reach
# 8.
_DEVIATIONS = 2
_EQUAL = 0.02


@dataclass(frozen=True, eq=False)
class Probe:
    """An image of which one part is changed: the input (1, C, H, W), and the part, (H, W), 1 inside and 0 outside."""

    batch: Tensor
    part: Tensor


def probes_of(batch: Tensor) -> list[Probe]:
    """Change one part after the other of a prepared image, (1, C, H, W), into noise of the image's own spread."""
    noise = torch.Generator().manual_seed(0)
    return [_probe(batch, row, column, noise) for row in range(_PARTS) for column in range(_PARTS)]


def _probe(batch: Tensor, row: int, column: int, noise: torch.Generator) -> Probe:
    height, width = batch.shape[2:]
    rows = slice(row * height // _PARTS, (row + 1) * height // _PARTS)
    columns = slice(column * width // _PARTS, (column + 1) * width // _PARTS)
    changed, part = batch.clone(), torch.zeros(height, width)
    spread = max(float(batch.std()), 0.1)
    values = torch.randn(changed[:, :, rows, columns].shape, generator=noise) * spread + float(batch.mean())
    changed[:, :, rows, columns] = values.to(batch)
    part[rows, columns] = 1
    return Probe(changed, part)


def measured_layout(output_of: Callable[[Tensor], Tensor], batch: Tensor, layouts: Sequence[Layout]) -> Layout | None:
    """Return the layout in which a change of a part of the image is seen at its place; None if there is none.

    Args:
        output_of: runs the model on an input (1, C, H, W) and returns the output of the layer.
        batch: a prepared image, (1, C, H, W).
        layouts: those to choose from.
    """
    probes, plain = probes_of(batch), output_of(batch).detach()
    changes = [(output_of(probe.batch).detach() - plain).cpu() for probe in probes]
    # All layouts with the same axis of channels share this.
    strengths = {
        axes: torch.stack([layout.strength(change) for change in changes])
        for axes, layout in {(each.batch, each.channels): each for each in layouts}.items()
    }
    measured = [(locality(strengths[each.batch, each.channels], probes, each), each) for each in layouts]
    found = sorted(measured, key=lambda each: -each[0])
    # Two layouts that are measured alike, but put a change elsewhere, cannot be told apart.
    if not found or (len(found) > 1 and found[0][0] - found[1][0] < _EQUAL):
        return None
    best, layout = found[0]
    # With more places, a wrong layout reaches no such correlation by chance, so those do not count as tries.
    tried = sum(each.places <= layout.places for each in layouts)
    return layout if best >= max(LEAST, _by_chance(layout, tried)) else None


def _by_chance(layout: Layout, tried: int) -> float:
    """The correlation that the best of several wrong layouts hardly exceeds.

    A correlation of n independent pairs of numbers has a deviation of 1 / sqrt(n); the largest of m normal numbers lies
    about sqrt(2 log m) deviations above their mean.
    """
    pairs = (_PARTS**2 - 1) * (layout.places - 1)
    return (_DEVIATIONS + math.sqrt(2 * math.log(tried))) / math.sqrt(pairs)


def locality(strengths: Tensor, probes: Sequence[Probe], layout: Layout) -> float:
    """Correlation, from -1 to 1, between where an output changed and which part of the image was changed.

    Args:
        strengths: for each probe, how strongly each position of the output changed: (probes, tokens) or (probes, h, w).
        probes: the changed parts.
        layout: lays the output over the image.
    """
    answers = torch.stack([_shares(layout.placed(each)) for each in strengths])
    parts = torch.stack([_shares(adaptive_avg_pool2d(each.part[None, None], layout.grid)[0, 0]) for each in probes])
    # What answers to every change alike, such as the middle of the image in deep networks, says nothing.
    answers, parts = answers - answers.mean(dim=0), parts - parts.mean(dim=0)
    size = answers.norm() * parts.norm()
    return float((answers * parts).sum() / size) if size > 0 else 0.0


def _shares(places: Tensor) -> Tensor:
    total = places.sum()
    return places / total if total > 0 else places
