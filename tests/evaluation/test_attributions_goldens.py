"""The suite itself: attributions of the bundled model, held against the goldens."""

import pytest

from xai_eval import evaluate

NAMES = [f"scenes/scene-{index:02d}" for index in range(4)]


@pytest.fixture(scope="module")
def attributed():
    return {result.case.input: result for result in evaluate("attributions", device="cpu")}


@pytest.mark.xai
@pytest.mark.parametrize("name", NAMES)
def test_case_against_its_golden(name, attributed, xai_golden):
    xai_golden.check(attributed[name])


def test_every_case_is_held_against_a_golden(attributed):
    assert list(attributed) == NAMES
