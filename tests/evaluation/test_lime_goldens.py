"""The suite itself: superpixel explanations of the bundled model, held against the goldens."""

import numpy as np
import pytest

from xai_eval import evaluate

# One worker explains for all of these.
TASKS = {"lime": 12, "lime_search": 2, "comparison": 4, "hybrid": 2}
CASES = [
    (task, name)
    for task, count in TASKS.items()
    for name in [f"scenes/scene-{index:02d}" for index in range(count)]
    + ([f"scenes ({count} images)"] if task != "lime" else [])
]


@pytest.fixture(scope="session")
def explained():
    """Results of a task by input, computed when the first test asks for them."""
    known = {}

    def of(task):
        if task not in known:
            known[task] = {result.case.input: result for result in evaluate(task, device="cpu")}
        return known[task]

    return of


@pytest.mark.xai
@pytest.mark.parametrize(("task", "name"), CASES)
def test_case_against_its_golden(task, name, explained, xai_golden):
    xai_golden.check(explained(task)[name])


@pytest.mark.parametrize("task", TASKS)
def test_every_case_is_held_against_a_golden(task, explained):
    assert [(task, name) for name in explained(task)] == [case for case in CASES if case[0] == task]


def test_lime_finds_the_object_wherever_one_superpixel_holds_it(explained):
    """Where some superpixel is the object, nearly, it must have the largest weight."""
    held = []
    for result in explained("lime").values():
        segments, mask = result["segments"].array, result["mask"].array
        weights = result["weights"].of(str(result["explained"]))
        ious = [(mask & (segments == s)).sum() / (mask | (segments == s)).sum() for s in range(len(weights))]
        if max(ious) > 0.6:
            held.append(int(np.argmax(weights)) == int(np.argmax(ious)))
    assert held and all(held)


def test_no_setting_wins_alone_where_others_are_the_same(explained):
    for name, result in explained("lime_search").items():
        if "winners" in result.fields:
            frame = result["winners"].frame
            assert (frame["tied_settings"] >= 27).all(), name
            assert result["settings"].frame["tied_settings"].sum() == 324


def test_comparisons_are_of_one_class(explained):
    for result in explained("comparison").values():
        if "explained" in result.fields:
            assert result["gradcam_focus"].array.sum() == result["lime_focus"].array.sum() > 0
