"""The drift of a whole set is placed where that of its images began, if its own stages cannot tell."""

import dataclasses

import pytest
from synthetic import make_case

from xai_eval.gate.set_origin import with_origins_of_images
from xai_eval.gate.stages import StageShift
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.stage import Stage, StageKind

MEASURES, TARGET, LOGITS = (Stage(kind) for kind in (StageKind.MEASURES, StageKind.TARGET, StageKind.LOGITS))


def drift(stage, name="photos (2 images)", **case):
    return Verdict(make_case(input=name, **case), State.DRIFT, origin=StageShift(stage, 1.0))


def origins(*verdicts):
    return [each.origin.stage for each in with_origins_of_images(verdicts)]


def test_a_set_takes_the_origin_of_its_images():
    assert origins(drift(MEASURES), drift(MEASURES, "photos/0.jpg"), drift(TARGET, "photos/1.jpg")) == [
        TARGET,
        MEASURES,
        TARGET,
    ]


@pytest.mark.parametrize(
    "other",
    [
        drift(TARGET, "others/0.jpg"),
        drift(TARGET, "photos/0.jpg", task="lime"),
        drift(TARGET, "photos/0.jpg", model="another"),
        dataclasses.replace(drift(TARGET, "photos/0.jpg"), state=State.OK),
        drift(TARGET, "photos (3 images)"),
    ],
)
def test_other_images_tell_nothing_of_a_set(other):
    assert origins(drift(MEASURES), other)[0] == MEASURES


def test_a_set_whose_own_stages_tell_keeps_its_origin():
    assert origins(drift(LOGITS), drift(TARGET, "photos/0.jpg")) == [LOGITS, TARGET]
