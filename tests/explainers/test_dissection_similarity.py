"""Similarity functions equal their formulas, written out unit by unit in double precision."""

import warnings

import numpy as np
import pytest
import torch

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.dissection import similarity as similarity_module
from xai_eval.explainers.dissection import sums_of_logs, top_images
from xai_eval.explainers.dissection.similarity import (
    SIMILARITIES,
    cos,
    cos_cubed,
    dead_units,
    rank_reorder,
    soft_wpmi,
    soft_wpmi_of_top,
    wpmi,
)
from xai_eval.explainers.dissection.similarity_on_device import ON_DEVICE, scores_on_device

IMAGES, UNITS, CONCEPTS = 300, 11, 37


@pytest.fixture(scope="module")
def probe():
    generator = np.random.default_rng(0)
    similarity = (0.2 + 0.05 * generator.standard_normal((IMAGES, CONCEPTS))).astype(np.float32)
    activations = generator.standard_normal((IMAGES, UNITS)).astype(np.float32)
    activations[:, 4] = np.maximum(activations[:, 4], 0)  # half of it ties at zero
    return similarity, activations


def order(values):
    return sorted(range(len(values)), key=lambda i: (-values[i], i))


def softmax(row):
    shifted = np.exp(row - row.max())
    return shifted / shifted.sum()


def with_prior(logs, lam):
    """Subtract lam times the log of the mean over units."""
    return logs - lam * np.log(np.mean(np.exp(logs - logs.max(axis=0)), axis=0)) - lam * logs.max(axis=0)


def soft_wpmi_by_hand(similarity, activations, top_k, a, lam):
    likely = np.array([softmax(a * row) for row in similarity.astype(np.float64)])
    logs = np.zeros((activations.shape[1], similarity.shape[1]))
    for unit, column in enumerate(activations.T):
        for t, image in enumerate(order(column)[:top_k]):
            p = 0.998 - t / top_k * 0.028
            logs[unit] += np.log(1 + p * (likely[image] - 1) + 1e-7)
    return with_prior(logs, lam)


def wpmi_by_hand(similarity, activations, top_k, a, lam):
    likely = np.array([softmax(a * row) for row in similarity.astype(np.float64)])
    logs = [np.log(likely[order(column)[:top_k]] + 1e-7).sum(axis=0) for column in activations.T]
    return with_prior(np.array(logs), lam)


@pytest.mark.parametrize(("top_k", "a", "lam"), [(100, 10, 1), (1, 10, 1), (300, 10, 0.5), (28, 2, 0), (100, 40, 1)])
def test_soft_wpmi_is_its_formula(probe, top_k, a, lam):
    found = soft_wpmi(*probe, top_k=top_k, a=a, lam=lam)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, soft_wpmi_by_hand(*probe, top_k, a, lam), rtol=0, atol=2e-4)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
def test_soft_wpmi_with_softmax_values_near_0_and_1(spread):
    """A softmax with values near one and near zero at once, and one with equal values."""
    generator = np.random.default_rng(1)
    similarity = (spread * generator.choice([-1.0, 1.0], (150, 30), p=[0.95, 0.05])).astype(np.float32)
    activations = generator.random((150, 6)).astype(np.float32)
    expected = soft_wpmi_by_hand(similarity, activations, 100, 10, 1)
    np.testing.assert_allclose(soft_wpmi(similarity, activations), expected, rtol=0, atol=2e-4)


def test_soft_wpmi_over_many_concepts_and_many_units():
    """So many that both are divided into several blocks."""
    generator = np.random.default_rng(2)
    similarity = (0.2 + 0.05 * generator.standard_normal((400, 1500))).astype(np.float32)
    activations = generator.random((400, 70)).astype(np.float32)
    expected = soft_wpmi_by_hand(similarity, activations, 20, 10, 1)
    np.testing.assert_allclose(soft_wpmi(similarity, activations, top_k=20), expected, rtol=0, atol=2e-4)


def test_with_a_single_concept_no_unit_differs_from_the_prior():
    """The softmax over one concept is one everywhere."""
    generator = np.random.default_rng(3)
    scores = soft_wpmi(generator.random((120, 1), dtype=np.float32), generator.random((120, 5), dtype=np.float32))
    np.testing.assert_allclose(scores, 0, atol=1e-6)


@pytest.mark.parametrize(("top_k", "a", "lam"), [(28, 2, 0.6), (3, 10, 1)])
def test_wpmi_is_its_formula(probe, top_k, a, lam):
    found = wpmi(*probe, top_k=top_k, a=a, lam=lam)
    np.testing.assert_allclose(found, wpmi_by_hand(*probe, top_k, a, lam), rtol=0, atol=2e-4)


