import pytest
import torch
from torch import nn

from xai_eval.explainers.model.memory_format import best_memory_format

EXAMPLE = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Fails(nn.Module):
    """Flattens by a `view` that only the ordinary layout has."""

    def forward(self, x):
        return x.view(len(x), -1)


class ReadsMemory(nn.Module):
    """Gives what lies in memory, in its order there."""

    def forward(self, x):
        return x.as_strided((len(x), 192), (192, 1)) * torch.arange(192)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.channels_last),
        (Fails(), torch.contiguous_format),
        (ReadsMemory(), torch.contiguous_format),
    ],
)
def test_channels_last_only_where_the_model_bears_it(net, expected):
    with torch.no_grad():
        assert best_memory_format(net, EXAMPLE) is expected
