"""Let the products of a model compute a large batch in parts, because a product of more rows is rounded otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from xai_eval.explainers.model.overrides import Forward, overridden_forward


@dataclass
class Parts:
    """How the batches of a model are divided.

    Attributes:
        size: rows of one part.
        rows: rows of the batches that the model gets now; those of at most `size` rows are computed whole.
    """

    size: int
    rows: int = 0

    def __call__(self, forward: Forward) -> Callable[..., Any]:
        """Return `forward`, which is called once per part; (n, ...) to (n, ...), where n is a multiple of the rows."""

        def run(*given: Any, **named: Any) -> Any:
            # The second argument of a transposed convolution is the size of its output.
            values = next(iter((*given, *named.values()))) if len(given) + len(named) == 1 else None
            if self.rows <= self.size or not isinstance(values, Tensor) or len(values) % self.rows:
                return forward(*given, **named)
            parts = torch.split(values, self.size * (len(values) // self.rows))
            return torch.cat([forward(part) for part in parts])

        return run


@contextmanager
def in_parts(model: nn.Module, size: int) -> Iterator[Parts]:
    """Let linear layers and convolutions compute batches in parts of `size` rows; say how large the batches are.

    Maps of AblationCAM are small differences of scores, summed over all channels, so they show the rounding of the last
    layers. Products of as many rows as in the library are rounded as there. All else is computed row by row.
    """
    parts = Parts(size)
    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, nn.Linear | _ConvNd):
                stack.enter_context(overridden_forward(module, parts))
        yield parts
