"""How the stages of a case are put into boxes, and what is told of each."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from xai_eval.gate.stage_words import stage_words
from xai_eval.gate.stages import StageShift
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.page.chain import stage_chain
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.stage import OwnKind, Stage
from xai_eval.result.stage import StageKind as K

WAS, NOW = fingerprint_text("was"), fingerprint_text("now")
BLOCKS = ("conv1", "layer1", "layer2", "fc")
MODEL = (Stage(K.HOOKS), *(Stage(K.MODEL_WEIGHTS, block) for block in BLOCKS))
OF_LAYERS = (K.ACTIVATIONS, K.TOP_K, K.TOP_IMAGES, K.SIMILARITY)
DISSECTION = (
    Stage(K.CONCEPTS),
    Stage(K.CLIP_HOOKS),
    Stage(K.CLIP_WEIGHTS, "visual"),
    Stage(K.EMBEDDINGS),
    *MODEL,
    *(Stage(kind, layer) for layer in ("layer3", "layer4") for kind in OF_LAYERS),
    Stage(K.LABELS_BY_CLIP),
    Stage(K.LABELS_BY_PIXELS),
)


@pytest.fixture
def chain(build):
    def make(chained, moved=(), first=None):
        golden = dataclasses.replace(build.result(), stages=dict.fromkeys(chained, WAS))
        stages = {stage: NOW if stage in moved else WAS for stage in chained}
        origin = StageShift(first, math.inf) if first else None
        verdict = Verdict(golden.case, State.DRIFT, origin=origin)
        return stage_chain(ReportCase(verdict, dataclasses.replace(golden, stages=stages), golden))

    return make


def test_stages_of_a_family_are_one_box_in_the_order_of_the_chain(chain):
    boxes = chain((Stage(K.DECODED_PIXELS), *MODEL, Stage(K.LAYER_ACTIVATIONS), Stage(K.LOGITS)))
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


def test_two_models_have_boxes_of_their_own(chain):
    stages = [
        Stage(kind, of, model)
        for model in ("a", "b")
        for kind, of in ((K.HOOKS, ""), (K.MODEL_WEIGHTS, "fc"), *((kind, "layer4") for kind in OF_LAYERS))
    ]
    assert [box.name for box in chain(stages)] == [
        *("model state in a", "layer4 in a", "model state in b", "layer4 in b"),
    ]


def test_what_is_of_several_groups_is_told_by_them(chain):
    predictions = Stage(K.PERTURBED_PREDICTIONS), Stage(K.PERTURBED_PREDICTIONS, "other classes")
    (box,) = chain(predictions, moved=predictions, first=predictions[0])
    assert box.name == "perturbed predictions"
    assert [each.name for each in box.shown] == ["perturbed predictions", "other classes"]


def test_a_family_of_one_keeps_its_name(chain):
    stages = (
        Stage(K.SEGMENTS),
        Stage(K.RAW_MAP, "gradcam"),
        Stage(K.FINAL_MAP, "gradcam"),
        Stage(OwnKind("attention rollout"), "layer4"),
    )
    assert [box.name for box in chain(stages)] == [str(stage) for stage in stages]


def test_each_box_and_each_stage_in_it_says_what_it_holds(chain):
    kind = Stage(OwnKind("attention rollout"), "layer4")
    layer = (Stage(K.ACTIVATIONS, "layer4"), Stage(K.OVERLAP, "layer4"))
    pixels, model, units, own = chain((Stage(K.DECODED_PIXELS), *MODEL, *layer, kind), moved=layer)
    assert pixels.meaning == "the pixels of the image after its file was decoded"
    assert model.meaning.startswith("what the model consists of")
    assert units.meaning == "all that was computed of the units of this layer"
    assert units.shown[0].meaning == "how strongly each unit of the layer responds to each image"
    assert own.meaning == ""


def test_what_moved_in_a_family_is_named_and_the_first_of_the_chain_before_others(chain):
    before, box = chain([Stage(K.IMAGE_BYTES), *MODEL], moved=(MODEL[1], MODEL[4]), first=MODEL[4])
    assert (before.place, box.place, box.change, box.equal) == ("before", "first", "", "3 equal")
    assert [(each.name, each.change, each.place) for each in box.shown] == [
        ('model weights of the block "fc"', "changed", "first"),
        ('model weights of the block "conv1"', "changed", "before"),
    ]
    assert box.folded == ()


def test_of_many_that_moved_most_are_folded_away(chain):
    (box,) = chain(MODEL, moved=MODEL, first=MODEL[0])
    assert [each.name for each in (*box.shown, *box.folded)] == [stage_words(stage) for stage in MODEL]
    assert len(box.shown) == 3 and box.equal == ""
    assert [each.place for each in box.shown] == ["first", "after", "after"]


def test_numbers_are_told_where_there_are_some(build):
    was = fingerprint_array(np.linspace(-1.0, 1.0, 64))
    lime, gradcam = (Stage(K.FINAL_MAP, method) for method in ("lime", "gradcam"))
    golden = dataclasses.replace(build.result(), stages={lime: was, gradcam: was, Stage(K.TARGET): was})
    now = {lime: fingerprint_array(np.linspace(-1.5, 1.5, 64)), gradcam: was}
    case = ReportCase(Verdict(golden.case, State.DRIFT), dataclasses.replace(golden, stages=now), golden)
    maps, gone = stage_chain(case)
    assert (maps.name, [(each.name, each.change) for each in maps.shown]) == (
        "final map",
        [("lime", "by 50 %")],
    )
    assert (maps.equal, gone.change) == ("1 equal", "is gone")
