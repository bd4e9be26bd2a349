"""The rows of the benchmark: what is compared with what."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from xai_eval.bench.row import Row
from xai_eval.bench.rows.cams import cam_rows
from xai_eval.bench.rows.dissection import dissection_row
from xai_eval.bench.rows.gate import gate_row
from xai_eval.bench.rows.lime import lime_row, search_row
from xai_eval.bench.rows.similarity import similarity_rows
from xai_eval.bench.size import Size


def all_rows(size: Size, device: torch.device) -> Iterator[Row]:
    """Yield the rows in the order of the report; a device other than the CPU has more of them."""
    yield from cam_rows(size)
    yield lime_row(size)
    yield search_row(size)
    yield dissection_row(size)
    yield from similarity_rows(size, device)
    yield gate_row(size)
