"""Deletion and insertion of a model that counts pixels of one colour, compared with closed forms."""

import numpy as np
import pytest
import torch
from sklearn.metrics import auc

from xai_eval.metrics.faithfulness import area_under, faithfulness

SIZE = 20


def image():
    """An image with a white left half, the object, and a black right half."""
    pixels = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    pixels[:, : SIZE // 2] = 255
    return pixels


def counting(views: torch.Tensor) -> torch.Tensor:
    """A model whose probability of class 1 is the share of the object that is still white."""
    share = (views[:, :, : SIZE // 2, 0] == 255).double().mean(dim=(1, 2))
    return torch.stack([1 - share, share], dim=1)


def object_first():
    return np.linspace(1, 0, SIZE * SIZE).reshape(SIZE, SIZE).T


def test_deletion_of_the_object_first_falls_to_nothing_at_half():
    found = faithfulness(object_first(), image(), counting, 1, steps=20)
    expected = np.clip(1 - 2 * np.linspace(0, 1, 21), 0, 1)
    np.testing.assert_allclose(found.deletion_curve, expected, atol=1e-12)
    assert found.deletion == pytest.approx(0.25, abs=1e-12)


def test_deletion_of_the_object_last_stays_until_half():
    found = faithfulness(-object_first(), image(), counting, 1, steps=20)
    assert found.deletion == pytest.approx(0.75, abs=1e-12)


def test_insertion_goes_from_the_blurred_to_the_whole_image():
    found = faithfulness(object_first(), image(), counting, 1, steps=20)
    # Each step adds one column, from the left. The columns that stay white under the blur count from the start.
    blurred = found.insertion_curve[0]
    assert 0.5 < blurred < 1.0
    expected = np.maximum(blurred, np.clip(2 * np.linspace(0, 1, 21), 0, 1))
    np.testing.assert_allclose(found.insertion_curve, expected, atol=1e-12)


def test_both_curves_begin_and_end_at_the_whole_and_the_empty_image():
    saliency = np.random.default_rng(0).random((SIZE, SIZE))
    found = faithfulness(saliency, image(), counting, 1)
    assert found.deletion_curve[0] == found.insertion_curve[-1] == 1.0
    assert found.deletion_curve[-1] == 0.0


def test_only_the_order_of_a_map_counts():
    saliency = np.random.default_rng(0).random((SIZE, SIZE))
    first, second = (faithfulness(s, image(), counting, 1) for s in (saliency, np.exp(3 * saliency) - 5))
    np.testing.assert_array_equal(first.deletion_curve, second.deletion_curve)
    np.testing.assert_array_equal(first.insertion_curve, second.insertion_curve)


def test_the_image_is_left_alone():
    pixels = image()
    faithfulness(object_first(), pixels, counting, 1)
    np.testing.assert_array_equal(pixels, image())


def test_the_area_under_a_curve_equals_that_of_scikit_learn():
    curve = np.random.default_rng(1).random(29)
    assert area_under(curve) == pytest.approx(auc(np.linspace(0, 1, 29), curve))
