"""A pass on a cluster of two nodes gives the same bits as one process, even if a node is killed."""

import dataclasses
import time
from functools import partial

import pytest
from small_plan import make_plan
from test_probe_pass import assert_same, run_pass

from xai_eval.errors import InputUnavailable
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.probe_pass import run_probe_pass
from xai_eval.explainers.dissection.ray_engine import on_ray


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


def engine(two_nodes):
    return partial(on_ray, two_nodes.workers)


@pytest.mark.alone
def test_what_a_worker_raises_is_raised_here(two_nodes, tmp_path):
    with pytest.raises(InputUnavailable, match=r"1 of 48 images of scenes cannot be read, first .*cannot be decoded"):
        run_probe_pass(slow_plan(fails_at=20), Checkpoints(tmp_path), engine=engine(two_nodes))


@pytest.mark.alone
def test_shards_of_an_earlier_run_are_taken_and_the_rest_is_computed(two_nodes, tmp_path):
    expected = run_pass(slow_plan(), tmp_path)
    for index in (1, 4):
        (tmp_path / f"shard-{index:05d}.json").unlink()
    kept = (tmp_path / "shard-00000.json").stat().st_mtime_ns
    found = run_probe_pass(slow_plan(), Checkpoints(tmp_path), engine=engine(two_nodes))
    assert_same(found, expected)
    assert (tmp_path / "shard-00000.json").stat().st_mtime_ns == kept


@pytest.mark.alone
def test_shards_that_start_later_send_fewer_maps(two_nodes, tmp_path):
    """Otherwise the maps of a large probe set would fill the disk, although most of them are below the threshold."""
    plan = make_plan(count=96, layers=("layer3",), batches_per_shard=1)
    run_probe_pass(plan, Checkpoints(tmp_path), engine=engine(two_nodes))
    kept = [len(Checkpoints(tmp_path).load_maps(index, 0, plan.shards[index], 64).units) for index in range(24)]
    assert min(kept[12:]) < 0.7 * max(kept[:4]) == 0.7 * 4 * 64


@pytest.mark.alone
def test_a_node_that_dies_changes_nothing(two_nodes, tmp_path):
    expected = run_pass(slow_plan(), tmp_path / "here")
    came = []

    def advance(count):
        came.append(count)
        if len(came) == 2:  # of six shards
            two_nodes.kill_one()

    before = len(two_nodes.workers._crew.members)
    found = run_probe_pass(
        slow_plan(seconds=0.1), Checkpoints(tmp_path / "there"), engine=engine(two_nodes), advance=advance
    )
    assert_same(found, expected)
    assert came == [8] * 6
    assert before == 2 and len(two_nodes.workers._crew.ready) == 1
