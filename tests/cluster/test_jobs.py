"""Items are handed out once each, in order, whatever is lost on the way; and only as far ahead as was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.cluster.jobs import MOST_LOST, Jobs
from xai_eval.errors import InputUnavailable


@given(count=st.integers(0, 30), ahead=st.integers(1, 6), dice=st.randoms(use_true_random=False))
def test_every_item_is_finished_once_though_workers_are_lost(count, ahead, dice):
    jobs, running, finished = Jobs((f"item {n}" for n in range(count)), ahead), [], []
    while True:
        while (job := jobs.next()) is not None:
            running.append(job)
        if not running:
            break
        unfinished = [n for n in range(count) if n not in finished]
        assert max(each.number for each in running) < min(unfinished) + ahead
        job = running.pop(dice.randrange(len(running)))
        if job.lost + 1 < MOST_LOST and dice.random() < 0.3:
            jobs.again(job, "it died")
        else:
            assert job.item == f"item {job.number}"
            finished.append(job.number)
            jobs.finish(job)
    assert sorted(finished) == list(range(count)) and not jobs.left


def test_an_item_that_ends_every_worker_ends_the_run():
    jobs = Jobs(["poison"], ahead=1)
    for _ in range(MOST_LOST - 1):
        jobs.again(jobs.next(), "it died")
    with pytest.raises(InputUnavailable, match=r"4 workers .* ended while they had item 1 .*it died.*--resume"):
        jobs.again(jobs.next(), "it died")
