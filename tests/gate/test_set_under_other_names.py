"""A whole set whose images all have other names is compared row by row, by their pixels."""

import dataclasses

import numpy as np
import pytest
from synthetic import make_result

from xai_eval.gate.judge import judge_all
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Table
from xai_eval.result.fields.table import Column
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage, StageKind

PIXELS = Stage(StageKind.DECODED_PIXELS)
# The scores of two images, in the order of the set.
SCORES = {"1": 0.25, "2": 0.75}


def of_pixels(result, number):
    return dataclasses.replace(result, stages={PIXELS: fingerprint_array(np.full(4, float(number)))})


def study(suffix, scores=SCORES):
    """Results by key: two images, and the whole set with a row for each."""
    rows = Column("image", "text", tuple(f"{name}.{suffix}" for name in scores))
    table = Table.of_columns((rows, Column("score", "float", tuple(scores.values()))), {"score": 0.01})
    whole = of_pixels(make_result(input="photos (2 images)", fields={"rows": table}), 0)
    images = [of_pixels(make_result(f"{name}.{suffix}"), name) for name in SCORES]
    return {each.case.key: each for each in (*images, whole)}


@pytest.mark.parametrize("suffix", ["jpg", "JPG", "png"])
def test_other_names_of_all_images_fail_nothing(suffix):
    verdicts = judge_all(study(suffix), study("jpg"))
    assert {each.state for each in verdicts} == {State.OK}, [each.sentence for each in verdicts if each.failed]
    told = [each for each in verdicts if "under other names" in each.sentence]
    assert len(told) == (suffix != "jpg")


def test_a_changed_row_under_another_name_is_a_drift():
    verdicts = judge_all(study("JPG", {"1": 0.75, "2": 0.25}), study("jpg"))
    assert [each.case.input for each in verdicts if each.failed] == ["photos (2 images)"]
