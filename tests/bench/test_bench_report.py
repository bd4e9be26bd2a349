"""Reports of the benchmark: written and read again, shown, and compared with an earlier one."""

import dataclasses
import json

import pytest

from xai_eval.bench.contest import Outcome, Turn
from xai_eval.bench.report import Machine, Report, became_slower, read_report, table
from xai_eval.errors import UsageError

MACHINE = Machine("cpu", 2, 1, {"float32_matmul": "highest"}, {"torch": "2.15.0"})


def report(*ratios, difference=1e-6, machine=MACHINE, size="quick"):
    outcome = Outcome(tuple(Turn(each, 1.0, 0.5) for each in ratios), difference, 1e-4, ("a remark",))
    return Report(size, machine, {"lime": outcome}, {"lime": "lime"}, {"lime": "the model"}, {"gate": "no memory"})


def test_what_is_written_is_read(tmp_path):
    written = report(2.0, 3.0)
    written.write(tmp_path / "bench.json")
    assert read_report(tmp_path / "bench.json") == written


def test_the_table_says_ratio_share_failures_and_what_it_ran_on():
    text = "\n".join(table(report(2.0, 3.0, 4.0)))
    for part in ("3.00", "50%", "a remark", "not measured: no memory", "1 threads of torch", "torch 2.15.0"):
        assert part in text
    assert "NOT EQUAL" in "\n".join(table(report(2.0, difference=1e-3)))


def test_a_ratio_that_fell_beyond_noise_is_slower():
    (slower,) = became_slower(report(2.0, 2.0, 2.0), report(3.0, 3.0, 3.0))
    assert (slower.then, slower.now) == (3.0, 2.0) and "33% less" in str(slower)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ((2.7, 2.7, 2.7), (3.0, 3.0, 3.0)),  # within the least noise of both
        ((2.0,), (3.0,)),  # too few turns to tell
        ((1.4, 2.2, 3.0), (2.6, 3.0, 3.4)),  # the turns themselves vary as much
        ((4.0, 4.0, 4.0), (3.0, 3.0, 3.0)),  # faster
    ],
)
def test_what_noise_explains_is_not_slower(now, then):
    assert became_slower(report(*now), report(*then)) == []


def test_lower_bounds_and_unknown_rows_are_not_compared():
    assert became_slower(report(1.0, 1.0, 1.0), report(9.0, 9.0, 9.0, difference=None)) == []
    assert became_slower(report(1.0), dataclasses.replace(report(9.0), rows={})) == []


@pytest.mark.parametrize("other", [{"size": "full"}, {"machine": dataclasses.replace(MACHINE, device="H200")}])
def test_reports_of_other_work_or_devices_are_not_compared(other):
    with pytest.raises(UsageError, match="expected the same"):
        became_slower(report(1.0), report(1.0, **other))


@pytest.mark.parametrize("change", [{"format": 2}, {"rows": 3}, {"machine": None}, {"rows": {"lime": {}}}])
def test_a_file_that_is_no_report_is_refused(tmp_path, change):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({**dataclasses.asdict(report(1.0)), **change}))
    with pytest.raises(UsageError, match=r"no report of xai-eval bench|expected 1"):
        read_report(path)


def test_a_time_of_nothing_is_refused(tmp_path):
    path = tmp_path / "bench.json"
    dataclasses.replace(report(1.0), rows={"lime": Outcome((Turn(1.0, 0.0),), 0.0, 0.0)}).write(path)
    with pytest.raises(UsageError, match="above 0"):
        read_report(path)
