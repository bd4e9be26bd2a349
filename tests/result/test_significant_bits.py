"""To how many bits numbers are rounded is exact, and nothing is said of numbers that are few or counted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import blob

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.significant_bits import FINE, significant_bits

HALVES = {8: torch.bfloat16, 11: torch.float16}


def drawn(seed, shape=(40, 40)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def rounded(array, bits):
    return torch.from_numpy(array).to(HALVES[bits]).float().numpy()


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(sorted(HALVES)), st.integers(-12, 12), st.booleans())
def test_numbers_that_were_rounded_have_the_bits_of_their_type(seed, bits, power, positive):
    array = np.abs(drawn(seed)) if positive else drawn(seed)
    scaled = rounded(array, bits) * np.float32(2.0**power)
    assert significant_bits(scaled) == significant_bits(scaled.astype(np.float64)) == bits
    assert significant_bits(array) == significant_bits(array.astype(np.float64)) == FINE
    one = scaled.copy()
    one[-1, -1] = array[-1, -1] if significant_bits(array[-1:, -1:]) == FINE else np.float32(np.pi)
    assert significant_bits(one) == FINE


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((9, 9), np.float32),
        np.full((9, 9), np.nan, np.float32),
        np.zeros(0, np.float32),
        np.float32([[0.5]]),
        (drawn(1) > 0).astype(np.float32),
        np.arange(256, dtype=np.float32).reshape(16, 16),
        np.arange(256, dtype=np.float32) / 64 - 2,
        np.round(drawn(2) * 32) / 32,
        np.arange(99),
        drawn(3) > 0,
    ],
    ids=["zeros", "NaN", "none", "one", "mask", "counts", "steps", "quantised", "integers", "bools"],
)
def test_nothing_is_said_of_few_numbers_nor_of_counted_ones(array):
    assert significant_bits(array) == 0


@pytest.mark.parametrize("bits", HALVES)
@pytest.mark.parametrize("side", [4, 7, 14, 22])
def test_the_sketch_of_a_small_array_tells_that_it_is_fine(side, bits):
    array = drawn(side, (side, side))
    fine, coarse = (fingerprint_array(each) for each in (array, rounded(array, bits)))
    earlier = Fingerprint(fine.digest, fine.shape, fine.sketch)
    assert (fine.bits_in_sketch, coarse.bits_in_sketch) == (FINE, 0)
    assert coarse.coarser_than(fine) and coarse.coarser_than(earlier)
    assert not fine.coarser_than(coarse) and not fine.coarser_than(fine) and not coarse.coarser_than(coarse)
    assert not coarse.coarser_than(Fingerprint("other", coarse.shape, coarse.sketch, bits=bits))


def test_the_sketch_of_a_large_array_does_not_tell():
    fine, coarse = fingerprint_array(blob(80, 120)), fingerprint_array(rounded(blob(80, 120), 8))
    assert coarse.coarser_than(fine)
    assert not coarse.coarser_than(Fingerprint(fine.digest, fine.shape, fine.sketch))
