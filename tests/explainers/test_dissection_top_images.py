"""Top images equal those found by sorting in plain Python."""

import numpy as np
import pytest

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.dissection.top_images import TopImages, top_images

GENERATOR = np.random.default_rng(0)


def sorted_ids(values, ids, k):
    return [i for _, i in sorted((-float(v), int(i)) for v, i in zip(values, ids, strict=True))][:k]


def test_order_is_by_value_then_id():
    activations = GENERATOR.integers(-3, 4, (50, 6)).astype(np.float32) / 3
    ids = GENERATOR.permutation(1000)[:50]
    top = top_images(activations, ids, 12)
    for unit in range(6):
        expected = sorted_ids(activations[:, unit], ids, 12)
        assert top.ids[unit].tolist() == expected
        by_id = dict(zip(ids.tolist(), activations[:, unit].tolist(), strict=True))
        assert top.values[unit].tolist() == [by_id[i] for i in expected]


EXTREME = [np.finfo(np.float32).max, 1.0, 1e-45, 0.0, -1e-45, -1.0, np.finfo(np.float32).min]


def test_every_float_keeps_its_place_and_its_value():
    order = GENERATOR.permutation(len(EXTREME))
    activations = np.array(EXTREME, dtype=np.float32)[order][:, None]
    top = top_images(activations, order, len(EXTREME))
    assert top.ids[0].tolist() == list(range(len(EXTREME)))
    np.testing.assert_array_equal(top.values[0], np.array(EXTREME, dtype=np.float32))


def test_minus_zero_is_zero():
    top = top_images(np.array([[0.0], [-0.0], [0.0]], dtype=np.float32), np.array([7, 3, 5]), 3)
    assert top.ids.tolist() == [[3, 5, 7]]
    assert not np.signbit(top.values).any()


def test_largest_ids_fit():
    ids = np.array([2**32 - 2, 0])
    assert top_images(np.ones((2, 1), dtype=np.float32), ids, 2).ids.tolist() == [[0, 2**32 - 2]]
    with pytest.raises(UsageError, match="ids of images run from 0 to 4294967295"):
        top_images(np.ones((2, 1), dtype=np.float32), np.array([2**32 - 1, 0]), 2)


def test_fewer_images_than_k_are_all_kept():
    top = top_images(np.eye(3, dtype=np.float32), np.arange(3), 100)
    assert top.keys.shape == (3, 3)
    merged = top.merge(top_images(2 * np.eye(3, dtype=np.float32), np.arange(3, 6), 100))
    assert merged.ids[0].tolist() == [3, 0, 1, 2, 4, 5]


def test_more_units_than_fit_into_one_block():
    activations = GENERATOR.random((2000, 1200), dtype=np.float32)
    top = top_images(activations, np.arange(2000), 3)
    np.testing.assert_array_equal(top.ids, np.argsort(-activations, axis=0, kind="stable")[:3].T)


def test_lowest_images_are_the_top_of_the_negative():
    activations = GENERATOR.random((30, 4), dtype=np.float32)
    lowest = top_images(-activations, np.arange(30), 1)
    np.testing.assert_array_equal(-lowest.values[:, 0], activations.min(axis=0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_unit(bad):
    activations = np.zeros((4, 3), dtype=np.float32)
    activations[2, 1] = bad
    with pytest.raises(ModelMisbehaves, match="unit 1 is not finite for the image at position 2"):
        top_images(activations, np.arange(4), 2)


def test_merging_needs_the_same_k_the_same_units_and_other_images():
    top = top_images(np.ones((2, 3), dtype=np.float32), np.array([4, 9]), 2)
    with pytest.raises(ValueError, match="expected the same numbers in both"):
        top.merge(TopImages(top.keys, 3))
    with pytest.raises(ValueError, match="expected the same numbers in both"):
        top.merge(TopImages(top.keys[:2], 2))
    with pytest.raises(ValueError, match="image 4 is in both"):
        top.merge(top)


def test_k_is_at_least_one():
    with pytest.raises(UsageError, match="at least one image"):
        top_images(np.ones((2, 3), dtype=np.float32), np.arange(2), 0)
