"""The gate's own test: faults must be noticed and placed, harmless changes must raise no alarm.

`pytest -m slow tests/faults -s` prints the whole table of faults with the rates. `benign.py` and `*_faults.py` hold the
two catalogues; a new fault is one more entry.
"""

from __future__ import annotations

import itertools

import benign
import cam_faults
import dissection_faults
import input_faults
import lime_faults
import measure_faults
import model_faults
import pytest
from gate import Bench, rate, table, tried, write_images

FAULTS = (
    *input_faults.FAULTS,
    *model_faults.FAULTS,
    *cam_faults.FAULTS,
    *lime_faults.FAULTS,
    *dissection_faults.FAULTS,
    *measure_faults.FAULTS,
)
KINDS = (
    "decode",
    "resize",
    "crop",
    "colour order",
    "normalisation",
    "dtype",
    "layer",
    "target",
    "library",
    "lime",
    "dissection",
    "model state",
    "weights",
    "metric",
)
# Incidents of the list that cannot be injected here: zero_grad (7) and the memory of Grad-CAM++ (14) change no answer,
# ROAD (12), SSIM (21) and captum are not used.
INCIDENTS = {
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "8",
    "9",
    "10",
    "11",
    "13",
    "15",
    "16",
    "17",
    "18",
    "19",
    "20",
    "22",
    "23",
    "24",
    "25",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench("scenes:objects", write_images(tmp_path_factory.mktemp("made")))


def test_the_catalogue_covers_every_kind_and_every_incident():
    assert {fault.kind for fault in FAULTS} == set(KINDS)
    assert {fault.source for fault in FAULTS} - {""} == INCIDENTS
    assert sum(not fault.source for fault in FAULTS) >= 20
    names = [(fault.name, task) for fault in FAULTS for task in fault.tasks]
    assert len(set(names)) == len(names)


# One of each kind, in the quickest task that shows it.
QUICK = [
    next(
        (fault, task)
        for fault in FAULTS
        if fault.kind == kind
        for task in ("cams", "lime", "dissection")
        if task in fault.tasks
    )
    for kind in KINDS
]


@pytest.mark.parametrize(("fault", "task"), QUICK, ids=[f"{fault.kind}-{task}" for fault, task in QUICK])
def test_one_fault_of_each_kind_is_noticed_and_placed(bench, fault, task):
    row = tried(bench, fault, task)
    assert row.noticed and row.placed, row.line


@pytest.mark.parametrize("change", benign.CHANGES[:5], ids=lambda change: change.name)
def test_what_changes_nothing_raises_no_alarm_in_cams(bench, change):
    failed = [verdict for verdict in bench.verdicts("cams", change.inject) if verdict.failed]
    assert not failed, failed[0].sentence


@pytest.mark.slow
def test_faults_are_noticed_and_placed(bench, capsys):
    rows = [tried(bench, fault, task) for fault in FAULTS for task in fault.tasks]
    with capsys.disabled():
        print(table(rows))
    assert rate(rows, "noticed") >= 0.99
    assert rate(rows, "placed") >= 0.95


PAIRS = list(itertools.chain.from_iterable(((change, task) for task in change.tasks) for change in benign.CHANGES))


@pytest.mark.slow
@pytest.mark.parametrize(("change", "task"), PAIRS, ids=[f"{change.name}-{task}" for change, task in PAIRS])
def test_harmless_changes_raise_no_alarm(bench, change, task):
    failed = [v for v in bench.verdicts(task, change.inject, **change.options) if v.failed]
    assert not failed, failed[0].sentence
