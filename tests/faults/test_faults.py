"""The gate's own test: faults must be noticed and placed.

Each pair of a fault and a task is a test of its own, so that workers share them. `pytest -m slow tests/faults` tries
each fault once, and prints the rates at its end, with `-v` the whole table; `-m "slow or thorough"` tries every pair.
`*_faults.py` hold the catalogue; a new fault is one more entry.
"""

from __future__ import annotations

import cam_faults
import dissection_faults
import further_faults
import input_faults
import later_faults
import lime_faults
import map_faults
import measure_faults
import model_faults
import pytest
import reading_faults
import release_faults
import sample_faults
import state_faults
import study_faults
import token_faults
import unit_faults
import unseen_faults
import upgrade_faults
from faults.fault_table import PROPERTY
from gate import tried
from turns import in_turns

FAULTS = (
    *input_faults.FAULTS,
    *model_faults.FAULTS,
    *cam_faults.FAULTS,
    *lime_faults.FAULTS,
    *dissection_faults.FAULTS,
    *measure_faults.FAULTS,
    *map_faults.FAULTS,
    *sample_faults.FAULTS,
    *unit_faults.FAULTS,
    *reading_faults.FAULTS,
    *study_faults.FAULTS,
    *state_faults.FAULTS,
    *token_faults.FAULTS,
    *further_faults.FAULTS,
    *unseen_faults.FAULTS,
    *later_faults.FAULTS,
    *upgrade_faults.FAULTS,
    *release_faults.FAULTS,
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
    "attribution",
    "counts",
    "identity",
    "maps",
    "reading",
    "search",
    "seeds",
    "tokens",
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


def test_the_catalogue_covers_every_kind_and_every_incident():
    assert {fault.kind for fault in FAULTS} == set(KINDS)
    assert {fault.source for fault in FAULTS} - {""} == INCIDENTS
    assert sum(not fault.source for fault in FAULTS) >= 20
    names = [(fault.name, task, model) for fault in FAULTS for task in fault.tasks for model in fault.models]
    assert len(set(names)) == len(names)


# One of each of these kinds, in the quickest task that shows it, is tried in every run; the rest takes minutes. They
# begin at different steps: input, model, explanation, measures.
QUICK_KINDS = (
    "decode",
    "normalisation",
    "layer",
    "target",
    "library",
    "lime",
    "dissection",
    "weights",
    "metric",
    "counts",
)
QUICK = {
    next(
        (fault.name, task)
        for fault in FAULTS
        if fault.kind == kind and not fault.parameters
        for task in ("cams", "lime", "attributions", "dissection", "comparison", "lime_search")
        if task in fault.tasks
    )
    for kind in QUICK_KINDS
}


def is_quick(fault, task, model):
    return (fault.name, task) in QUICK and model == fault.models[0]


def is_rare(fault, task, model):
    return fault.name in further_faults.RARELY or fault in (
        *unseen_faults.FAULTS,
        *later_faults.FAULTS,
        *upgrade_faults.FAULTS,
        *release_faults.FAULTS,
    )


@pytest.mark.parametrize(
    ("fault", "task", "model"),
    in_turns(
        ([(fault, task, model) for task in fault.tasks for model in fault.models] for fault in FAULTS),
        is_quick,
        is_rare,
    ),
)
def test_a_fault_is_noticed_and_placed(benches, fault, task, model, record_property):
    """Other weights on record are told as well under the usual policy, where the explanation decides what fails."""
    row = tried(benches(model), fault, task)
    record_property(PROPERTY, row.outcome)
    assert row.noticed and row.placed, row.line
    assert row.told, f"other weights are on record, and a verdict does not say so: {row.line}"
