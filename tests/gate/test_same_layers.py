"""The layers of a dissection are found again under other names if they give the same, and only then."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from synthetic import make_result, unit_labels

from xai_eval.gate.judge import judge, judge_all
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Gallery, Ranking, Table, Tally
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.stage import Stage, StageKind

BEFORE, NOW = ("layer4", "layer4.0"), ("net.layer4", "layer4")
SLIGHTLY, AS_ROUNDING = 1e-5, 5e-7


def dissection(names, *, factors=(1.0, 1.0), told=None, labels=("car", "tree"), top=("wheel", "layer4")):
    """A dissection of two layers, of one unit each: what they give, and how fields name them."""
    told = told or names
    units = [f"{name}/0" for name in told]
    frame = pd.DataFrame({"layer": told, "units": [1, 1]})
    concepts = pd.DataFrame({"concept": ["layer4", "car"], told[0]: [1, 0], told[1]: [0, 1], "total": [1, 1]})
    groups = pd.DataFrame({"labels": [f"{name} by clip" for name in told], "f1": [0.5, 0.75]})
    fields = {
        "clip_units": unit_labels(
            unit=units,
            label=labels,
            score=[0.9, 0.5],
            second=["boat", "grass"],
            margin=[0.4, 0.3],
            layer=told,
            dead=[0, 0],
        ),
        "layers": Table(frame, {"units": 0.0}),
        "label_quality": Table(groups, {"f1": 0.1}),
        "clip_concepts": Tally(concepts, {told[0]: 0.0, told[1]: 0.0, "total": 0.0}),
        "interpretation": Tally(pd.DataFrame({"unit": units, "deviations": [2.0, 1.0]}), {"deviations": 0.1}, cut=True),
        "clip_top_concepts": Ranking(top, (2.0, 1.0), 0.0),
        "top_images": Gallery(dict.fromkeys(units, b"")),
    }
    made = make_result(
        task="dissection", input="scenes (24 images)", params={"layers": [list(names)], "seed": 0}, fields=fields
    )
    values = zip(names, (np.linspace(0, 1, 60), np.linspace(2, 1, 60)), factors, strict=True)
    given = {Stage(StageKind.ACTIVATIONS, name): fingerprint_array(each * factor) for name, each, factor in values}
    block = {Stage(StageKind.MODEL_WEIGHTS, "layer4"): fingerprint_text("weights")}
    return dataclasses.replace(made, stages={**block, **made.stages, **given})


@pytest.mark.parametrize("moved", [0.0, AS_ROUNDING])
def test_layers_of_other_names_that_give_the_same_are_told(moved):
    """One of the new names is an old one of the other layer, and a concept has the name of a layer."""
    verdict = judge(dissection(NOW, factors=(1 + moved, 1.0)), dissection(BEFORE).condensed())
    assert verdict.state is State.OK, verdict.sentence
    assert "Its layer layer4 is now called net.layer4. Its layer layer4.0 is now called layer4." in verdict.sentence
    assert not verdict.unwatched


@pytest.mark.parametrize("factors", [(1 + SLIGHTLY, 1.0), (1.0, 1.5)])
def test_a_layer_that_gives_something_else_is_another_layer(factors):
    verdict = judge(dissection(NOW, factors=factors), dissection(BEFORE))
    assert verdict.state is State.INCOMPARABLE and "layers" in verdict.sentence


def test_layers_that_changed_places_are_other_layers():
    now = dissection(BEFORE)
    turned = dataclasses.replace(
        now, case=dataclasses.replace(now.case, params={**now.case.params, "layers": [list(BEFORE[::-1])]})
    )
    assert judge(turned, now).state is State.INCOMPARABLE


def test_without_activations_the_names_decide():
    was = dissection(BEFORE)
    bare = dataclasses.replace(was, stages={k: v for k, v in was.stages.items() if k.kind != StageKind.ACTIVATIONS})
    assert judge(dissection(NOW), bare).state is State.INCOMPARABLE


@pytest.mark.parametrize("claimed", [None, "layer4", [1, 2], [["layer4"]], [["layer4", "layer4.0"], ["layer4"]]])
def test_what_a_golden_claims_in_another_form_excuses_nothing(claimed):
    was = dissection(BEFORE)
    golden = dataclasses.replace(was, case=dataclasses.replace(was.case, params={"layers": claimed, "seed": 0}))
    assert judge(dissection(NOW), golden).state is State.INCOMPARABLE


@pytest.mark.parametrize(
    "change", [{"labels": ("car", "bush")}, {"told": ("net.layer4", "layer3")}, {"top": ("a", "b")}]
)
def test_behind_other_names_everything_is_compared(change):
    assert judge(dissection(NOW, **change), dissection(BEFORE)).state is State.DRIFT


def test_of_several_goldens_the_one_that_differs_in_layers_alone_is_taken():
    goldens = [dissection(BEFORE), dissection(("layer2", "layer3"))]
    other = dataclasses.replace(
        goldens[1], case=dataclasses.replace(goldens[1].case, params={"layers": [["layer2", "layer3"]], "seed": 1})
    )
    now = dissection(NOW)
    verdicts = judge_all({now.case.key: now}, {each.case.key: each for each in (goldens[0], other)})
    assert State.OK in [each.state for each in verdicts]


def test_a_block_of_weights_that_is_called_as_a_layer_keeps_its_name():
    now = dissection(NOW)
    other = {Stage(StageKind.MODEL_WEIGHTS, "layer4"): fingerprint_text("other weights")}
    verdict = judge(dataclasses.replace(now, stages={**now.stages, **other}), dissection(BEFORE))
    assert verdict.state is State.DRIFT and str(verdict.origin.stage) == "model weights of layer4"
