"""LIME for images: lime itself computes the explanation, only its slow sampling loop is replaced.

The library calls the segmentation, seeds and weighs the samples, and fits every surrogate. Its method `data_labels`
copies the image in Python for every sample; here the images are put together on the model's device.

LIME: Ribeiro, Singh and Guestrin, KDD 2016; lime, `lime_image.py` and `lime_base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances

from xai_eval.errors import UsageError
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import NONE, Segmenter, renumbered_from_zero


@dataclass(frozen=True)
class LimeSettings:
    """Arguments of lime's `explain_instance`, with lime's own defaults.

    Attributes:
        num_samples: number of perturbed images, the unperturbed one included.
        top_labels: number of classes to explain, the most probable first.
        num_features: largest number of superpixels that get a weight other than 0.
        batch_size: number of images per call of the model.

    Raises:
        UsageError: a value is not a whole number, or is too small.
    """

    num_samples: int = 1000
    top_labels: int = 5
    num_features: int = 100_000
    batch_size: int = 10

    def __post_init__(self) -> None:
        for name, least in (("num_samples", 2), ("top_labels", 1), ("num_features", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise UsageError(f"{name} of lime is {value!r}; expected a whole number, at least {least}.")


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """What lime fits its surrogates to: N perturbed images of F superpixels, and the predictions for C classes.

    Attributes:
        segments: index of the superpixel of each pixel, from 0 without gaps, (h, w).
        samples: 1 where a superpixel is kept, 0 where it is hidden, (N, F); the first row keeps all.
        probabilities: the model's probabilities for each perturbed image, (N, C).
    """

    segments: NDArray[np.int64]
    samples: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def first(self, count: int) -> Neighbourhood:
        """Return what a run with fewer samples and the same seed would give; lime draws the samples row by row."""
        return Neighbourhood(self.segments, self.samples[:count], self.probabilities[:count])


@dataclass(frozen=True, eq=False)
class Surrogate:
    """The linear model that lime fits to the probability of one class.

    Attributes:
        label: index of the class.
        weights: one per superpixel, (F,) float64; 0 for superpixels that `num_features` leaves out.
        intercept: predicted probability when every superpixel is hidden.
        r2: share of the variance that it explains, samples weighted by how close they are to the image; at most 1,
            higher is better.
        prediction: predicted probability for the unperturbed image.
    """

    label: int
    weights: NDArray[np.float64]
    intercept: float
    r2: float
    prediction: float


@dataclass(frozen=True, eq=False)
class LimeExplanation:
    """One run of lime.

    Attributes:
        neighbourhood: what the surrogates were fitted to.
        surrogates: by index of the class: the most probable classes first, then further classes that were asked for.
    """

    neighbourhood: Neighbourhood
    surrogates: Mapping[int, Surrogate]


def explain_by_lime(
    pixels: NDArray[np.uint8],
    images: PerturbedImages,
    segmentation: Segmenter,
    settings: LimeSettings,
    *,
    labels: Sequence[int] = (),
    seeds: Sequence[int] = (0,),
) -> tuple[LimeExplanation, ...]:
    """Explain an image by lime, once per seed.

    Every run has a new explainer of the library, because a reused one gives other explanations.

    Args:
        pixels: the image as the model sees it, uint8 (H, W, 3).
        images: predicts perturbed images; predictions are shared by all seeds.
        segmentation: cuts the image into superpixels. It is called for the first seed only, and all seeds share the
            superpixels, so that their weights can be compared.
        settings: arguments of lime.
        labels: indices of classes to explain besides the most probable ones.
        seeds: seeds of the samples.

    Returns:
        One explanation per seed. Each has at least the classes of the first, also where two classes are so nearly equal
        that their ranks differ from seed to seed.

    Raises:
        UsageError: the segmentation fails.
        ModelMisbehaves: the model returns no probabilities.
    """
    explanations: list[LimeExplanation] = []
    for seed in seeds:
        # From the second seed on, the library gets a segmentation that returns the superpixels of the first.
        known = explanations[0].neighbourhood.segments if explanations else None
        cut = None if segmentation.name == NONE else segmentation
        # Another seed predicts the image in another batch, where rounding may swap the ranks of nearly equal classes.
        wanted = dict.fromkeys([*labels, *(explanations[0].surrogates if explanations else ())])
        explanations.append(
            _explain_once(pixels, images, cut if known is None else lambda _, k=known: k, settings, list(wanted), seed)
        )
    return tuple(explanations)


def fit(neighbourhood: Neighbourhood, label: int, num_features: int, regressor: Any = None) -> Surrogate:
    """Fit the surrogate of one class to a neighbourhood by the library's own `LimeBase`.

    Args:
        neighbourhood: of one run, or the first rows of a longer one.
        label: index of the class.
        num_features: largest number of superpixels that get a weight.
        regressor: replaces the library's ridge regression, like `model_regressor` of its `explain_instance`. It gets
            all superpixels in their order.
    """
    samples = neighbourhood.samples
    distances = pairwise_distances(samples, samples[:1], metric="cosine").ravel()
    answer = LimeImageExplainer(random_state=0).base.explain_instance_with_data(
        samples,
        neighbourhood.probabilities,
        distances,
        label,
        num_features,
        # With "auto" the library passes the superpixels in an order that the regressor cannot know.
        feature_selection="auto" if regressor is None else "none",
        model_regressor=regressor,
    )
    return _surrogate(label, samples.shape[1], answer)


def _explain_once(
    pixels: NDArray[np.uint8],
    images: PerturbedImages,
    segmentation: Any,
    settings: LimeSettings,
    labels: Sequence[int],
    seed: int,
) -> LimeExplanation:
    explainer = _Explainer(seed, images)
    explainer.explain_instance(
        pixels,
        None,
        top_labels=settings.top_labels,
        num_features=settings.num_features,
        num_samples=settings.num_samples,
        segmentation_fn=segmentation,
    )
    assert explainer.neighbourhood is not None
    surrogates = dict(reversed(explainer.fitted.items()))  # the library begins with the least probable class
    for label in labels:
        if label not in surrogates:
            surrogates[label] = fit(explainer.neighbourhood, label, settings.num_features)
    return LimeExplanation(explainer.neighbourhood, surrogates)


class _Explainer(LimeImageExplainer):  # type: ignore[misc]
    """The library's explainer, for one call. `images` predicts the samples, and every fitted surrogate is kept."""

    def __init__(self, seed: int, images: PerturbedImages) -> None:
        super().__init__(random_state=seed)
        self.neighbourhood: Neighbourhood | None = None
        self.fitted: dict[int, Surrogate] = {}
        self._images = images
        self._fit, self.base.explain_instance_with_data = self.base.explain_instance_with_data, self._keep

    def data_labels(
        self,
        image: NDArray[Any],
        fudged_image: NDArray[Any],
        segments: NDArray[Any],
        classifier_fn: Any,
        num_samples: int,
        batch_size: int = 10,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Draw samples (N, F) as the library does, and predict them: probabilities (N, C)."""
        segments = renumbered_from_zero(segments)  # scikit-image may begin at 1 one day
        count = int(segments.max()) + 1
        samples = self.random_state.randint(0, 2, num_samples * count).reshape(num_samples, count)
        samples[0] = 1
        predicted = self._images.probabilities(image, fudged_image, segments, samples)
        self.neighbourhood = Neighbourhood(segments, samples, predicted)
        return samples, predicted

    def _keep(self, data: Any, labels: Any, distances: Any, label: int, *rest: Any, **options: Any) -> Any:
        # The library itself keeps R2 and the prediction of the last class only.
        answer = self._fit(data, labels, distances, label, *rest, **options)
        self.fitted[int(label)] = _surrogate(int(label), data.shape[1], answer)
        return answer


def _surrogate(label: int, count: int, answer: Any) -> Surrogate:
    intercept, pairs, r2, prediction = answer
    weights = np.zeros(count)
    for superpixel, weight in pairs:
        weights[superpixel] = weight
    return Surrogate(label, weights, float(intercept), float(r2), float(np.ravel(prediction)[0]))
