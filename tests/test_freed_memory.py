"""Memory that was freed is used again, without the system filling its pages with zeros each time."""

import os
import platform
import subprocess
import sys

import pytest

BLOCKS, MEGABYTES = 20, 64
PAGES = BLOCKS * MEGABYTES * 2**20 // os.sysconf("SC_PAGE_SIZE")
GLIBC = platform.libc_ver()[0] == "glibc"
FAULTS = f"""
import ctypes, resource
import numpy as np
from xai_eval.freed_memory import keep_freed_memory
keep_freed_memory()
if hasattr(system := ctypes.CDLL(None), "prctl"):
    system.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: some systems give pages of 2 MB unasked, and count few
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({BLOCKS}):
    np.ones({MEGABYTES} * 2**20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**settings: str) -> int:
    """Return how many pages a process had to get for a block that it needs, and frees, again and again."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    huge = {"NUMPY_MADVISE_HUGEPAGE": "0"}  # numpy asks for pages of 2 MB, of which few would be counted
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env={**kept, **huge, **settings}, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_a_block_that_was_freed_is_used_again() -> None:
    pages = faults()
    assert pages < PAGES / BLOCKS * 2 if GLIBC else pages > 0


@pytest.mark.parametrize(
    "settings", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}]
)
def test_settings_of_the_environment_stay(settings: dict[str, str]) -> None:
    assert faults(**settings) > PAGES * 0.9
