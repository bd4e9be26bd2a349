"""Explanations made of Grad-CAM and LIME: the precision of one, and the context that the other measures.

Five ways were tried on held-out scenes and on photographs with masks; `docs/hybrid.md` holds the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import skimage.segmentation
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from xai_eval.explainers.lime.lime import LimeSettings, Neighbourhood, explain_by_lime, fit
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import Segmenter, choose_segmentation, renumbered_from_zero
from xai_eval.metrics.superpixels import superpixel_means

Map = NDArray[np.floating[Any]]

# How much lime's largest weight counts against Grad-CAM's hottest pixel; chosen on scenes 200 to 231.
LIME_SHARE = 0.5
# Where the map is above it, superpixels are cut finer.
HOT = 0.4
# How much either of the two counts alone against what they agree on; chosen on scenes 200 to 231.
EITHER = 0.5
# Numbers of superpixels: lime sees parts at one scale that vanish or fall apart at another.
SCALES = (50, 100, 200)
_FINE = {"n_segments": 150, "compactness": 10.0, "sigma": 1.0, "start_label": 0}
# Strength of the prior against the samples. lime's own is 1, which a thousand samples outweigh.
PRIOR_ALPHA = 30.0


@dataclass(frozen=True, eq=False)
class HybridInputs:
    """What a hybrid is made of, all of one class of one image.

    Attributes:
        pixels: the image that the model sees, (H, W, 3).
        cam: Grad-CAM's map in [0, 1], (H, W).
        neighbourhood: what lime fitted its surrogate to.
        weights: of lime's surrogate, (F,).
        label: index of the explained class.
        images: predicts further perturbations.
        settings: of lime.
        seed: of lime's samples.
    """

    pixels: NDArray[np.uint8]
    cam: Map
    neighbourhood: Neighbourhood
    weights: NDArray[np.float64]
    label: int
    images: PerturbedImages
    settings: LimeSettings
    seed: int

    @property
    def segments(self) -> NDArray[np.int64]:
        """lime's superpixels, (H, W)."""
        return self.neighbourhood.segments


def sum_of_both(inputs: HybridInputs) -> Map:
    """Add lime's weights, scaled by the largest, to Grad-CAM's map: where one is blind, the other decides."""
    return np.asarray(inputs.cam + LIME_SHARE * _scaled(inputs.weights)[inputs.segments])


def pooled_product(inputs: HybridInputs) -> Map:
    """Multiply Grad-CAM's mean on every superpixel by its weight, if that is above 0."""
    return (superpixel_means(inputs.cam, inputs.segments) * np.clip(inputs.weights, 0.0, None))[inputs.segments]


def refined_superpixels(inputs: HybridInputs) -> Map:
    """Cut the superpixels finer where Grad-CAM is hot, and run lime on those."""
    fine = skimage.segmentation.slic(inputs.pixels, **_FINE)
    mixed = np.where(inputs.cam > HOT, inputs.segments.max() + 1 + fine, inputs.segments)
    weights, segments = _explained(inputs, _Fixed(renumbered_from_zero(mixed)))
    return weights[segments]


def cam_prior(inputs: HybridInputs) -> Map:
    """Fit lime's surrogate with Grad-CAM's means on the superpixels as the prior mean of its weights."""
    prior = PriorRidge(superpixel_means(inputs.cam, inputs.segments), PRIOR_ALPHA)
    weights = fit(inputs.neighbourhood, inputs.label, inputs.settings.num_features, prior).weights
    return weights[inputs.segments]


def several_scales(inputs: HybridInputs) -> Map:
    """Multiply Grad-CAM's map by what lime says on coarse, middling and fine superpixels, and add half of both.

    The product rewards what they agree on; the sum keeps either from vetoing alone.
    """
    cuts = [choose_segmentation("slic", inputs.seed, {"n_segments": count}) for count in SCALES]
    maps = [_scaled(weights)[segments] for weights, segments in (_explained(inputs, cut) for cut in cuts)]
    context = np.clip(_scaled(np.mean(maps, axis=0)), 0.0, None)
    return np.asarray(inputs.cam * context + EITHER * (inputs.cam + context))


HYBRIDS: Mapping[str, Callable[[HybridInputs], Map]] = {
    "sum_of_both": sum_of_both,
    "several_scales": several_scales,
    "pooled_product": pooled_product,
    "refined_superpixels": refined_superpixels,
    "cam_prior": cam_prior,
}


@dataclass(eq=False)
class PriorRidge:
    """Ridge regression towards a prior instead of towards 0: min over w of the squared errors + alpha |w - s p|^2.

    The scale s of the prior p (F,) is fitted first, by itself, and is never negative. For lime's `model_regressor`.
    """

    prior: NDArray[np.float64]
    alpha: float
    coef_: NDArray[np.float64] = field(init=False)
    intercept_: float = field(init=False)

    def fit(self, samples: NDArray[Any], values: NDArray[Any], sample_weight: NDArray[Any]) -> Self:
        """Fit to samples (N, F) with values (N,) and weights (N,)."""
        evidence = samples @ self.prior
        scale = LinearRegression(positive=True).fit(evidence[:, None], values, sample_weight).coef_[0]
        rest = Ridge(alpha=self.alpha).fit(samples, values - scale * evidence, sample_weight)
        self.coef_ = rest.coef_ + scale * self.prior
        self.intercept_ = rest.intercept_
        return self

    def predict(self, samples: NDArray[Any]) -> NDArray[np.float64]:
        """Predict the values of samples (N, F), (N,)."""
        return np.asarray(samples @ self.coef_ + self.intercept_)

    def score(self, samples: NDArray[Any], values: NDArray[Any], sample_weight: NDArray[Any]) -> float:
        """Weighted R2."""
        return float(r2_score(values, self.predict(samples), sample_weight=sample_weight))


@dataclass(frozen=True, eq=False)
class _Fixed:
    """Superpixels that are known already, as a segmentation."""

    labels: NDArray[np.int64]
    name: str = "fixed"

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        return self.labels


def _explained(inputs: HybridInputs, cut: Segmenter) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Run lime once more, on other superpixels: weights (F,) and segments (H, W)."""
    (found,) = explain_by_lime(
        inputs.pixels, inputs.images, cut, inputs.settings, labels=[inputs.label], seeds=[inputs.seed]
    )
    return found.surrogates[inputs.label].weights, found.neighbourhood.segments


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    most = float(np.abs(values).max())
    return values / most if most > 0.0 else values
