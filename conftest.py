"""Settings shared by all tests of the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xai_eval.errors import InputUnavailable

# Two threads everywhere, so that thread-dependent rounding is the same on every machine; and threads that sleep while
# they wait: where cores are shared (pytest-xdist, CI), threads that spin make small networks ten times slower.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real photographs and networks, for tests marked `real`."""
    named = os.environ.get("XAI_EVAL_DATA")
    if not named or not (Path(named) / "models" / "factories.py").is_file():
        raise InputUnavailable(f"XAI_EVAL_DATA is {named!r}: it must name a folder with models/factories.py.")
    return Path(named)


@pytest.fixture(autouse=True)
def outside_of_github_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what tests judge out of the summary of the job that runs them."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own_tasks() -> Iterator[None]:
    """Forget afterwards which tasks a test registered, and the files that they came from."""
    from xai_eval.tasks import all_tasks
    from xai_eval.tasks.registry import TASKS

    all_tasks()
    tasks, modules, paths = dict(TASKS), set(sys.modules), list(sys.path)
    yield
    TASKS.clear()
    TASKS.update(tasks)
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if name.startswith("xai_eval_task_file_"):
            del sys.modules[name]
