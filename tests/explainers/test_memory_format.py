import pytest
import torch
from torch import nn

from xai_eval.explainers.model.memory_format import best_memory_format

EXAMPLE = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Fails(nn.Module):
    """Flattens by a `view`, which needs contiguous tensors."""

    def forward(self, x):
        return x.view(len(x), -1)


class ReadsMemory(nn.Module):
    """Returns the values in the order in which they are stored, which differs for channels last."""

    def forward(self, x):
        return x.as_strided((len(x), 192), (192, 1)) * torch.arange(192)


class Wide(nn.Module):
    """Has 1,125 weights per pixel of an image of 8 px, and 281 of one of 16 px."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 24 * 1000, 1)

    def forward(self, x):
        return self.conv(x).amax(dim=(2, 3))


@pytest.mark.parametrize(("side", "expected"), [(8, torch.contiguous_format), (16, torch.channels_last)])
def test_channels_last_only_if_there_are_enough_pixels_for_the_weights(side, expected):
    with torch.no_grad():
        assert best_memory_format(Wide(), EXAMPLE.repeat(1, 1, side // 8, side // 8)) is expected


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.channels_last),
        (Fails(), torch.contiguous_format),
        (ReadsMemory(), torch.contiguous_format),
    ],
)
def test_channels_last_only_if_the_logits_stay_the_same(net, expected):
    with torch.no_grad():
        assert best_memory_format(net, EXAMPLE) is expected