def test_cos_is_the_cosine_over_images(probe):
    similarity, activations = (each.astype(np.float64) for each in probe)
    for unit, scores in enumerate(cos(*probe)):
        for concept, score in enumerate(scores):
            one, other = activations[:, unit], similarity[:, concept]
            expected = one @ other / np.sqrt((one @ one) * (other @ other))
            assert score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_cos_cubed_is_the_cosine_of_cubes_and_bounds_small_norms(probe, scale):
    similarity = scale * probe[0]
    cubes = [(each - each.mean(axis=0)) ** 3 for each in (similarity.astype(float), probe[1].astype(float))]
    norms = [np.linalg.norm(each, axis=0) for each in cubes]
    assert (norms[0] < 1e-3).all() == (scale < 1)
    columns = [each / np.maximum(norm, 1e-3) for each, norm in zip(cubes, norms, strict=True)]
    np.testing.assert_allclose(cos_cubed(similarity, probe[1]), columns[1].T @ columns[0], rtol=0, atol=2e-6)


def rank_reorder_by_hand(similarity, activations, seed):
    similarity, activations = similarity.astype(np.float64), activations.astype(np.float64)
    count = int(0.05 * len(activations))
    generator = np.random.default_rng(seed)
    shuffles = [generator.permutation(count) for _ in range(5)]
    scores = np.zeros((activations.shape[1], similarity.shape[1]))
    for unit, column in enumerate(activations.T):
        top = order(column)[:count]
        tau = column[top]
        flipped = tau[::-1]
        b = np.mean([np.abs(flipped - flipped[shuffle]) ** 3 for shuffle in shuffles])
        for concept in range(similarity.shape[1]):
            likely = similarity[top, concept]
            r = np.argsort(np.argsort(likely, kind="stable"), kind="stable")
            e = np.mean(np.abs(tau - flipped[r]) ** 3) / b
            scores[unit, concept] = -e / np.mean(likely) ** 0.5
    return scores


@pytest.mark.parametrize("seed", [0, 7])
def test_rank_reorder_is_its_formula(probe, seed):
    found, expected = rank_reorder(*probe, seed=seed), rank_reorder_by_hand(*probe, seed)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_rank_reorder_with_tied_similarities(probe):
    similarity = np.round(probe[0], 2)
    found, expected = rank_reorder(similarity, probe[1]), rank_reorder_by_hand(similarity, probe[1], 0)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_rank_reorder_of_the_unit_s_own_order_is_perfect(probe):
    activations = probe[1]
    assert (rank_reorder(activations - activations.min() + 1, activations).diagonal() == 0).all()


def test_rank_reorder_is_nan_without_a_positive_mean_or_with_tied_activations():
    generator = np.random.default_rng(4)
    similarity, activations = generator.random((100, 2), dtype=np.float32), generator.random((100, 2), dtype=np.float32)
    similarity[:, 1] -= 1
    activations[:, 1] = np.minimum(activations[:, 1], 0.5)  # saturated on its top images
    nothing = np.isnan(rank_reorder(similarity, activations))
    np.testing.assert_array_equal(nothing, [[False, True], [True, True]])


