"""Further layers that networks have, beside `usual_layers`, by the kind of what they compute.

A change of one layer has to show beside all others of its kind. So each answer is scaled to the length 1, and norms are
tried on small numbers, where what is added to a variance counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from xai_eval.tasks.trials.layers_of_torch import CHANNELS, SIDE

_HEADS = 2
_LARGER, _SMALLER = (SIDE + 3, SIDE + 3), (SIDE - 3, SIDE - 3)
_SMALL = 0.01


class _WithGradients(nn.Module):
    """A layer of tokens as torch computes it where gradients are needed: without them, other code runs."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, places: Tensor) -> Tensor:
        tokens = places.flatten(2).mT
        attends = isinstance(self.inner, nn.MultiheadAttention)
        with torch.enable_grad():
            found = self.inner(tokens, tokens, tokens, need_weights=False)[0] if attends else self.inner(tokens)
        return torch.as_tensor(found).detach()


def _attending() -> list[nn.Module]:
    """Layers that attend; their dropout is switched off."""
    return [
        _WithGradients(nn.MultiheadAttention(CHANNELS, _HEADS, dropout=0.1, batch_first=True)),
        _WithGradients(nn.TransformerEncoderLayer(CHANNELS, _HEADS, 3, activation="gelu", batch_first=True)),
    ]


def _attention(places: Tensor) -> list[Tensor]:
    """What transformers are written from: products of queries and keys, masks, and the shift of windows."""
    values = places.reshape(1, _HEADS, CHANNELS // _HEADS, -1).mT
    count = values.shape[2]
    bias = torch.linspace(-1, 1, count**2, dtype=places.dtype).reshape(count, count)
    options: list[dict[str, object]] = [{}, {"attn_mask": bias}, {"is_causal": True}, {"scale": 0.3}]
    attend: Callable[..., Tensor] = F.scaled_dot_product_attention
    found = [attend(values, values.flip(2), values.roll(1, 2), **each) for each in options]
    return [*found, torch.roll(places, (-1, 2), dims=(2, 3))]


def _norming() -> list[nn.Module]:
    batch = nn.BatchNorm2d(CHANNELS)
    batch.running_mean, batch.running_var = (_SMALL**2 * torch.linspace(1, 2, CHANNELS) for _ in range(2))
    others = nn.LayerNorm(SIDE), nn.LayerNorm(SIDE, eps=1e-6), nn.GroupNorm(2, CHANNELS), nn.RMSNorm(SIDE, eps=1e-6)
    return [batch, *others, nn.InstanceNorm2d(CHANNELS, affine=True)]


def _norms(places: Tensor) -> list[Tensor]:
    return [F.normalize(places, dim=1), F.softmax(places / _SMALL, dim=-1), F.log_softmax(places / _SMALL, dim=1)]


def _activating() -> list[nn.Module]:
    simple = nn.Mish(), nn.Sigmoid(), nn.Hardsigmoid(), nn.Tanh(), nn.Softplus(), nn.GELU(approximate="tanh")
    return [nn.PReLU(CHANNELS), nn.LeakyReLU(), nn.ELU(), nn.SELU(), nn.GLU(dim=1), *simple]


def _padding() -> list[nn.Module]:
    padded = [nn.Conv2d(CHANNELS, 3, 3, padding=1, padding_mode=mode) for mode in ("reflect", "replicate", "circular")]
    return [
        *padded,
        nn.ConvTranspose2d(CHANNELS, 3, 3, stride=2, padding=1, output_padding=1),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        nn.AdaptiveMaxPool2d(3),
        nn.PixelShuffle(2),
        nn.ZeroPad2d((1, 2, 0, 1)),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.3)),
    ]


def _resampled(places: Tensor) -> list[Tensor]:
    """Maps of other sizes, as networks make them of images, of features and of tables of positions."""
    options: list[tuple[tuple[int, int], str, dict[str, bool]]] = [
        (_LARGER, "nearest", {}),
        (_LARGER, "nearest-exact", {}),
        (_LARGER, "bilinear", {"align_corners": True}),
        (_LARGER, "bicubic", {}),
        (_SMALLER, "bilinear", {"antialias": True}),
        (_SMALLER, "bicubic", {"antialias": True}),
        (_SMALLER, "area", {}),
    ]
    grid = F.affine_grid(0.8 * torch.eye(2, 3, dtype=places.dtype)[None], list(places.shape), align_corners=False)
    placed = F.grid_sample(places, grid, align_corners=False)
    sized = [F.interpolate(places, size, mode=mode, **more) for size, mode, more in options]
    return [*sized, F.interpolate(places, scale_factor=1.3, mode="bilinear"), placed]


def _none(_places: Tensor) -> list[Tensor]:
    return []


# By the step that is tried: makes its layers, computes the rest, and by how much the numbers are scaled. Layers that
# attend come last, because there are norms and activations in them.
_KINDS: Mapping[str, tuple[Callable[[], list[nn.Module]], Callable[[Tensor], list[Tensor]], float]] = {
    "the norms of torch": (_norming, _norms, _SMALL),
    "the activations of torch": (_activating, _none, 1.0),
    "the padding and pooling of torch": (_padding, _none, 1.0),
    "the resampling of torch": (list, _resampled, 1.0),
    "the attention of torch": (_attending, _attention, 1.0),
}
STEPS = tuple(_KINDS)


def further_layers(step: str) -> nn.ModuleList:
    """Return the layers that are tried in a step, not yet in double precision."""
    return nn.ModuleList(_KINDS[step][0]())


def further_answers(step: str, layers: nn.ModuleList, given: Tensor) -> NDArray[np.float64]:
    """Return what the layers of a step, and its functions, give for a map, one after the other, each of length 1."""
    _, functions, scale = _KINDS[step]
    with torch.no_grad():
        answers: Iterable[Tensor] = [*(layer(scale * given) for layer in layers), *functions(scale * given)]
        return torch.cat([(each / each.norm()).flatten() for each in answers]).numpy()
