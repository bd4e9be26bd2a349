"""How many workers fit on machines, by cores and by GPUs, against a count one by one."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.cluster.shares import Node, Share, share_of, workers_for
from xai_eval.errors import UsageError

PARTS = [Fraction(1, n) for n in (1, 2, 3, 4, 7, 10)]
nodes = st.builds(Node, st.integers(0, 64), st.integers(0, 8))


def placed_one_by_one(node, threads, gpus):
    """Put workers on a machine until there is no room, with exact fractions; each stays on one GPU if it can."""
    cpus, left, count = Fraction(node.cpus), [Fraction(1)] * int(node.gpus), 0
    needed = 1 if gpus else threads
    while cpus >= needed:
        if gpus:
            chosen = [at for at, free in enumerate(left) if free >= min(gpus, 1)][: max(1, int(gpus))]
            if len(chosen) < max(1, gpus):
                break
            for at in chosen:
                left[at] -= min(gpus, 1)
        cpus, count = cpus - needed, count + 1
    return count


@given(node=nodes, threads=st.integers(1, 32), gpus=st.sampled_from([0, *PARTS, 2, 3]))
def test_as_many_fit_as_can_be_placed_one_by_one(node, threads, gpus):
    assert Share(threads, float(gpus)).fits(node) == placed_one_by_one(node, threads, gpus)


@given(machines=st.lists(nodes, min_size=1, max_size=5), threads=st.integers(1, 32))
def test_workers_fill_all_machines_or_none_has_room(machines, threads):
    share = Share(threads)
    room = sum(map(share.fits, machines))
    if room:
        assert workers_for(share, machines, None) == room
    else:
        with pytest.raises(UsageError, match=f"needs {threads} cores.*OMP_NUM_THREADS=1"):
            workers_for(share, machines, None)


def test_more_may_be_wanted_than_fit_now_because_a_cluster_may_grow():
    assert workers_for(Share(1), [Node(2, 0)], 5) == 5


@pytest.mark.parametrize(
    ("device", "gpus", "expected"), [("cpu", None, 0.0), ("cuda", None, 1.0), ("cuda", 0.25, 0.25), ("cuda", 2, 2.0)]
)
def test_a_worker_gets_a_gpu_where_it_computes_on_one(device, gpus, expected):
    assert share_of(device, 3, gpus) == Share(3, expected)


@pytest.mark.parametrize(("device", "gpus", "message"), [("cpu", 0.5, "the device is the CPU"), ("cuda", 1.5, "1.5")])
def test_a_share_that_nobody_can_give_is_refused(device, gpus, message):
    with pytest.raises(UsageError, match=message):
        share_of(device, 1, gpus)
