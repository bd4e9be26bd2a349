"""Judging a run of many cases beside reading the same files without judging them, each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from xai_eval.bench.contest import Contest, OwnTime
from xai_eval.bench.large_run import DRIFT_EVERY, write_large_run
from xai_eval.bench.row import Row
from xai_eval.bench.size import Size
from xai_eval.errors import StorageError

_READ = """
import gzip, json, sys, time
from pathlib import Path
from safetensors.numpy import load
start = time.perf_counter()
read = 0
for folder in sys.argv[1:]:
    for file in sorted(Path(folder).rglob("result.json")):
        json.loads(file.read_bytes())
        load(gzip.decompress((file.parent / "arrays.safetensors.gz").read_bytes()))
        read += 1
print(json.dumps({"seconds": time.perf_counter() - start, "read": read}))
"""
# Also run by tests/benchmarks/test_gate_speed.py.
JUDGE = """
import json, os, sys, time
from collections import Counter
from pathlib import Path
start = time.perf_counter()
from xai_eval.store.goldens import Goldens
from xai_eval.gate.judge_run import judge_run
imported = time.perf_counter()
judged = judge_run(Path(sys.argv[1]), Goldens(Path(sys.argv[2])))
seconds = time.perf_counter() - imported
status = Path("/proc/self/status")  # getrusage may tell the peak of the process that started this one
told = dict(line.split(":", 1) for line in status.read_text().splitlines()) if status.exists() else {}
try:
    import resource
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
except ImportError:
    others = 0  # Windows, where no other process judges a part
drifted = sorted(v.case.input for v in judged.verdicts if v.state == "drift")
print(json.dumps({
    "seconds": seconds, "importing": imported - start, "processor": sum(os.times()[:4]),
    "megabytes": int(told.get("VmHWM", "0").split()[0]) / 1024, "megabytes_of_others": others,
    "states": Counter(v.state for v in judged.verdicts), "drifted": drifted,
}))
"""


def gate_row(size: Size) -> Row:
    """Return the row of the gate."""
    name = f"judging {size.cases} cases of {size.side} px"
    return Row(name, "read the same files, judge nothing", "", partial(_opened, size))


@contextmanager
def _opened(size: Size, _device: torch.device) -> Iterator[Contest]:
    with tempfile.TemporaryDirectory(prefix="xai-eval-bench-") as folder:
        run, golden = Path(folder) / "run", Path(folder) / "golden"
        write_large_run(run, golden, size.cases, side=size.side)
        yield Contest(
            stock=partial(_timed, _READ, run, golden),
            ours=partial(_timed, JUDGE, run, golden),
            difference=partial(_wrong_verdicts, size.cases),
            tolerance=0,
            remark=lambda found: f"{found['seconds']:.2f} s and {found['megabytes']:.0f} MB in the first run",
        )


def _wrong_verdicts(cases: int, read: dict[str, Any], found: dict[str, Any]) -> float:
    """Return how many verdicts are wrong: every 50th case looks elsewhere, and the others differ by noise."""
    drifted = {f"large/image-{number:04}.jpg" for number in range(0, cases, DRIFT_EVERY)}
    unread = abs(2 * cases - int(read["read"]))
    return float(len(drifted ^ set(found["drifted"])) + abs(cases - sum(found["states"].values())) + unread)


def _timed(script: str, *folders: Path) -> OwnTime:
    found = in_fresh_process(script, *folders)
    return OwnTime(found, found["seconds"])


def in_fresh_process(script: str, *folders: Path) -> dict[str, Any]:
    """Run a script that prints JSON in a process of its own.

    Raises:
        StorageError: the process failed; the error holds the last line that it printed.
    """
    done = subprocess.run([sys.executable, "-c", script, *map(str, folders)], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StorageError(f"a process that reads a run ended with code {done.returncode}: {last}. Run it again.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
