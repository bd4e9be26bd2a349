"""Two ways are measured in turns within their time, and compared; the clock stands still but for what they do."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.bench import contest
from xai_eval.bench.contest import Contest, OwnTime, measure
from xai_eval.inputs.models.model_errors import as_model_error

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that only `spend` moves."""

    class Clock:
        now = 0.0

        def spend(self, seconds, answer=None):
            self.now += seconds
            return answer

    found = Clock()
    monkeypatch.setattr(contest.time, "perf_counter", lambda: found.now)
    return found


def ways(clock, stock=3.0, ours=1.0, **more):
    return Contest(
        lambda: clock.spend(stock, 5.0), lambda: clock.spend(ours, 5.25), lambda a, b: abs(a - b), 0.5, **more
    )


def test_ways_are_measured_in_turns_until_the_time_is_spent(clock):
    found = measure(ways(clock, limit=lambda: clock.spend(0.5)), CPU, 20)
    assert found.ratios == (3.0, 3.0, 3.0) and found.share == 0.5
    assert found.difference == 0.25 and found.equal and not found.remarks


def test_both_ways_warm_up_before_any_time_is_taken(clock):
    spent = []

    def way(name, cold):  # what is done once per process costs the first that comes
        return clock.spend(1.0 if spent else cold) or spent.append(name) or 5.0

    both = {"stock": lambda: way("stock", 8.0), "ours": lambda: way("ours", 8.0)}
    found = measure(
        Contest(**both, difference=lambda a, b: a - b, tolerance=0, warm_up=lambda: way("both", 8.0)), CPU, 0
    )
    assert spent == ["both", "ours", "stock"] and found.ratio == 1


def test_without_time_for_a_turn_the_first_run_is_the_figure_and_that_is_said(clock):
    found = measure(ways(clock), CPU, 4)
    assert (found.ratio, len(found.turns)) == (3.0, 1)
    assert "first run" in found.remarks[0]


def test_a_share_of_the_work_is_scaled(clock):
    assert measure(ways(clock, scale=54.0), CPU, 20).ratio == 3 * 54


def test_a_way_that_measures_itself_is_believed(clock):
    own = Contest(lambda: OwnTime(1, 8.0), lambda: OwnTime(1, 2.0), lambda a, b: abs(a - b), 0)
    assert measure(own, CPU, 1).ratio == 4


@pytest.mark.parametrize("around", [nullcontext, partial(as_model_error, "net", (1,))])
def test_a_stock_way_that_is_cut_off_gives_a_lower_bound(clock, around):
    net = torch.nn.Identity()

    def stock():
        for _ in range(1000):
            with around():
                net(torch.zeros(1))
            clock.spend(1.0)

    found = measure(Contest(stock, lambda: clock.spend(2.0), lambda *_: 0.0, 0), CPU, 10)
    assert found.difference is None and found.equal and "lower bound" in found.remarks[0]
    assert found.turns[0].ours == 2 and 8 <= found.turns[0].stock <= 10
    net(torch.zeros(1))  # nothing is left behind


def test_answers_that_differ_are_told(clock):
    assert not measure(Contest(lambda: 1.0, lambda: clock.spend(1.0, 2.0), lambda a, b: b - a, 0.5), CPU, 0).equal


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0, 50))
def test_the_ratio_is_that_of_the_seconds_whatever_the_budget(stock, ours, budget):
    with pytest.MonkeyPatch.context() as patch:
        now = [0.0]
        patch.setattr(contest.time, "perf_counter", lambda: now[0])

        def spend(seconds):
            now[0] += seconds
            return 0.0

        found = measure(Contest(lambda: spend(stock), lambda: spend(ours), lambda *_: 0.0, 0), CPU, budget)
    assert found.ratio == pytest.approx(stock / ours, rel=1e-6)
    assert 1 <= len(found.turns) <= 9
