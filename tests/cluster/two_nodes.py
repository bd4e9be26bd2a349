"""A Ray cluster on this machine: a head without a core, and two nodes that tests kill. All tests share it.

The package is imported where it is needed: every process of pytest loads this file, and few start a cluster.
"""

import gc
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

# Ray asks each node every half second whether it is alive, and gives it up after ten times without an answer.
NOTICED_SOON = {"health_check_period_ms": 500, "health_check_failure_threshold": 10}


@dataclass(eq=False)
class TwoNodes:
    """The nodes of one core each, and the workers on them, which all tests share because they start slowly."""

    made: Any
    living: list[Any] = field(default_factory=list)
    workers: Any = None

    def start(self) -> None:
        """Start the nodes that are not there yet, or that a test has killed."""
        while len(self.living) < 2:
            self.living.append(self.made.add_node(num_cpus=1))
        self.made.wait_for_nodes()

    def refill(self) -> Any:
        """Start what is missing, and return the workers."""
        from xai_eval.cluster.cluster import connect
        from xai_eval.run.spread import told_of_process

        self.start()
        if self.workers is None:
            gc.collect()  # the workers of a test that made its own end when nobody knows them any more
            self.workers = connect("cpu", partial(told_of_process, "cpu"))
        self.until_ready()
        return self.workers

    def until_ready(self) -> None:
        crew = self.workers._crew
        deadline = time.monotonic() + 1200
        while len(crew.ready) < 2:
            assert time.monotonic() < deadline, "two workers do not start"
            crew.fill(2)
            self.workers._wait([])

    def kill_one(self) -> None:
        """Kill a node with all its processes, as a machine does that loses its power."""
        self.made.remove_node(self.living.pop(), False)


@pytest.fixture(scope="session")
def started_nodes():
    import ray
    from ray.cluster_utils import Cluster as Made

    with pytest.MonkeyPatch.context() as patch:
        # Workers import the files of tests, because tests define readers and orders there.
        patch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NOTICED_SOON}
        made = Made(initialize_head=True, head_node_args=head)
        patch.setenv("RAY_ADDRESS", made.address)
        yield TwoNodes(made)
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def two_nodes(started_nodes):
    """Two living nodes with a worker each."""
    started_nodes.refill()
    return started_nodes
