"""Whatever is made of labelled units shows in one stage: each of the metrics is broken in turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from xai_eval.gate.stage_table import OF_MEASURES
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.reference import units as known_units
from xai_eval.tasks.reference.units import unit_label_stage

(NAME,) = unit_label_stage()


def changed(field: str) -> Callable[[Any], Any]:
    return lambda found: dataclasses.replace(found, **{field: getattr(found, field) * 0.999})


def one_less(column: str) -> Callable[[Any], Any]:
    return lambda table: table.assign(**{column: table[column] - 1})


BROKEN = {
    "agreement": changed("kappa"),
    "distribution_difference": changed("expected"),
    "pooled_p_values": lambda p_values: p_values * 0.999,
    "discovery_rates": lambda rates: rates * 0.999,
    "judge_label": changed("auprc"),
    "interpretable": lambda units: units[units["score"] > 0.04],
    "layer_summary": one_less("labelled"),
    "concept_counts": one_less("units"),
    "category_counts": one_less("unique_labels"),
    "top_concepts": lambda table: table[::-1],
    "unique_concepts": lambda names: (*names, "sky"),
}


def test_the_stage_is_the_same_each_time():
    assert Stage(StageKind.MEASURES, "unit labels") == NAME
    assert unit_label_stage()[NAME].digest == unit_label_stage()[NAME].digest


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_metric_moves_it(name, monkeypatch):
    sound, right = unit_label_stage()[NAME], getattr(known_units, name)
    monkeypatch.setattr(known_units, name, lambda *args, **named: BROKEN[name](right(*args, **named)))
    assert unit_label_stage()[NAME].distance(sound) > OF_MEASURES
