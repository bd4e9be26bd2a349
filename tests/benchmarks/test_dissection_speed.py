"""What the rows of `xai-eval bench` do not say of soft-WPMI: busy cores beside it, and the memory it takes.

    pytest -m benchmark tests/benchmarks/test_dissection_speed.py -s

The loop has thousands of short steps that torch shares out to its threads, which wait for each other after each: on
idle cores that costs little, and where other processes use the cores as well, most of its time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from xai_eval.bench.contest import measure
from xai_eval.bench.rows.similarity import random_probe, similarity_rows
from xai_eval.bench.size import FULL
from xai_eval.explainers.dissection.similarity import soft_wpmi_of_top

IMAGES, UNITS, CONCEPTS = FULL.similarity
TOP = 100


@pytest.mark.benchmark
def test_soft_wpmi_on_shared_cores() -> None:
    """The row of `xai-eval bench`, while another process for every core does nothing but count."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        script = "import test_dissection_speed as t; t.print_outcome()"
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, cwd=Path(__file__).parent, capture_output=True, text=True)
    finally:
        for each in others:
            each.kill()
            each.wait()
    assert done.returncode == 0, done.stderr
    ratio, equal = json.loads(done.stdout)
    print(f"\nsoft-WPMI, {len(others)} busy processes beside, ratio {ratio:.1f}")
    assert equal


def print_outcome() -> None:
    """Print ratio and equality of the row of soft-WPMI with two threads, as JSON."""
    cpu = torch.device("cpu")
    row = next(row for row in similarity_rows(FULL, cpu) if row.name == "soft_wpmi, 2 threads")
    with row.prepare(cpu) as contest:
        outcome = measure(contest, cpu, FULL.budget)
    print(json.dumps([outcome.ratio, outcome.equal]))


@pytest.mark.benchmark
def test_memory_of_soft_wpmi() -> None:
    """Less than half of the similarities, results included: no tensor of units, images and concepts."""
    similarity, activations = (each.numpy() for each in random_probe(IMAGES, UNITS, CONCEPTS))
    top = np.argsort(-activations, axis=0)[:TOP].T.copy()
    tracemalloc.start()
    soft_wpmi_of_top(similarity, top, np.ones(UNITS, dtype=bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"\nsoft-WPMI: peak {peak / 2**20:.0f} MB; similarities {similarity.nbytes / 2**20:.0f} MB")
    assert peak < similarity.nbytes / 2
