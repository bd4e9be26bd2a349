"""What must hold however images are split into shards, and in whatever order these are merged."""

from __future__ import annotations

from functools import reduce

import numpy as np
import torch
from dissection_reference import count_images
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_eval.explainers.dissection import quantile
from xai_eval.explainers.dissection.counts import ConceptIndex
from xai_eval.explainers.dissection.quantile import TopValues, values_to_keep
from xai_eval.explainers.dissection.similarity import SIMILARITIES, soft_wpmi
from xai_eval.explainers.dissection.top_images import top_images

SEEDS = st.integers(0, 2**32 - 1)
# Few different values, so that many tie; both zeros are among them.
TIED = st.sampled_from([-2.0, -0.5, -0.0, 0.0, 0.25, 1.0, 3.0])
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def top_values(activations, m, bound=None):
    return quantile.top_values(torch.from_numpy(activations), m, bound)


@st.composite
def shards(draw, count):
    """Split the numbers 0 to count - 1 into shards, in any order and of any sizes."""
    order = draw(st.permutations(range(count)))
    cuts = sorted(draw(st.sets(st.integers(1, count - 1), max_size=count - 1))) if count > 1 else []
    return [np.array(part) for part in np.split(np.array(order), cuts)]


@st.composite
def activations_and_shards(draw, position_dims=()):
    images, units = draw(st.integers(1, 25)), draw(st.integers(1, 4))
    shape = (images, units, *(draw(st.integers(1, 4)) for _ in position_dims))
    values = draw(hnp.arrays(np.float32, shape, elements=draw(st.sampled_from([TIED, FINITE]))))
    return values, draw(shards(images))


def merged_at_random(parts, merge, generator):
    """Merge any two until one is left: neither a fixed order nor a fixed tree."""
    parts = list(parts)
    while len(parts) > 1:
        first, second = (parts.pop(int(generator.integers(len(parts)))) for _ in range(2))
        parts.append(merge(first, second))
    return parts[0]


@given(activations_and_shards(), st.integers(1, 30), SEEDS)
def test_top_images_do_not_depend_on_shards(drawn, k, seed):
    activations, parts = drawn
    ids = np.random.default_rng(seed).permutation(1000)[: len(activations)]
    whole = top_images(activations, ids, k)
    states = [top_images(activations[part], ids[part], k) for part in parts]
    merged = merged_at_random(states, lambda a, b: a.merge(b), np.random.default_rng(seed))
    np.testing.assert_array_equal(merged.keys, whole.keys)
    for unit, column in enumerate(activations.T):
        expected = sorted(zip((-column).tolist(), ids.tolist(), strict=True))[:k]
        assert merged.ids[unit].tolist() == [i for _, i in expected]
        assert merged.values[unit].tolist() == [-value for value, _ in expected]


@given(activations_and_shards(("height", "width")), st.floats(0.001, 0.999), SEEDS)
def test_quantiles_do_not_depend_on_shards(drawn, share, seed):
    activations, parts = drawn
    positions = activations[:, 0].size
    m = values_to_keep(positions, share)
    whole = top_values(activations, m)
    states = [top_values(activations[part], m) for part in parts]
    merged = merged_at_random(states, lambda a, b: TopValues.merged([a, b]), np.random.default_rng(seed))
    assert merged.values.numpy().tobytes() == whole.values.numpy().tobytes()
    assert merged.count == whole.count == positions
    flat = np.moveaxis(activations, 1, 0).reshape(activations.shape[1], -1).astype(np.float64)
    np.testing.assert_array_equal(merged.quantile(share), np.quantile(flat, 1 - share, axis=1))
    assert all((state.bound <= whole.bound).all() for state in states)
    bounded = states[0]
    for part in parts[1:]:
        bounded = TopValues.merged([bounded, top_values(activations[part], m, bounded.bound)])
    assert bounded.values.numpy().tobytes() == whole.values.numpy().tobytes()


@st.composite
def labelled_images(draw):
    generator = np.random.default_rng(draw(SEEDS))
    count = draw(st.integers(1, 8))
    images = []
    for _ in range(count):
        units = np.flatnonzero(generator.random(5) < 0.7)
        maps = generator.standard_normal((len(units), *generator.integers(1, 4, 2))).astype(np.float32)
        labels = generator.integers(0, 7, (generator.integers(0, 3), *generator.integers(1, 9, 2)), dtype=np.int32)
        images.append((units, maps, labels))
    return images, draw(shards(count))


VOCABULARY = ConceptIndex.of(["object", "object", "scene", "colour", "scene", "object"])


@given(labelled_images(), SEEDS)
def test_counts_do_not_depend_on_shards(drawn, seed):
    images, parts = drawn
    thresholds = np.random.default_rng(seed).uniform(-1, 1, 5)
    whole = count_images(images, thresholds, VOCABULARY)
    states = [count_images([images[i] for i in part], thresholds, VOCABULARY) for part in parts]
    merged = merged_at_random(states, lambda a, b: a + b, np.random.default_rng(seed))
    for name in ("both", "unit", "label"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    one_by_one = reduce(lambda a, b: a + b, (count_images([p], thresholds, VOCABULARY) for p in images))
    np.testing.assert_array_equal(one_by_one.iou(), whole.iou())
    assert (whole.iou() >= 0).all() and (whole.iou() <= 1).all()


def probe(seed, images=120, units=7, concepts=9):
    """Activations without ties, and similarities."""
    generator = np.random.default_rng(seed)
    similarity = (0.3 + 0.1 * generator.random((images, concepts))).astype(np.float32)
    activations = np.stack([generator.permutation(images) for _ in range(units)], axis=1).astype(np.float32)
    return similarity, activations, generator


@given(SEEDS, st.integers(1, 120))
@settings(max_examples=50)
def test_soft_wpmi_does_not_depend_on_the_order_of_images(seed, top_k):
    similarity, activations, generator = probe(seed)
    order = generator.permutation(len(similarity))
    found = soft_wpmi(similarity[order], activations[order], top_k=top_k)
    np.testing.assert_array_equal(found, soft_wpmi(similarity, activations, top_k=top_k))


@given(SEEDS, st.sampled_from(sorted(SIMILARITIES)))
@settings(max_examples=50)
def test_units_and_concepts_keep_their_scores_wherever_they_stand(seed, name):
    similarity, activations, generator = probe(seed)
    units, concepts = generator.permutation(activations.shape[1]), generator.permutation(similarity.shape[1])
    found = SIMILARITIES[name](similarity[:, concepts], activations[:, units])
    expected = SIMILARITIES[name](similarity, activations)
    np.testing.assert_allclose(found, expected[np.ix_(units, concepts)], rtol=1e-5, atol=2e-5)


@given(SEEDS, st.sampled_from(["soft_wpmi", "wpmi"]))
@settings(max_examples=50)
def test_only_the_order_of_activations_counts(seed, name):
    similarity, activations, _ = probe(seed)
    stretched = np.exp(activations / 20).astype(np.float32)
    np.testing.assert_array_equal(
        SIMILARITIES[name](similarity, activations), SIMILARITIES[name](similarity, stretched)
    )
