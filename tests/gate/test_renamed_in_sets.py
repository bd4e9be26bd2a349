"""A class that is only called otherwise fails no whole set either; every other sentence about an image still does."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from synthetic import make_case, make_result

from xai_eval.gate.judge import judge_all
from xai_eval.gate.verdict import State
from xai_eval.result.class_list import CLASS_LIST, class_list
from xai_eval.result.fields import Label, Ranking, Table
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.result import Provenance, Result
from xai_eval.result.stage import Stage, StageKind

NAMES = ("balloon", "bird", "boat", "car")
LOGITS, TARGET, PIXELS = Stage(StageKind.LOGITS), Stage(StageKind.TARGET), Stage(StageKind.DECODED_PIXELS)
DOUBT = "; the explained class is in doubt"


def run_of(names, *, found=("together", "apart"), logits=1.0):
    """A run of two images that show the classes 0 and 1, and of the set; `found` is what is said of each image."""
    made = Provenance({"weights": "a" * 64}, {CLASS_LIST: class_list(names, None)})
    every, told, stages = [], [], {}
    for index, (shown, what) in enumerate(zip(NAMES, found, strict=False)):
        known = names.index(shown) if shown in names else None
        insight = what + (DOUBT if known is None else "")
        fields = {"predicted": Label(names[index], index), "intended": Label(shown, known), "insight": Label(insight)}
        fields["audit"] = Label(None if known is not None else f'"{shown}" is intended, but "{names[index]}" is seen')
        listed = tuple(f"{name} ({place})" for place, name in enumerate(names))
        fields["top5"] = Ranking(listed, (0.6, 0.2, 0.1, 0.05), 0.02)
        own = {
            LOGITS: fingerprint_array(np.linspace(1, 2, 4) * logits),
            TARGET: fingerprint_text(str(fields["predicted"])),
            PIXELS: fingerprint_text(f"image {index}"),
        }
        case = make_case(f"{index}.jpg", task="comparison")
        every.append(dataclasses.replace(make_result(), case=case, fields=fields, stages=own, provenance=made))
        told.append(insight)
        stages[index] = own
    frame = pd.DataFrame({"image": ["0.jpg", "1.jpg"], "iou": [0.5, 0.25], "insight": told})
    joined = fingerprint_text("".join(each[TARGET].digest for each in stages.values()))
    whole = make_case(task="comparison", input="photos (2 images)")
    fields = {"study": Table(frame, {"iou": 0.1})}
    every.append(Result(whole, fields, {LOGITS: stages[0][LOGITS], TARGET: joined}, made))
    return {each.case.key: each for each in every}


GOLDENS = run_of(NAMES)
RENAMED = ("blimp", *NAMES[1:])


@pytest.mark.parametrize("names", [NAMES, RENAMED, ("balloon", "raven", "boat", "car")])
def test_a_renamed_class_is_told_once_per_case_and_the_set_holds(names):
    verdicts = judge_all(run_of(names), GOLDENS)
    assert [each.state for each in verdicts] == [State.OK] * 3, [each.sentence for each in verdicts]
    whole = verdicts[-1]
    assert ("name of class" in whole.sentence) == (names != NAMES) and "begins at the target" not in whole.sentence


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"found": ("together", "far apart")}, [State.OK, State.DRIFT, State.DRIFT]),
        ({"found": ("together", "together")}, [State.OK, State.DRIFT, State.DRIFT]),
        ({"logits": 1.1}, [State.DRIFT] * 3),
    ],
)
def test_with_a_renamed_class_anything_else_still_drifts(changes, states):
    assert [each.state for each in judge_all(run_of(RENAMED, **changes), GOLDENS)] == states


def test_without_results_of_its_images_a_set_is_judged_as_it_stands():
    *_, whole = run_of(RENAMED).values()
    [verdict] = (each for each in judge_all({whole.case.key: whole}, GOLDENS) if each.case == whole.case)
    assert verdict.state is State.DRIFT
