"""A choice among things that are tied within rounding is told; one that the run does not call tied fails."""

import dataclasses

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Document
from xai_eval.result.fields.document import Choice
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

CHEAP, DEAR, OTHER = {"samples": 40, "batch": 10}, {"samples": 60, "batch": 10}, {"samples": 80, "batch": 10}
ALONE, BOTH = [{"setting": CHEAP, "tied": 1}, {"setting": DEAR, "tied": 1}], {"setting": CHEAP, "tied": 2}
MAP = Stage(StageKind.FINAL_MAP, "gradcam")


def found(setting, tied=1, *, possible=(*ALONE, BOTH), place=80):
    """A search that shows the map of its best setting."""
    saliency = blob(place, 120)
    choices = (Choice((), tuple(possible), ("gradcam",)),) if possible else ()
    best = Document({"setting": setting, "tied": tied, "objective": "insertion"}, ("batch",), choices)
    made = make_result(saliency=saliency, fields={"best": best})
    return dataclasses.replace(made, stages={**made.stages, MAP: fingerprint_array(saliency)})


def test_a_tied_choice_that_was_made_otherwise_is_told_and_its_map_not_compared():
    verdict = judge(found(DEAR, place=150), found(CHEAP).condensed())
    assert verdict.state is State.OK and "chosen otherwise now: best. So" in verdict.sentence
    assert judge(found(CHEAP, 2, place=150), found(DEAR).condensed()).state is State.OK


@pytest.mark.parametrize(
    ("now", "was"),
    [
        (found(OTHER), found(CHEAP)),  # what was chosen now is not among what could have been
        (found(DEAR, possible=()), found(CHEAP)),  # nothing was tied, whatever the golden says
        (found(DEAR), found(OTHER)),  # what the golden chose could not have been
        (found(DEAR, 2), found(CHEAP)),  # of two that are tied, the cheaper one is chosen
        (found(CHEAP, place=150), found(CHEAP)),  # the same choice, and another map
    ],
)
def test_every_other_choice_fails(now, was):
    assert judge(now, was).state is State.DRIFT


def test_what_is_not_chosen_is_compared_all_the_same():
    now, was = found(DEAR, place=150), found(CHEAP)
    content = {**now["best"].content, "objective": "deletion"}
    other = dataclasses.replace(now, fields={**now.fields, "best": dataclasses.replace(now["best"], content=content)})
    assert judge(other, was).state is State.DRIFT


def test_choices_are_stored_in_a_result_and_not_in_a_golden(tmp_path):
    made = found(DEAR)
    made.save(tmp_path)
    assert Result.load(tmp_path)["best"] == made["best"] and made["best"].choices
    assert not made.condensed()["best"].choices and np.isfinite(made["gradcam"].array).all()
