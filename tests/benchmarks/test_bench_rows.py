"""The rows of `xai-eval bench`, by the same code: how much faster ours is than the plain library, in one run.

    pytest -m benchmark tests/benchmarks/test_bench_rows.py -s

Times depend on the machine and what else it does, so they are printed; equality is asserted.
"""

from __future__ import annotations

import pytest
import torch

from xai_eval.bench.benchmark import chosen_device, run_rows
from xai_eval.bench.report import table
from xai_eval.bench.row import Row
from xai_eval.bench.rows import all_rows
from xai_eval.bench.size import FULL, QUICK

SIZE = FULL if torch.cuda.is_available() else QUICK


@pytest.mark.benchmark
@pytest.mark.parametrize("row", list(all_rows(SIZE, chosen_device("auto"))), ids=lambda row: row.name)
def test_ours_is_what_the_plain_library_computes(row: Row) -> None:
    report = run_rows([row], SIZE, chosen_device("auto"))
    print("", *table(report), sep="\n")
    assert not report.failed and not report.unequal
