"""Settings shared by all tests of the project."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from xai_eval.errors import InputUnavailable
from xai_eval.gate.ci import CI_VARIABLES

# Every process that runs tests uses one thread. Threads split a sum into parts, which changes its rounding; with one
# thread every process and every machine rounds in the same way. Two processes keep both cores busy. The variables are
# set here because this file is loaded before any test imports torch; workers of pytest-xdist inherit them. PASSIVE
# makes a waiting thread sleep, so that it does not take the core of another process.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A slow machine is no failure, and each machine tries the same examples: what lands does not depend on luck.
ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same everywhere", ANY_MACHINE, derandomize=True, database=None)
settings.load_profile("same everywhere")
# Fuzz targets try others each time, as many as this profile says; CONTRIBUTING.md names the command.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
settings.register_profile("fuzz", ANY_MACHINE, derandomize=False, max_examples=EXAMPLES)

pytest_plugins = [
    "pytester",
    "cluster.two_nodes",
    "faults.fault_table",
    "faults.harmless_table",
    "hostile.attack_table",
]

WORKERS = 2
FAULTS, CATALOGUE = "tests/faults/", "tests/faults/test_faults.py"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run all tests on two workers, unless `-n` or `-p no:xdist` says otherwise.

    Tests that the command line names (a file, one test) run in this process: `-s` shows what they print, and no workers
    have to start. Benchmarks run in this process, too, because they need the machine for themselves.
    """
    asks_for_all = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    alone = config.option.usepdb or config.option.collectonly or config.getoption("benchmark_enable", False)
    if asks_for_all and not alone and _may_choose_workers(config):
        config.option.numprocesses = WORKERS
        config.option.dist = "load"


def _may_choose_workers(config: pytest.Config) -> bool:
    """Whether pytest-xdist is loaded, this is not a worker, and no option says how to distribute tests."""
    return (
        config.pluginmanager.hasplugin("xdist")
        and not hasattr(config, "workerinput")
        and config.option.numprocesses is None
        and not config.option.tx
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the tests of a file to one worker, because they share what is expensive to compute."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            # The pairs of the catalogue of faults share little, and are too many for one worker.
            return nodeid if file == CATALOGUE else file

    # In the order of collection, see above.
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the faults last, and then the catalogue: workers take it test by test, so that all end at the same time."""
    items.sort(key=lambda item: (item.nodeid.startswith(FAULTS), item.nodeid.startswith(CATALOGUE)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Import all tests without looking for garbage, which takes up to half a second each time, and never look again.

    Their bytecode is kept, although some machines write none: to rewrite the assertions of all tests anew takes ten
    seconds in each process. Files that tests write later are compiled as the machine wants it.
    """
    writes_none = sys.dont_write_bytecode
    sys.dont_write_bytecode = False
    gc.disable()
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = writes_none
        gc.freeze()
        gc.enable()


atexit.register(gc.unfreeze)  # or libraries that count their objects report them as leaked


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_the_disk() -> Iterator[None]:
    """Let `os.fsync` return at once: it guards against a loss of power, which no test causes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real photographs and networks, for tests marked `real`."""
    named = os.environ.get("XAI_EVAL_DATA")
    if not named or not (Path(named) / "models" / "factories.py").is_file():
        raise InputUnavailable(
            f"XAI_EVAL_DATA is {named!r}; expected a folder with models/factories.py. Set it, or leave out -m real."
        )
    return Path(named)


@pytest.fixture(autouse=True)
def outside_of_github_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep verdicts of tests out of the summary of the GitHub job that runs the tests."""
    # Tests accept goldens, which is refused in a CI. The tests of the page need the variable CI itself.
    for name in (*CI_VARIABLES, "GITHUB_STEP_SUMMARY"):
        if name != "CI":
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figure files of single cases: they take a third of a small run, and tests/report draws them."""
    from xai_eval.report.page import shown_cases

    monkeypatch.setattr(shown_cases, "FIGURES", 0)


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
