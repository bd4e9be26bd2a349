"""One row of the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from xai_eval.bench.contest import Contest


@dataclass(frozen=True)
class Row:
    """One row of the benchmark.

    Attributes:
        name: as in the report, such as "scorecam resnet18".
        stock: what ours is compared with, in words.
        limit: what the unavoidable work is, in words; empty if it is not measured.
        prepare: opens the contest on a device, and restores what it changed.
        weight: share of the usual time of a row that this one gets.
    """

    name: str
    stock: str
    limit: str
    prepare: Callable[[torch.device], AbstractContextManager[Contest]]
    weight: float = 1.0
