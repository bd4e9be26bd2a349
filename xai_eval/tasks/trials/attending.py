"""A transformer of two layers in closed form, on which the methods that follow attention are tried."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_PATCH, _WIDTH, _LAYERS = 4, 8, 2


class Attending(nn.Module):
    """Patches of 4 x 4 pixels and a class token, two layers of attention in some heads, and three scores."""

    def __init__(self, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, _WIDTH, _PATCH, stride=_PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.layers = nn.ModuleList(nn.Linear(_WIDTH, 3 * _WIDTH) for _ in range(_LAYERS))
        self.head = nn.Linear(_WIDTH, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (N, 3) of images (N, 3, H, W)."""
        places = self.patches(image).flatten(2).mT
        tokens = torch.cat([self.token.expand(len(places), -1, -1), places], dim=1)
        for layer in self.layers:
            query, key, value = (self._by_head(each) for each in layer(tokens).chunk(3, dim=-1))
            found = functional.scaled_dot_product_attention(query, key, value)
            tokens = tokens + found.transpose(1, 2).flatten(2)
        return torch.as_tensor(self.head(tokens[:, 0]))

    def _by_head(self, tokens: Tensor) -> Tensor:
        """Divide (N, tokens, width) into heads, (N, heads, tokens, width / heads)."""
        return tokens.reshape(*tokens.shape[:2], self.heads, -1).transpose(1, 2)
