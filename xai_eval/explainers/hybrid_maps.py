"""Explanations that combine Grad-CAM and LIME.

Grad-CAM places the evidence precisely; LIME measures how much each superpixel changes the prediction. Five ways of
combining them were measured on held-out scenes and on photographs with masks; `docs/hybrid.md` has the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import skimage.segmentation
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from xai_eval.explainers.lime.lime import LimeSettings, Neighbourhood, fit, fitted
from xai_eval.explainers.lime.segmentation import Segmenter, choose_segmentation, renumbered_from_zero
from xai_eval.metrics.superpixels import superpixel_means

Map = NDArray[np.floating[Any]]

# `sum_of_both` scales lime's largest absolute weight to this value; Grad-CAM's largest value is 1. Chosen on scenes
# 200 to 231.
LIME_SHARE = 0.5
# `refined_superpixels` cuts the image finer where Grad-CAM's map is above this value.
HOT = 0.4
# `several_scales` adds the sum of both maps to their product with this weight. Chosen on scenes 200 to 231.
EITHER = 0.5
# Numbers of superpixels. Several are used because a part that is one superpixel at one scale is merged with its
# surroundings at a coarser scale and split at a finer one.
SCALES = (50, 100, 200)
_FINE = {"n_segments": 150, "compactness": 10.0, "sigma": 1.0, "start_label": 0}
# Strength of the ridge penalty towards the prior. With lime's own value, 1, a thousand samples outweigh the prior.
PRIOR_ALPHA = 30.0


@dataclass(frozen=True, eq=False)
class HybridInputs:
    """What a hybrid explanation is computed from, for one class of one image.

    Attributes:
        pixels: the image that the model sees, (H, W, 3).
        cam: Grad-CAM's map in [0, 1], (H, W).
        neighbourhood: superpixels, samples and predictions that lime fits its surrogate to.
        label: index of the explained class.
        settings: arguments of lime.
        scales: the same as `neighbourhood`, for each number of superpixels in `SCALES`.
        refined: the same, with smaller superpixels where Grad-CAM's map is above `HOT`.
    """

    pixels: NDArray[np.uint8]
    cam: Map
    neighbourhood: Neighbourhood
    label: int
    settings: LimeSettings
    scales: Sequence[Neighbourhood]
    refined: Neighbourhood

    @property
    def segments(self) -> NDArray[np.int64]:
        """lime's superpixels, (H, W)."""
        return self.neighbourhood.segments

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each of the F superpixels in lime's surrogate, (F,)."""
        return self.fitted(self.neighbourhood)

    def fitted(self, neighbourhood: Neighbourhood) -> NDArray[np.float64]:
        """Return the weights of lime's surrogate of the explained class, (F,)."""
        (found,) = fitted(self.pixels, [neighbourhood], self.settings, [self.label])
        return found.surrogates[self.label].weights


@dataclass(frozen=True, eq=False)
class Refined:
    """A segmentation that cuts finer where Grad-CAM's map is above `HOT`.

    Attributes:
        segments: superpixels of the whole image, (H, W).
        cam: Grad-CAM's map in [0, 1], (H, W).
    """

    segments: NDArray[np.int64]
    cam: Map
    name: str = "refined"

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Cut an image (H, W, 3) into superpixels, (H, W)."""
        fine = skimage.segmentation.slic(pixels, **_FINE)
        return renumbered_from_zero(np.where(self.cam > HOT, self.segments.max() + 1 + fine, self.segments))


def scales(seed: int) -> list[Segmenter]:
    """Return the segmentations of `several_scales`."""
    return [choose_segmentation("slic", seed, {"n_segments": count}) for count in SCALES]


def sum_of_both(inputs: HybridInputs) -> Map:
    """Return Grad-CAM's map plus half of lime's weights, scaled to a largest absolute value of 1, (H, W)."""
    return np.asarray(inputs.cam + LIME_SHARE * _scaled(inputs.weights)[inputs.segments])


def pooled_product(inputs: HybridInputs) -> Map:
    """Multiply Grad-CAM's mean over each superpixel by lime's weight of it, negative weights counting as 0, (H, W)."""
    return (superpixel_means(inputs.cam, inputs.segments) * np.clip(inputs.weights, 0.0, None))[inputs.segments]


def refined_superpixels(inputs: HybridInputs) -> Map:
    """Return the map of lime with smaller superpixels where Grad-CAM's map is above `HOT`, (H, W)."""
    return inputs.fitted(inputs.refined)[inputs.refined.segments]


def cam_prior(inputs: HybridInputs) -> Map:
    """Fit lime's surrogate again, with Grad-CAM's mean over each superpixel as the prior of its weight, (H, W)."""
    prior = PriorRidge(superpixel_means(inputs.cam, inputs.segments), PRIOR_ALPHA)
    weights = fit(inputs.neighbourhood, inputs.label, inputs.settings.num_features, prior).weights
    return weights[inputs.segments]


def several_scales(inputs: HybridInputs) -> Map:
    """Return the product of Grad-CAM's map and lime's map over three scales, plus half of their sum, (H, W).

    lime's map is the mean of its maps with 50, 100 and 200 superpixels, scaled to a largest value of 1, without its
    negative part. The product is high where both maps are high. The sum keeps a place that only one of them marks.
    """
    maps = [_scaled(inputs.fitted(each))[each.segments] for each in inputs.scales]
    context = np.clip(_scaled(np.mean(maps, axis=0)), 0.0, None)
    return np.asarray(inputs.cam * context + EITHER * (inputs.cam + context))


def _of_known_cam(hybrid: Callable[[HybridInputs], Map]) -> Callable[[HybridInputs], Map]:
    """Make a hybrid NaN everywhere if Grad-CAM is not finite, as where a gradient of the model is 0 / 0."""

    def explained(inputs: HybridInputs) -> Map:
        return hybrid(inputs) if np.isfinite(inputs.cam).all() else np.full(inputs.cam.shape, np.nan)

    return explained


HYBRIDS: Mapping[str, Callable[[HybridInputs], Map]] = {
    each.__name__: _of_known_cam(each)
    for each in (sum_of_both, several_scales, pooled_product, refined_superpixels, cam_prior)
}


@dataclass(eq=False)
class PriorRidge:
    """Ridge regression that pulls the weights w towards a prior instead of towards 0.

    It minimises the weighted squared errors + alpha |w - s p|^2. The scale s of the prior p, (F,), is fitted first,
    with s >= 0. lime takes it as `model_regressor`, so it has the methods of a scikit-learn regressor.
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
        """Return the predicted values (N,) of samples (N, F)."""
        return np.asarray(samples @ self.coef_ + self.intercept_)

    def score(self, samples: NDArray[Any], values: NDArray[Any], sample_weight: NDArray[Any]) -> float:
        """Return R2: the share of the variance of the values that the fit explains, samples weighted as given."""
        return float(r2_score(values, self.predict(samples), sample_weight=sample_weight))


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    most = float(np.abs(values).max())
    return values / most if most > 0.0 else values
