"""Small documents that would cost much time or memory: each is one short error, soon and within 300 MB."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hostile.attack import Attack
from hostile.cost_probe import MOST_SECONDS, attacks

_LONGEST_ERROR = 2_000


@functools.cache
def _outcomes() -> Mapping[str, Mapping[str, Any]]:
    """Try all in one process, because most of the time is its start."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory(prefix="xai-eval-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "hostile.cost_probe", folder],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            cwd=folder,
            timeout=3_000,  # for what hangs; a machine may be slow
        )
    return {row["name"]: row for row in map(json.loads, done.stdout.splitlines())} | {"": {"came": done.stderr[-500:]}}


def _tried(name: str) -> Callable[[Path], str | None]:
    def attack(_folder: Path) -> str | None:
        found = _outcomes()
        if name not in found:
            return f"the process ended before it was tried: {found['']['came']}"
        row = found[name]
        slow = f"it took {row['seconds']:.1f} s" if row["seconds"] > MOST_SECONDS else None
        return (
            row["came"]
            or slow
            or (f"an error of {row['length']} characters" if row["length"] > _LONGEST_ERROR else None)
        )

    return attack


ATTACKS = tuple(
    Attack(name, "cost", "one short error within a second and 300 MB", _tried(name), slow=True) for name, _ in attacks()
)
