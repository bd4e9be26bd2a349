"""Quantiles computed from the largest values equal numpy's quantiles over all values."""

import numpy as np
import pytest
import torch

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection import quantile
from xai_eval.explainers.dissection.quantile import TopValues, values_to_keep

GENERATOR = np.random.default_rng(0)


def top_values(activations, m, bound=None):
    return quantile.top_values(torch.from_numpy(activations), m, bound)


def flattened(activations):
    return np.moveaxis(activations, 1, 0).reshape(activations.shape[1], -1).astype(np.float64)


@pytest.mark.parametrize("share", [0.005, 0.01, 0.123, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 1, 1), (7, 3, 5, 4), (11, 2, 10, 10)])
def test_quantile_is_numpy_s_bit_for_bit(shape, share):
    activations = GENERATOR.standard_normal(shape).astype(np.float32)
    positions = activations[:, 0].size
    top = top_values(activations, values_to_keep(positions, share))
    np.testing.assert_array_equal(top.quantile(share), np.quantile(flattened(activations), 1 - share, axis=1))


@pytest.mark.parametrize("share", [0.005, 0.01, 0.1, 1 / 3, 0.37])
def test_enough_is_kept_for_every_number_of_positions_up_to_the_planned(share):
    """Unreadable images make the probe set smaller than planned; rounding of the place must not matter either."""
    counts = np.arange(1, 40_001)
    needed = counts - np.floor((counts - 1) * (1 - share)).astype(int)
    kept = np.array([values_to_keep(int(count), share) for count in counts])
    assert (np.maximum.accumulate(needed) <= kept).all()
    assert (kept - needed).max() <= 1


def test_fewer_images_than_planned_still_give_the_quantile():
    activations = GENERATOR.random((9, 4, 6, 6)).astype(np.float32)
    top = top_values(activations, values_to_keep(12 * 36, 0.05))
    np.testing.assert_array_equal(top.quantile(0.05), np.quantile(flattened(activations), 0.95, axis=1))


def test_too_few_values_are_refused():
    top = top_values(GENERATOR.random((3, 2, 10, 10)).astype(np.float32), 4)
    with pytest.raises(UsageError, match=r"needs the 31 largest of 300 values; 4 were kept"):
        top.quantile(0.1)


def test_quantile_of_nothing_is_refused():
    with pytest.raises(UsageError, match="no values to take a quantile of"):
        TopValues(torch.zeros(2, 0), 5, 0).quantile(0.1)


@pytest.mark.parametrize("share", [0.0, 1.0, 5])
def test_shares_outside_0_to_1_are_refused(share):
    with pytest.raises(UsageError, match="between 0 and 1"):
        values_to_keep(100, share)


def test_bound_is_the_last_value_kept_once_enough_were_seen():
    activations = GENERATOR.random((4, 2, 3, 3)).astype(np.float32)
    assert (top_values(activations, 37).bound == -np.inf).all()
    np.testing.assert_array_equal(top_values(activations, 36).bound, activations.min(axis=(0, 2, 3)))
    expected = np.sort(flattened(activations), axis=1)[:, -5]
    np.testing.assert_array_equal(top_values(activations, 5).bound, expected)


def test_sign_of_zero_does_not_depend_on_the_order_of_images():
    zeros = np.array([0.0, -0.0, -0.0], dtype=np.float32).reshape(3, 1, 1, 1)
    assert not torch.signbit(top_values(zeros, 2).values).any()


@pytest.mark.parametrize("m", [1, 20, 150, 2000])
def test_merging_batches_gives_the_values_of_all_images_at_once(m):
    batches = [GENERATOR.standard_normal((5, 3, 4, 4)).astype(np.float32) for _ in range(20)]
    batches[7][:, 1] += 10  # one unit has its largest values in a late batch
    batches[9][:, 0] = -0.0
    found = top_values(batches[0], m)
    for number, batch in enumerate(batches[1:], 2):
        part = top_values(batch, m, found.bound)
        found = TopValues.merged([found, part])
        whole = top_values(np.concatenate(batches[:number]), m)
        assert found.values.numpy().tobytes() == whole.values.numpy().tobytes()
        assert (found.m, found.count) == (m, whole.count)


def test_merging_needs_the_same_units_and_number_of_values():
    top = top_values(np.zeros((2, 3, 4, 4), dtype=np.float32), 3)
    for other in (TopValues(top.values, 4, 32), TopValues(top.values[:2], 3, 32)):
        with pytest.raises(ValueError, match="the same numbers in all parts"):
            TopValues.merged([top, other])
    with pytest.raises(UsageError, match="at least 1"):
        top_values(np.zeros((2, 3, 4, 4), dtype=np.float32), 0)
