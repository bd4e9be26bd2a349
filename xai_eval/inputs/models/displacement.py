"""Find by measurement whether the places of a layer lie over other parts of the image than a map would be drawn over.

Parts of the image are changed one at a time. Of each place it is asked which share of its answers is to which part:
this says what the place sees. It is compared with what it would see if the layer were moved or magnified.

What it finds, measured on the default layers of 49 networks of `tests/models` with random weights, behind a change of
the image inside the model. Nothing is told of them as they are.

| change | found |
|---|---|
| shift by 0.5, 0.75, 1, 1.5, 2 places | 3, 8, 49, 49, 49 |
| only the middle 90, 75, 60, 50 % of the image | 0, 9, 45, 47 |
| padded by 10, 25, 50 % of the image on each side | 0, 8, 29 |
| every second row of places mirrored (a snake) | 40 |

Patches in another order and a Fourier transform were found in 84 of 86. So a shift of less than a place, a crop that
leaves three quarters or more, padding of less than half, and a snake behind convolutions that mix its rows stay unseen
in most (`unseen_border` finds the crops). Maps of fewer than 3 x 3 places tell nothing at all, and those of fewer than
4 x 4 nothing but shifts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

# Finer maps are averaged to so many rows and columns first, which bounds the time.
_FINEST = 16
_SHIFTS = tuple(step / 40 for step in range(-20, 21))  # shares of the side of the image
_SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0)
_BLURS = (0.0, 0.1, 0.2, 0.4)  # of a place's view, shares of the side of the image
_STEPS = 8  # points per place at which a part is drawn
_FAR = 0.75  # places
_FEWEST_TO_MOVE, _FEWEST_TO_SCALE = 3, 4  # rows and columns of places
# Correlations: what counts as a fit, and by how much it must be better than that of the layer as it is drawn.
_MOVED, _MOVED_BY = 0.75, 0.05
_SCALED, _SCALED_BY = 0.85, 0.03
# A small gain says something only of places that see their part sharply: where each sees much, as behind the dilated
# convolutions of LR-ASPP, the border of the image alone makes it (0.90, better by 0.04).
_SHARP, _SCALED_FAR = 0.95, 0.1
_NOWHERE = 0.5
# A place sees another part if that fits so well, and so much better, at a distance of so much of the image. Of the
# places of 49 networks as they are none did; of 4 x 4 places in the order of a snake, a quarter.
_ELSEWHERE, _ELSEWHERE_BY, _DISTANT, _MIXED = 0.8, 0.5, 0.3, 0.2
_PRECISION = torch.float32  # whatever a process has as its default


@dataclass(frozen=True)
class Placement:
    """Where the places of a layer lie.

    Attributes:
        down: by how much of the height of the image a change shows further down than it is.
        right: by how much of the width it shows further to the right.
        magnified: how many times larger than the image the layer shows it.
        nowhere: whether a change shows at no place in particular.
        mixed: share of the places that see another part of the image, far from the one that they are drawn over; 0 if
            they are few.
    """

    down: float = 0.0
    right: float = 0.0
    magnified: float = 1.0
    nowhere: bool = False
    mixed: float = 0.0

    def __str__(self) -> str:
        """Tell in a clause what is wrong with it; empty if nothing is."""
        if self.nowhere:
            return "a change of a part of the image shows at no place in particular, or at places far from it"
        if self.magnified > 1.0:
            return (
                f"it shows about the middle {100 / self.magnified:.0f} % of the image, as after a crop inside the model"
            )
        if self.magnified < 1.0:
            return (
                f"it shows the image on about its middle {100 * self.magnified:.0f} %, as after padding inside the "
                "model"
            )
        if self.mixed:
            return (
                f"about {100 * self.mixed:.0f} % of its places show another part of the image, far away, as if its "
                "tokens were in another order (every second row the other way round, say)"
            )
        if self.down or self.right:
            told = (_far(self.down, "height", "down", "up"), _far(self.right, "width", "to the right", "to the left"))
            return f"a change of a part of the image shows {' and '.join(filter(None, told))} of it"
        return ""


def _far(share: float, side: str, forwards: str, backwards: str) -> str:
    return f"about {100 * abs(share):.0f} % of the {side} {forwards if share > 0 else backwards}" if share else ""


def placement(strengths: Tensor) -> Placement:
    """Measure where the places of a layer lie.

    Args:
        strengths: how strongly each place answered to the change of each part, (n * n, h, w), the parts in rows.
    """
    grid = tuple(strengths.shape[1:])
    if min(grid) < _FEWEST_TO_MOVE:
        return Placement()
    coarse = (min(grid[0], _FINEST), min(grid[1], _FINEST))
    pooled = adaptive_avg_pool2d(strengths.to(_PRECISION)[None], coarse)[0]
    fits = _fits(pooled)
    here, own = len(_SHIFTS) // 2, _SCALES.index(1.0)
    as_drawn = float(fits[own, here, here])
    if min(grid) >= _FEWEST_TO_SCALE:
        if float(fits.max()) < _NOWHERE:
            return Placement(nowhere=True)
        scaled = fits[:, here, here]
        best = int(scaled.argmax())
        edge = (_SCALES[best] - 1) / 2 * min(pooled.shape[1:])
        if abs(edge) >= _FAR and _is_scaled(float(scaled[best]), as_drawn):
            return Placement(magnified=_SCALES[best])
    moved = fits[own]
    row, column = divmod(int(moved.argmax()), len(_SHIFTS))
    down, right = _SHIFTS[row], _SHIFTS[column]
    far = max(abs(down) * pooled.shape[1], abs(right) * pooled.shape[2]) >= _FAR
    clear = float(moved.max()) >= max(_MOVED, as_drawn + _MOVED_BY)
    if far and clear:
        return Placement(down, right)
    mixed = _elsewhere(pooled) if min(grid) >= _FEWEST_TO_SCALE else 0.0
    return Placement(mixed=mixed) if mixed >= _MIXED else Placement()


def _is_scaled(fit: float, as_drawn: float) -> bool:
    clear = fit >= max(_SCALED, as_drawn + _SCALED_BY)
    return clear and (fit >= _SHARP or fit >= as_drawn + _SCALED_FAR)


def _fits(strengths: Tensor) -> Tensor:
    """Return the correlation of what places see with each view, (scales, shifts down, shifts to the right)."""
    parts = round(len(strengths) ** 0.5)
    answers = _shares(strengths).reshape(parts, parts, *strengths.shape[1:])
    rows, columns = (_views(parts, side) for side in strengths.shape[1:])
    products = torch.einsum("pqij,bzdpi,bzeqj->bzde", answers, rows, columns)
    # The size of a view less its mean over the parts. It is a product of rows and columns, and so are its sums.
    size = _outer(rows.square().sum((3, 4)), columns.square().sum((3, 4)))
    mean = _outer(rows.sum(3).square().sum(-1), columns.sum(3).square().sum(-1)) / parts**2
    size = (size - mean).clamp(min=1e-9).sqrt()
    fits: Tensor = (products / size / answers.norm().clamp(min=1e-30)).amax(0)
    return fits


def _shares(strengths: Tensor) -> Tensor:
    """Return which share of a place's answers is to each part, less their mean over the parts."""
    shares = strengths / strengths.sum(0).clamp(min=1e-12 * float(strengths.max()) + 1e-30)
    centred: Tensor = shares - shares.mean(0)
    return centred


