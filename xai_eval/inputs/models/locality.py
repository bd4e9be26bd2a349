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
# Correlation between the places that answer and the changed part. In the right layout, it is 0.74 to 0.99 at the
# default layers of 20 families of transformers with random weights, and 0.62 to 0.90 at the outputs of the blocks of
# small trained ones (at single branches inside a block it can be 0.3). Places in the order of windows, which lie nearly
# right, reach 0.37, and channels that are taken for places 0.26.
LEAST = 0.45
# Of few places, or where many layouts are possible, one correlates by chance: the outputs of 24 channels, taken for
# 4 x 4 places and 8 other tokens in 9 orders, reached 2.9 standard deviations of chance. Right layouts reach 8.
_DEVIATIONS = 3
# Where convolutions leave out the border of an image, a layout without the first row of places can lie over the image a
# little better. The right layout of the most tokens that are no places wins all the same: all others are worse by 0.4.
_COST_OF_OTHERS = 0.5
_EQUAL = 0.02
# By so much more correlation, a turned layout is no chance. Where the image is not turned, the right one is far better.
_CLEARLY = 0.3


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
    changed, part = batch.clone(), torch.zeros(height, width, device="cpu")
    spread = max(float(batch.std()), 0.1)
    values = torch.randn(changed[:, :, rows, columns].shape, generator=noise, device="cpu")
    changed[:, :, rows, columns] = (values * spread + float(batch.mean())).to(batch)
    part[rows, columns] = 1
    return Probe(changed, part)


def measured_layout(
    output_of: Callable[[Tensor], Tensor], batch: Tensor, layouts: Sequence[Layout], given: bool = False
) -> Layout | None:
    """Return the layout in which a change of a part of the image is seen at its place; None if there is none.

    Args:
        output_of: runs the model on an input (1, C, H, W) and returns the output of the layer.
        batch: a prepared image, (1, C, H, W).
        layouts: those to choose from.
        given: whether the user said that one of them is right, so that the best may be taken in any case.
    """
    probes, plain = probes_of(batch), output_of(batch).detach()
    changes = [(output_of(probe.batch).detach() - plain).cpu() for probe in probes]
    # All layouts with the same axis of channels share this.
    strengths = {
        axes: torch.stack([layout.strength(change) for change in changes])
        for axes, layout in {(each.batch, each.channels): each for each in layouts}.items()
    }
    measured = [(locality(strengths[each.batch, each.channels], probes, each), each) for each in layouts]
    return _ranked(measured)[0][1] if given and measured else _best(measured)


def answers_of(output_of: Callable[[Tensor], Tensor], batch: Tensor, layout: Layout) -> Tensor:
    """Return how strongly each position of an output answers to each change: (parts, h, w) or (parts, tokens).

    Args:
        output_of: runs the model on an input (1, C, H, W) and returns the output of the layer.
        batch: a prepared image, (1, C, H, W).
        layout: how the output lies over the image.
    """
    plain = output_of(batch).detach()
    return torch.stack([layout.strength((output_of(each.batch).detach() - plain).cpu()) for each in probes_of(batch)])


def is_turned(strengths: Tensor, batch: Tensor, layout: Layout) -> bool:
    """Whether maps (N, C, h, w) lie over the mirrored, transposed or rotated image much better than over the image.

    Nothing is said of maps that lie over neither, because deep layers see the whole image at each place.

    Args:
        strengths: what `answers_of` returns for the batch.
        batch: a prepared image, (1, C, H, W).
        layout: how the maps are read.
    """
    probes = probes_of(batch)
    turned = [locality(each, probes, layout) for each in _turned(strengths)]
    # Few places correlate by chance: of 2 x 2 nothing can be said.
    least = max(LEAST, _by_chance(layout, len(turned)))
    return max(turned) >= least and max(turned) - locality(strengths, probes, layout) > _CLEARLY


def _turned(maps: Tensor) -> list[Tensor]:
    """Return maps (probes, h, w) mirrored and rotated, and, if they are square, transposed as well."""
    bases = [maps] if maps.shape[-1] != maps.shape[-2] else [maps, maps.mT]
    found = [base.flip(axes) for base in bases for axes in ((), (-1,), (-2,), (-2, -1))]
    return found[1:]


def _ranked(measured: Sequence[tuple[float, Layout]]) -> Sequence[tuple[float, Layout]]:
    """Return layouts, those that fit best first."""
    ranked = sorted(measured, key=_fit, reverse=True)
    # In a fine grid, a token in the middle moves the places so little that only a clear gain speaks for it.
    if len(ranked) > 1 and not (ranked[0][1].between and _fit(ranked[0]) - _fit(ranked[1]) >= _EQUAL):
        return [each for each in ranked if not each[1].between]
    return ranked


def _best(measured: Sequence[tuple[float, Layout]]) -> Layout | None:
    ranked = _ranked(measured)
    # Two layouts that are measured alike, but put a change elsewhere, cannot be told apart.
    if not ranked or (len(ranked) > 1 and _fit(ranked[0]) - _fit(ranked[1]) < _EQUAL):
        return None
    best, layout = ranked[0]
    # With more places, a wrong layout reaches no such correlation by chance, so those do not count as tries.
    tried = sum(other.places <= layout.places for _, other in measured)
    return layout if best >= max(LEAST, _by_chance(layout, tried)) else None


def _fit(measured: tuple[float, Layout]) -> float:
    value, layout = measured
    return value - _COST_OF_OTHERS * layout.left_out


def _by_chance(layout: Layout, tried: int) -> float:
    """The correlation that the best of several wrong layouts hardly exceeds.

    A correlation of n independent pairs of numbers has a deviation of 1 / sqrt(n); the largest of m normal numbers lies
    about sqrt(2 log m) deviations above their mean.
    """
    pairs = (_PARTS**2 - 1) * (layout.places - 1)
    return (_DEVIATIONS + math.sqrt(2 * math.log(tried))) / math.sqrt(pairs)


def locality(strengths: Tensor, probes: Sequence[Probe], layout: Layout) -> float:
    """Correlation, from -1 to 1, between where an output changed and which part of the image was changed.

    Tokens that are no places should answer to every part alike. So a layout does not fit if it leaves out some places.

    Args:
        strengths: for each probe, how strongly each position of the output changed: (probes, tokens) or (probes, h, w).
        probes: the changed parts.
        layout: lays the output over the image.
    """
    answers = torch.stack([_answer(layout, each) for each in strengths])
    parts = torch.stack([_right_answer(layout, each.part) for each in probes])
    # What answers to every change alike, such as the middle of the image in deep networks, says nothing.
    answers, parts = answers - answers.mean(dim=0), parts - parts.mean(dim=0)
    size = answers.norm() * parts.norm()
    return float((answers * parts).sum() / size) if size > 0 else 0.0


def _answer(layout: Layout, strengths: Tensor) -> Tensor:
    places = layout.placed(strengths).flatten()
    # A class token may answer much more than all places together.
    others = layout.others(strengths).clamp(max=float(places.max()))
    total = places.sum()
    return torch.cat([places, others]) / total if total > 0 else torch.zeros_like(torch.cat([places, others]))


def _right_answer(layout: Layout, part: Tensor) -> Tensor:
    places = adaptive_avg_pool2d(part[None, None], layout.grid).flatten()
    return torch.cat([places / places.sum(), places.new_zeros(layout.other_tokens)])
