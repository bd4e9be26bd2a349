"""A pass on a cluster of two nodes gives the same bits as one process, even if a node is killed."""

import dataclasses
import sys
import time

import pytest
from small_plan import make_plan
from test_probe_pass import assert_same, run_pass

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.probe_pass import run_probe_pass
from xai_eval.explainers.dissection.ray_engine import on_ray


def test_without_ray_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'xai-eval\[distributed\]'"):
        run_probe_pass(make_plan(count=4), Checkpoints(tmp_path), engine=on_ray)


@dataclasses.dataclass(frozen=True)
class Slow:
    """Reads images so slowly that a node can be killed in the middle; fails on one if told so."""

    reader: object
    seconds: float = 0.0
    fails_at: int = -1

    def read(self, position):
        time.sleep(self.seconds)
        if position == self.fails_at:
            raise InputUnavailable("cannot be decoded")
        return self.reader.read(position)


def slow_plan(**how):
    plan = dataclasses.replace(make_plan(count=48, layers=("layer3", "layer4")), clip=None)
    return dataclasses.replace(plan, probe=dataclasses.replace(plan.probe, reader=Slow(plan.probe.reader, **how)))


# Ray asks each node every half second whether it is alive, and gives it up after ten times without an answer.
NOTICED_SOON = {"health_check_period_ms": 500, "health_check_failure_threshold": 10}


@pytest.fixture(scope="module")
def cluster():
    """A cluster on this machine whose head has no core, and its nodes; started once, because that takes longest."""
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # Workers import this file, because the slow reader is defined here.
        patch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NOTICED_SOON}
        made = Cluster(initialize_head=True, head_node_args=head)
        patch.setenv("RAY_ADDRESS", made.address)
        yield made, []
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def nodes(cluster):
    """The cluster with two nodes of one core each; nodes that the test before killed are started again."""
    made, living = cluster
    while len(living) < 2:
        living.append(made.add_node(num_cpus=1))
    made.wait_for_nodes()
    return made, living


def wait_for_living(count):
    """Wait until Ray has noticed how many nodes are alive, which takes some time."""
    import ray

    deadline = time.monotonic() + 60
    while (living := sum(node["Alive"] for node in ray.nodes())) != count:
        assert time.monotonic() < deadline, f"{living} nodes live, expected {count}"
        time.sleep(0.1)


@pytest.mark.alone
def test_a_node_that_dies_changes_nothing(nodes, tmp_path):
    made, living = nodes
    expected = run_pass(slow_plan(), tmp_path / "here")
    came = []

    def advance(count):
        came.append(count)
        if len(came) == 2:  # of six shards
            made.remove_node(living.pop(), False)
            wait_for_living(2)  # the head and one of the two

    found = run_probe_pass(slow_plan(seconds=0.1), Checkpoints(tmp_path / "there"), engine=on_ray, advance=advance)
    assert_same(found, expected)
    assert came == [8] * 6


@pytest.mark.alone
def test_what_a_worker_raises_is_raised_here(nodes, tmp_path):
    with pytest.raises(InputUnavailable, match=r"1 of 48 images of scenes cannot be read, first .*cannot be decoded"):
        run_probe_pass(slow_plan(fails_at=20), Checkpoints(tmp_path), engine=on_ray)


@pytest.mark.alone
def test_shards_of_an_earlier_run_are_taken_and_the_rest_is_computed(nodes, tmp_path):
    expected = run_pass(slow_plan(), tmp_path)
    for index in (1, 4):
        (tmp_path / f"shard-{index:05d}.json").unlink()
    kept = (tmp_path / "shard-00000.json").stat().st_mtime_ns
    found = run_probe_pass(slow_plan(), Checkpoints(tmp_path), engine=on_ray)
    assert_same(found, expected)
    assert (tmp_path / "shard-00000.json").stat().st_mtime_ns == kept


@pytest.mark.alone
def test_shards_that_start_later_send_fewer_maps(nodes, tmp_path):
    """Otherwise the maps of a large probe set would fill the disk, although most of them are below the threshold."""
    plan = make_plan(count=96, layers=("layer3",), batches_per_shard=1)
    run_probe_pass(plan, Checkpoints(tmp_path), engine=on_ray)
    kept = [len(Checkpoints(tmp_path).load(index).layers[0].maps.units) for index in range(24)]
    assert min(kept[12:]) < 0.7 * max(kept[:4]) == 0.7 * 4 * 64