def test_rank_reorder_needs_twenty_images():
    similarity = np.ones((19, 2), dtype=np.float32)
    with pytest.raises(UsageError, match="got 19 images, expected 20 or more"):
        rank_reorder(similarity, similarity)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_dead_units_are_not_scored_and_do_not_touch_the_others(probe, name):
    similarity, activations = probe
    dead = np.insert(activations, [2, 6], np.float32([0.0, 3.5]), axis=1)
    np.testing.assert_array_equal(np.flatnonzero(dead_units(dead)), [2, 7])
    scores = SIMILARITIES[name](similarity, dead)
    assert np.isnan(scores[[2, 7]]).all()
    expected = SIMILARITIES[name](similarity, activations)
    np.testing.assert_allclose(np.delete(scores, [2, 7], axis=0), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_a_planted_concept_is_found(name):
    generator = np.random.default_rng(5)
    similarity = (0.25 + 0.05 * generator.standard_normal((1000, 8))).astype(np.float32)
    activations = (similarity + 0.02 * generator.standard_normal((1000, 8))).astype(np.float32)
    assert SIMILARITIES[name](similarity, activations).argmax(axis=1).tolist() == [*range(8)]


def test_a_layer_of_dead_units_only(probe):
    assert np.isnan(soft_wpmi(probe[0], np.ones((IMAGES, 3), dtype=np.float32))).all()


def test_known_top_images_give_the_same(probe):
    ids = np.array([order(column)[:100] for column in probe[1].T])
    found = soft_wpmi_of_top(probe[0], ids, np.ones(UNITS, dtype=bool))
    np.testing.assert_array_equal(found, soft_wpmi(*probe))


def test_the_arguments_are_not_changed(probe):
    before = [each.copy() for each in probe]
    for score in SIMILARITIES.values():
        score(*probe)
    for each, copy in zip(probe, before, strict=True):
        np.testing.assert_array_equal(each, copy)


def test_read_only_arrays_are_accepted(probe):
    locked = [each.copy() for each in probe]
    for each in locked:
        each.flags.writeable = False
    for score in SIMILARITIES.values():
        np.testing.assert_array_equal(score(*locked), score(*probe))


def test_fewer_images_than_top_k_are_refused(probe):
    with pytest.raises(UsageError, match="top_k is 301; expected at most the number of images, 300"):
        soft_wpmi(*probe, top_k=301)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_bad_arrays_are_refused(probe, name):
    similarity, activations = (each.copy() for each in probe)
    with pytest.raises(UsageError, match="the same N images"):
        SIMILARITIES[name](similarity[:-1], activations)
    activations[3, 5] = np.inf
    with pytest.raises(ModelMisbehaves, match="unit 5"):
        SIMILARITIES[name](similarity, activations)
    similarity[8, 6] = np.nan
    with pytest.raises(ModelMisbehaves, match="image 8 to concept 6"):
        SIMILARITIES[name](similarity, probe[1])


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("size", [(20, 1, 2), (100, 3, 40), (260, 9, 17)])
def test_the_functions_for_devices_give_what_those_for_processors_give(name, size):
    """The same formulas, once in numpy and once in torch; the CPU stands for the device. Units tie, and one is dead."""
    images, units, concepts = size
    generator = np.random.default_rng(images)
    similarity = (0.2 + 0.05 * generator.standard_normal((images, concepts))).astype(np.float32)
    activations = np.maximum(generator.standard_normal((images, units)), 0).astype(np.float32)
    activations[:, -1] = 1.5
    more = {"top_k": 20} if "wpmi" in name else {}
    tensors = (torch.from_numpy(each) for each in (similarity, activations))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores_on_device(name, *tensors, **more)
    expected = SIMILARITIES[name](similarity, activations, **more)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_the_functions_for_devices_refuse_alike(probe, name):
    similarity, activations = (torch.from_numpy(each) for each in probe)
    with pytest.raises(UsageError, match="of the same N images"):
        scores_on_device(name, similarity[:-1], activations)
    broken = similarity.clone()
    broken[3, 2] = torch.nan
    with pytest.raises(ModelMisbehaves, match="image 3 to concept 2"):
        scores_on_device(name, broken, activations)


def test_scores_on_a_device_are_read_once():
    """Every step of the functions runs on tensors without values, so none of them waits for a device."""
    similarity, activations = torch.empty(300, 40, device="meta"), torch.empty(300, 7, device="meta")
    for function in ON_DEVICE.values():
        assert function(similarity, activations).shape == (7, 40)


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("size", [(20, 1, 1), (20, 1, 40), (40, 3, 5), (100, 8, 60)])
def test_small_arrays_give_the_bits_that_the_ways_of_large_ones_give(name, size, monkeypatch):
    """Steps that are left out for small arrays change nothing."""
    images, units, concepts = size
    generator = np.random.default_rng(images)
    similarity = (0.2 + 0.05 * generator.standard_normal((images, concepts))).astype(np.float32)
    activations = np.maximum(generator.standard_normal((images, units)), -0.0).astype(np.float32)
    more = {"top_k": 20} if "wpmi" in name else {}
    found = SIMILARITIES[name](similarity, activations, **more)
    monkeypatch.setattr(similarity_module, "BLOCK", 0)
    monkeypatch.setattr(sums_of_logs, "_AT_ONCE", 0)
    monkeypatch.setattr(top_images, "_FEW", 0)
    np.testing.assert_array_equal(SIMILARITIES[name](similarity, activations, **more), found)


@pytest.mark.parametrize("name", ["cos", "cos_cubed"])
def test_a_single_image_has_no_cosine(name):
    one = np.ones((1, 3), dtype=np.float32)
    assert np.isnan(SIMILARITIES[name](one, one[:, :2])).all()
    with pytest.raises(ModelMisbehaves, match="image 0 to concept 1"):
        SIMILARITIES[name](np.float32([[1, np.nan]]), one)
