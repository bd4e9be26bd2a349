import math

import numpy as np
import pytest

from xai_eval.result.fingerprint import SKETCH_SIZE, fingerprint_array, fingerprint_text


@pytest.mark.parametrize("size", [500, 20_000, 600_000])
@pytest.mark.parametrize("relative", [1e-4, 1e-2, 1.0])
def test_sketch_distance_estimates_the_true_distance(size, relative):
    rng = np.random.default_rng(size)
    x = rng.normal(size=size)
    fingerprint = fingerprint_array(x)
    ratios = []
    for _ in range(20):
        change = rng.normal(size=size)
        y = x + change * relative * np.linalg.norm(x) / np.linalg.norm(change)
        true = np.linalg.norm(y - x) / np.linalg.norm(x)
        ratios.append(fingerprint_array(y).distance(fingerprint) / true)
    # Numerator and denominator are estimated, each with a relative deviation of sqrt(1 / 128) = 9 %.
    assert min(ratios) > 0.5 and max(ratios) < 2.0
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.25)


def test_a_change_in_one_element_is_seen_exactly():
    x = np.zeros(300_000)
    x[0] = 3.0
    y = x.copy()
    y[299_999] = 4.0
    fingerprint = fingerprint_array(y)
    assert fingerprint.sketch.shape == (SKETCH_SIZE,)
    assert fingerprint.distance(fingerprint_array(x)) == pytest.approx(4 / 3)


def test_equal_arrays_are_at_distance_zero_and_other_types_are_not_equal():
    x = np.arange(10, dtype=np.float32)
    assert fingerprint_array(x).distance(fingerprint_array(x.copy())) == 0.0
    assert fingerprint_array(x).digest != fingerprint_array(x.astype(np.float64)).digest
    assert fingerprint_array(x).digest != fingerprint_array(x.reshape(2, 5)).digest


def test_what_the_sketch_cannot_see_the_digest_still_tells():
    """Two numbers of one bucket and one sign change places; and one changes by less than single precision holds."""
    x = np.arange(300.0)
    raw = np.random.PCG64(20240101).random_raw(x.size)
    twins = np.flatnonzero((raw % 64 == raw[0] % 64) & (raw >> 63 == raw[0] >> 63))[:2]
    y, z = x.copy(), x.copy()
    y[twins] = x[twins[::-1]]
    z[5] += 1e-12
    for changed in (y, z):
        assert 0.0 < fingerprint_array(changed).distance(fingerprint_array(x)) < 1e-6


def test_what_cannot_be_measured_is_infinitely_far():
    x = np.ones(10)
    nan = np.full(10, math.nan)
    assert fingerprint_array(x).distance(fingerprint_array(np.ones(11))) == math.inf
    assert fingerprint_array(nan).distance(fingerprint_array(x)) == math.inf
    assert fingerprint_array(x).distance(fingerprint_array(np.zeros(10))) == math.inf
    assert fingerprint_text("a").distance(fingerprint_text("b")) == math.inf
    assert fingerprint_text("a").distance(fingerprint_text("a")) == 0.0


def test_the_hashes_never_change():
    """The numbers were computed with Python's integers from PCG64's raw output (O'Neill 2014), not by the module."""
    stream = np.random.PCG64(20240101)
    expected = [0.0] * SKETCH_SIZE
    for value in (1.0, 2.0, 3.0):
        raw = int(stream.random_raw())
        expected[raw % 64] += -value if raw >> 63 else value
    np.testing.assert_array_equal(fingerprint_array(np.array([1.0, 2.0, 3.0])).sketch, expected)
