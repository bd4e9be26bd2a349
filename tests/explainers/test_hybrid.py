import numpy as np
import pytest
from sklearn.linear_model import Ridge
from stock_lime import on_tensors, toy_model

from xai_eval.explainers.hybrid_maps import HYBRIDS, HybridInputs, PriorRidge, Refined, scales
from xai_eval.explainers.lime.lime import LimeSettings, explain_by_lime
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import choose_segmentation
from xai_eval.scenes import render

PIXELS = render(5).pixels
SETTINGS = LimeSettings(num_samples=120, top_labels=1)


def make_inputs(cam=None):
    images = PerturbedImages(on_tensors(toy_model()), 10)
    cam = np.random.default_rng(0).random(PIXELS.shape[:2]) if cam is None else cam
    (first,) = explain_by_lime(PIXELS, images, choose_segmentation("slic", 0), SETTINGS)
    (label,) = first.surrogates
    cuts = [*scales(0), Refined(first.neighbourhood.segments, cam)]
    *every, refined = (explain_by_lime(PIXELS, images, cut, SETTINGS)[0].neighbourhood for cut in cuts)
    return HybridInputs(PIXELS, cam, first.neighbourhood, label, SETTINGS, every, refined)


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_hybrid_is_a_map_over_the_image(name):
    saliency = HYBRIDS[name](make_inputs())
    assert saliency.shape == PIXELS.shape[:2]
    assert np.isfinite(saliency).all() and np.ptp(saliency) > 0


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_hybrid_with_an_empty_cam_still_uses_lime(name):
    saliency = HYBRIDS[name](make_inputs(np.zeros(PIXELS.shape[:2])))
    assert np.isfinite(saliency).all()
    # A product with an empty map is 0 everywhere. The other hybrids must still show LIME's weights.
    assert (np.ptp(saliency) > 0) == (name != "pooled_product")


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_hybrid_with_a_cam_that_is_not_known_is_not_known(name):
    cam = np.ones(PIXELS.shape[:2])
    cam[3, 4] = np.nan
    saliency = HYBRIDS[name](make_inputs(cam))
    assert saliency.shape == cam.shape and np.isnan(saliency).all()


def regression(alpha, prior, scale=None):
    """The regression in closed form, in double precision."""
    generator = np.random.default_rng(1)
    samples = generator.integers(0, 2, (60, 5)).astype(float)
    values, weights = generator.normal(size=60), generator.random(60)
    found = PriorRidge(prior, alpha).fit(samples, values, weights)
    return samples, values, weights, found


def test_without_a_prior_it_is_ridge():
    samples, values, weights, found = regression(3.0, np.zeros(5))
    ridge = Ridge(alpha=3.0).fit(samples, values, sample_weight=weights)
    np.testing.assert_allclose(found.coef_, ridge.coef_, atol=1e-12)
    assert found.intercept_ == pytest.approx(ridge.intercept_)
    assert found.score(samples, values, weights) == pytest.approx(ridge.score(samples, values, weights))


def test_a_strong_prior_gives_the_scaled_prior():
    generator = np.random.default_rng(2)
    samples = generator.integers(0, 2, (200, 5)).astype(float)
    prior = np.array([0.1, 0.5, 0.0, 0.2, 0.9])
    values = samples @ (2.5 * prior) + 0.7
    found = PriorRidge(prior, 1e9).fit(samples, values, np.ones(200))
    np.testing.assert_allclose(found.coef_, 2.5 * prior, atol=1e-6)
    assert found.intercept_ == pytest.approx(0.7, abs=1e-6)


def test_it_minimises_the_documented_objective():
    prior = np.array([0.3, 0.1, 0.8, 0.0, 0.4])
    samples, values, weights, found = regression(2.0, prior)
    centred = samples - np.average(samples, axis=0, weights=weights)
    evidence = centred @ prior
    target = values - np.average(values, weights=weights)
    scale = max(0.0, (weights * evidence * target).sum() / (weights * evidence**2).sum())
    gram = centred.T @ (weights[:, None] * centred) + 2.0 * np.eye(5)
    expected = np.linalg.solve(gram, centred.T @ (weights * target) + 2.0 * scale * prior)
    np.testing.assert_allclose(found.coef_, expected, atol=1e-10)


def test_a_prior_that_would_need_a_negative_scale_is_dropped():
    generator = np.random.default_rng(2)
    samples = generator.integers(0, 2, (200, 3)).astype(float)
    prior = np.array([1.0, 0.5, 0.2])
    values = -samples @ prior
    found = PriorRidge(prior, 5.0).fit(samples, values, np.ones(200))
    ridge = Ridge(alpha=5.0).fit(samples, values)
    np.testing.assert_allclose(found.coef_, ridge.coef_, atol=1e-10)
