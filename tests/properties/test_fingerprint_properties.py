"""Sketches bound the change of the whole tensor, whatever its shape, its type and the kind of the change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.result.fingerprint import SKETCH_SIZE, fingerprint_array

# A sketch sums signed elements in 64 buckets. Its length is that of the tensor up to a factor whose logarithm has a
# deviation of about sqrt(1 / 128); two of them enter a distance. Four and a half deviations of both:
FACTOR = float(np.exp(4.5 * 2 * np.sqrt(1 / 128)))


def dense(x, generator, share):
    return x + generator.standard_normal(x.shape)


def one_region(x, generator, share):
    y = x.copy()
    side = max(1, int(share * x.shape[-1]))
    y[..., :side, :side] += generator.standard_normal(y[..., :side, :side].shape)
    return y


def one_channel(x, generator, share):
    y = x.copy()
    y[int(share * (len(x) - 1))] += 1.0
    return y


def shifted(x, generator, share):
    return np.roll(x, max(1, int(share * x.shape[-1] / 2)), axis=-1)


def brighter(x, generator, share):
    return x * (1.0 + 0.01 + share)


CHANGES = {each.__name__: each for each in (dense, one_region, one_channel, shifted, brighter)}


@settings(max_examples=60)
@given(
    change=st.sampled_from(sorted(CHANGES)),
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(3, 32, 32), (8, 7, 7), (3, 96, 40), (64, 4, 4)]),
    share=st.floats(0.1, 0.9),
    size=st.sampled_from([1e-4, 1e-2, 1.0]),
)
def test_the_sketch_bounds_the_change_of_the_tensor(change, seed, shape, share, size):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(shape) + generator.uniform(-1, 1)
    y = x + size * (CHANGES[change](x, generator, share) - x)
    true = np.linalg.norm(y - x) / np.linalg.norm(x)
    estimated = fingerprint_array(y).distance(fingerprint_array(x))
    assert true / FACTOR <= estimated <= true * FACTOR


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 5000))
def test_a_sketch_is_linear(seed, size):
    """So that differences of sketches are sketches of differences, and changes add up."""
    x, y = np.random.default_rng(seed).standard_normal((2, size))
    total = fingerprint_array(x).sketch + fingerprint_array(y).sketch
    np.testing.assert_allclose(fingerprint_array(x + y).sketch, total, atol=1e-4)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), place=st.floats(0, 0.999))
def test_one_changed_element_is_always_seen(seed, place):
    x = np.random.default_rng(seed).standard_normal(20_000)
    y = x.copy()
    y[int(place * len(y))] += 5.0
    estimated = fingerprint_array(y).distance(fingerprint_array(x))
    assert 5.0 / np.linalg.norm(x) / FACTOR <= estimated <= 5.0 / np.linalg.norm(x) * FACTOR


def test_a_sketch_is_small():
    assert fingerprint_array(np.ones((512, 14, 14), np.float32)).sketch.nbytes == 4 * SKETCH_SIZE == 256


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.uint8, bool])
def test_every_type_has_a_sketch(kind):
    x = np.arange(1000).reshape(10, 100).astype(kind)
    assert np.isfinite(fingerprint_array(x).sketch).all()