def _elsewhere(strengths: Tensor) -> float:
    """Return the share of the places that see a part of the image far from the one that they are drawn over."""
    parts, (h, w) = round(len(strengths) ** 0.5), strengths.shape[1:]
    answers = _unit(_shares(strengths).flatten(1))
    here = _SCALES.index(1.0), len(_SHIFTS) // 2
    rows, columns = (_views(parts, side)[:, here[0], here[1]] for side in (h, w))
    views = torch.einsum("bpi,bqj->bpqij", rows, columns).reshape(len(_BLURS), parts**2, h * w)
    # By place, how well its answers fit the view of each place.
    fits = (answers.T @ _unit(views - views.mean(dim=1, keepdim=True))).amax(0)
    centres = torch.cartesian_prod((torch.arange(h, device="cpu") + 0.5) / h, (torch.arange(w, device="cpu") + 0.5) / w)
    distant = (centres[:, None] - centres[None]).abs().amax(2) > _DISTANT
    best = fits.masked_fill(~distant, -1.0).amax(1)
    return float(((best > _ELSEWHERE) & (best > fits.diagonal() + _ELSEWHERE_BY)).to(_PRECISION).mean())


def _unit(columns: Tensor) -> Tensor:
    """Divide columns, the last axis but one, by their length."""
    unit: Tensor = columns / columns.norm(dim=-2, keepdim=True).clamp(min=1e-9)
    return unit


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    return rows[..., :, None] * columns[..., None, :]


def _views(parts: int, side: int) -> Tensor:
    """Return which share of each place lies over each part, along one side: (blurs, scales, shifts, parts, places)."""
    points = (torch.arange(side * _STEPS, dtype=_PRECISION, device="cpu") + 0.5) / (side * _STEPS)
    shifts = torch.tensor(_SHIFTS, dtype=_PRECISION, device="cpu")[:, None]
    scales = torch.tensor(_SCALES, dtype=_PRECISION, device="cpu")[:, None, None]
    seen = (points - 0.5 - shifts) / scales + 0.5  # what a point of the layer sees
    edges = torch.arange(parts, dtype=_PRECISION, device="cpu")[:, None] / parts
    inside = (seen[:, :, None] >= edges) & (seen[:, :, None] < edges + 1 / parts)
    blurred = torch.stack([inside.to(_PRECISION) @ _blur(points, each) for each in _BLURS])
    return blurred.reshape(*blurred.shape[:-1], side, _STEPS).mean(-1)


def _blur(points: Tensor, width: float) -> Tensor:
    if width == 0:
        return torch.eye(len(points), dtype=_PRECISION, device="cpu")
    weights = torch.exp(-0.5 * ((points[:, None] - points) / width) ** 2)
    return (weights / weights.sum(dim=1, keepdim=True)).T
