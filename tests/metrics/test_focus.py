import numpy as np
import pytest

from xai_eval.metrics.focus import concept_shares, focus, insight

MASK = np.zeros((10, 10), dtype=bool)
MASK[:, :5] = True
TOP = np.zeros((10, 10), dtype=bool)
TOP[:4] = True


def test_concepts_are_named_by_how_much_of_the_hot_area_they_cover():
    concepts = {"sky": TOP, "grass": ~TOP, "bird": np.zeros_like(TOP)}
    assert focus(MASK, concepts) == "grass 60%, sky 40%"
    assert concept_shares(MASK, concepts) == {"sky": 0.4, "grass": 0.6, "bird": 0.0}


def test_without_concepts_the_position_is_described():
    assert focus(MASK, {}) == "centre 25% from the left, 50% from the top; 50% of the image in 1 blob"


def test_an_empty_mask_points_at_nothing():
    assert focus(np.zeros_like(MASK), {"sky": TOP}) == "nothing"
    assert np.isnan(concept_shares(np.zeros_like(MASK), {"sky": TOP})["sky"])


def test_an_area_outside_of_all_concepts_is_described_as_such():
    assert focus(MASK, {"bird": np.zeros_like(TOP)}) == "none of the known concepts"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0.5, 0.9), "both point at the same place"),
        ((0.3, 0.9), "they share a part"),
        ((0.2, 0.9), "they point at different places"),
        ((float("nan"), 0.9), "one of the masks says nothing"),
        ((0.6, 0.4), "both point at the same place; LIME's surrogate fits poorly"),
        ((0.1, 0.9, (0.5, 0.3)), "they point at different places; Grad-CAM lies nearer the object"),
        ((0.1, 0.9, (0.3, 0.5)), "they point at different places; LIME lies nearer the object"),
        ((0.1, 0.9, (0.45, 0.4)), "they point at different places"),
        ((0.6, 0.9, None, "kite is hip"), "both point at the same place; the explained class is in doubt"),
    ],
)
def test_insight_follows_from_thresholds(arguments, sentence):
    assert insight(*arguments) == sentence
