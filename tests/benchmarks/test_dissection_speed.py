"""How much faster soft-WPMI of a whole layer is than a loop over its units, measured in one run.

    pytest -m benchmark --benchmark-enable tests/benchmarks/test_dissection_speed.py -s

Times depend on the machine and what else it does, so the ratio is printed and kept, and agreement is asserted. The loop
has thousands of short steps that torch shares out to its threads, which wait for each other after each: on idle cores
that costs little, and where other processes use the cores as well, most of its time. So both are measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from xai_eval.explainers.dissection.similarity import soft_wpmi, soft_wpmi_of_top

IMAGES, UNITS, CONCEPTS, TOP = 10_000, 512, 2_000, 100


@pytest.fixture(scope="module")
def probe() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return random_probe()


def random_probe() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Similarities spread as those of CLIP, and activations without ties."""
    generator = np.random.default_rng(0)
    similarity = (0.2 + 0.03 * generator.standard_normal((IMAGES, CONCEPTS))).astype(np.float32)
    activations = np.stack([generator.permutation(IMAGES) for _ in range(UNITS)], axis=1).astype(np.float32)
    return similarity, activations


def looped(similarity: torch.Tensor, activations: torch.Tensor) -> torch.Tensor:
    """The formula as one writes it down: for each unit the softmax of its top images, the logarithms, and their sum."""
    dtype = similarity.dtype
    probabilities = torch.softmax(10 * similarity, dim=1)
    top = activations.topk(TOP, dim=0).indices
    p = (0.998 - 0.028 * torch.arange(TOP, dtype=dtype) / TOP)[:, None]
    logs = torch.empty(activations.shape[1], similarity.shape[1], dtype=dtype)
    for unit in range(activations.shape[1]):
        chosen = probabilities.gather(0, top[:, unit : unit + 1].expand(-1, similarity.shape[1]))
        logs[unit] = torch.log(1 + p * (chosen - 1) + 1e-7).sum(dim=0)
    return logs - (logs.logsumexp(dim=0) - np.log(len(logs)))


def timed_loop(similarity: torch.Tensor, activations: torch.Tensor) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        looped(similarity, activations)
    return time.perf_counter() - start


@pytest.mark.benchmark
def test_soft_wpmi_of_a_layer(probe: tuple[NDArray[np.float32], NDArray[np.float32]], benchmark: Any) -> None:
    """512 units, 2,000 concepts, 10,000 images; the loop runs before and after, and the median of its times counts."""
    tensors = [torch.from_numpy(each) for each in probe]
    seconds = [timed_loop(*tensors)]
    scores = benchmark.pedantic(soft_wpmi, probe, rounds=5, warmup_rounds=1)
    seconds += [timed_loop(*tensors), timed_loop(*tensors)]
    if benchmark.stats:  # absent where benchmarks are disabled
        fast, loop = benchmark.stats.stats.median, float(np.median(seconds))
        benchmark.extra_info["ratio"] = loop / fast
        policy = os.environ.get("OMP_WAIT_POLICY", "not set")
        print(f"\nsoft-WPMI, {torch.get_num_threads()} threads, OMP_WAIT_POLICY {policy}: ", end="")
        print(f"loop {loop:.2f} s, ours {fast:.2f} s, ratio {loop / fast:.1f}")
    with torch.no_grad():
        exact = looped(*(each.double() for each in tensors)).numpy()
    np.testing.assert_allclose(scores, exact, rtol=0, atol=2e-4)


@pytest.mark.benchmark
def test_soft_wpmi_on_shared_cores() -> None:
    """The same while another process for every core does nothing but count, with torch's threads as they come."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        script = "import test_dissection_speed as t; t.print_times()"
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, cwd=Path(__file__).parent, capture_output=True, text=True)
    finally:
        for each in others:
            each.kill()
            each.wait()
    assert done.returncode == 0, done.stderr
    loop, fast = (float(np.median(each)) for each in json.loads(done.stdout))
    print(f"\nsoft-WPMI, {len(others)} busy processes beside: ", end="")
    print(f"loop {loop:.2f} s, ours {fast:.2f} s, ratio {loop / fast:.1f}")


def print_times() -> None:
    """Print the seconds of loops and of ours, in turns, as JSON."""
    similarity, activations = random_probe()
    tensors = [torch.from_numpy(each) for each in (similarity, activations)]
    loops, ours = [], []
    for _ in range(3):
        loops.append(timed_loop(*tensors))
        start = time.perf_counter()
        soft_wpmi(similarity, activations)
        ours.append(time.perf_counter() - start)
    print(json.dumps([loops, ours]))


@pytest.mark.benchmark
def test_memory_of_soft_wpmi(probe: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    """Less than half of the similarities, results included: no tensor of units, images and concepts."""
    similarity, activations = probe
    top = np.argsort(-activations, axis=0)[:TOP].T.copy()
    tracemalloc.start()
    soft_wpmi_of_top(similarity, top, np.ones(UNITS, dtype=bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"\nsoft-WPMI: peak {peak / 2**20:.0f} MB; similarities {similarity.nbytes / 2**20:.0f} MB")
    assert peak < similarity.nbytes / 2
