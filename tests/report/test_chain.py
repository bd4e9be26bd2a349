"""How the stages of a case are put into boxes, and what is told of each."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from xai_eval.gate.stages import StageShift
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.page.chain import stage_chain
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text

WAS, NOW = fingerprint_text("was"), fingerprint_text("now")
MODEL = ("hooks", "weights of conv1", "weights of layer1", "weights of layer2", "weights of fc")
DISSECTION = (
    "concepts",
    "model state of CLIP: hooks",
    "model state of CLIP: weights of visual",
    "embeddings",
    *(f"model state: {each}" for each in MODEL),
    *(f"layer{n} {each}" for n in (3, 4) for each in ("activations", "top-k", "top images", "similarity")),
    "clip_units labels",
    "pixel_units labels",
)


@pytest.fixture
def chain(build):
    def make(names, moved=(), first=None):
        golden = dataclasses.replace(build.result(), stages=dict.fromkeys(names, WAS))
        stages = {name: NOW if name in moved else WAS for name in names}
        origin = StageShift(first, math.inf) if first else None
        verdict = Verdict(golden.case, State.DRIFT, origin=origin)
        return stage_chain(ReportCase(verdict, dataclasses.replace(golden, stages=stages), golden))

    return make


def test_stages_of_a_family_are_one_box_in_the_order_of_the_chain(chain):
    boxes = chain(("decoded pixels", *(f"model state: {each}" for each in MODEL), "layer activations", "logits"))
    assert [(box.name, box.change, box.place) for box in boxes] == [
        ("decoded pixels", "equal", "before"),
        ("model state", "5 stages equal", "before"),
        ("layer activations", "equal", "before"),
        ("logits", "equal", "before"),
    ]


def test_a_dissection_has_a_box_a_layer(chain):
    names = [box.name for box in chain(DISSECTION)]
    assert names == [
        *("concepts", "model state of CLIP", "embeddings", "model state", "layer3", "layer4", "labels"),
    ]


def test_a_family_of_one_keeps_its_name(chain):
    names = ("segments", "raw map gradcam", "final map gradcam", "measures: localisation")
    assert tuple(box.name for box in chain(names)) == names


def test_what_moved_in_a_family_is_named_and_the_first_of_the_chain_before_others(chain):
    names = [f"model state: {each}" for each in MODEL]
    before, box = chain(["image bytes", *names], moved=(names[1], names[4]), first=names[4])
    assert (before.place, box.place, box.change, box.equal) == ("before", "first", "", "3 equal")
    assert [(each.name, each.change, each.place) for each in box.told] == [
        ("weights of fc", "changed", "first"),
        ("weights of conv1", "changed", "before"),
    ]
    assert box.folded == ()


def test_of_many_that_moved_most_are_folded_away(chain):
    names = [f"model state: {each}" for each in MODEL]
    (box,) = chain(names, moved=names, first=names[0])
    assert [each.name for each in (*box.told, *box.folded)] == list(MODEL)
    assert len(box.told) == 3 and box.equal == ""
    assert [each.place for each in box.told] == ["first", "after", "after"]


def test_numbers_are_told_where_there_are_some(build):
    was = fingerprint_array(np.linspace(-1.0, 1.0, 64))
    golden = dataclasses.replace(build.result(), stages={"final map lime": was, "final map gradcam": was, "gone": was})
    now = {"final map lime": fingerprint_array(np.linspace(-1.5, 1.5, 64)), "final map gradcam": was}
    case = ReportCase(Verdict(golden.case, State.DRIFT), dataclasses.replace(golden, stages=now), golden)
    maps, gone = stage_chain(case)
    assert (maps.name, [(each.name, each.change) for each in maps.told]) == ("final map", [("lime", "relative 0.5")])
    assert (maps.equal, gone.change) == ("1 equal", "is gone")
