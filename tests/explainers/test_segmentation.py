import numpy as np
import pytest
from skimage.segmentation import felzenszwalb, quickshift, slic

from xai_eval.errors import UsageError
from xai_eval.explainers.lime.segmentation import choose_segmentation, in_reading_order, renumbered_from_zero
from xai_eval.scenes import render

PIXELS = render(2).pixels
STOCK = {
    "quickshift": quickshift(PIXELS, kernel_size=4, max_dist=200, ratio=0.2, rng=7),
    "slic": slic(PIXELS, n_segments=100, compactness=10.0, sigma=1.0, start_label=1) - 1,
    "felzenszwalb": felzenszwalb(PIXELS, scale=100.0, sigma=0.5, min_size=50),
}


@pytest.mark.parametrize("name", STOCK)
def test_gives_what_scikit_image_gives_from_zero(name):
    np.testing.assert_array_equal(choose_segmentation(name, 7)(PIXELS), STOCK[name])


def test_parameters_can_be_replaced():
    few = choose_segmentation("slic", 0, {"n_segments": 10})
    assert few.parameters["n_segments"] == 10 and few.parameters["compactness"] == 10.0
    assert few(PIXELS).max() < 20


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("quickshif", None, "quickshift"),
        ("slic", {"n_segment": 3}, "n_segments"),
        ("none", {"sigma": 1}, "takes no parameters"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, changes, message):
    with pytest.raises(UsageError, match=message):
        choose_segmentation(name, 0, changes)


def test_parameters_that_scikit_image_refuses_are_a_usage_error():
    with pytest.raises(UsageError, match="slic of an image"):
        choose_segmentation("slic", 0, {"start_label": 5})(PIXELS)


def test_renumbering_closes_gaps_and_keeps_the_order():
    labels = np.array([[7, 7, 3], [3, 9, 9]])
    np.testing.assert_array_equal(renumbered_from_zero(labels), [[1, 1, 0], [0, 2, 2]])


def test_reading_order_does_not_depend_on_the_numbers():
    labels = np.array([[2, 2, 0], [0, 1, 1]])
    order = in_reading_order(labels)
    np.testing.assert_array_equal(order[labels], [[0, 0, 1], [1, 2, 2]])
    permuted = np.array([1, 2, 0])[labels]
    np.testing.assert_array_equal(in_reading_order(permuted)[permuted], order[labels])
