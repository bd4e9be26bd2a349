import pytest
import torch
from torch import nn

from xai_eval.explainers.model.memory_format import best_memory_format

EXAMPLE = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
SIZE = EXAMPLE.numel()


class Fails(nn.Module):
    """Flattens by a `view`, which needs contiguous tensors."""

    def forward(self, x):
        return x.view(len(x), -1)


class ReadsMemory(nn.Module):
    """Returns the values in the order in which they are stored, which differs for channels last."""

    def forward(self, x):
        return x.as_strided((len(x), SIZE), (SIZE, 1)) * torch.arange(SIZE)


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


def test_small_images_stay_contiguous_on_a_cpu():
    """Where ResNets are slower in channels last."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert best_memory_format(net, EXAMPLE[:, :, :64, :64]) is torch.contiguous_format
