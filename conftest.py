"""Settings shared by all tests of the project."""

from __future__ import annotations

import os

# Two threads everywhere, so that timings and thread-dependent rounding are the same on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "2")

pytest_plugins = ["pytester"]
