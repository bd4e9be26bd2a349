"""LIME for images: lime itself computes the explanation, only its slow sampling loop is replaced.

The library calls the segmentation, seeds and weighs the samples, and fits every surrogate. Its method `data_labels`
copies the image in Python for every sample; here the images are put together on the model's device.

An explanation has three steps: `draw` needs only pixels, `predicted` needs the model, and `fitted` only predictions. So
the first and the last step of one image can be computed while the model works on another, see `explain_each`.

LIME: Ribeiro, Singh and Guestrin, KDD 2016; lime, `lime_image.py` and `lime_base.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances

from xai_eval.errors import UsageError
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import NONE, Segmenter, renumbered_from_zero
from xai_eval.inputs.steps import Steps, Turn, in_order


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
class Drawn:
    """What lime asks the model about, for one seed.

    Attributes:
        hidden: the pixels to show where a superpixel is hidden, uint8 (H, W, 3).
        segments: index of the superpixel of each pixel, from 0 without gaps, (H, W).
        samples: 1 where a superpixel is kept, 0 where it is hidden, (N, F); the first row keeps all.
    """

    hidden: NDArray[np.uint8]
    segments: NDArray[np.int64]
    samples: NDArray[np.int64]


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
    question = LimeQuestion(pixels, images, segmentation, settings, tuple(labels), tuple(seeds))
    return next(explain_each([question], ahead=0))


@dataclass(frozen=True, eq=False)
class LimeQuestion:
    """One image to explain, by the arguments of `explain_by_lime`."""

    pixels: NDArray[np.uint8]
    images: PerturbedImages
    segmentation: Segmenter
    settings: LimeSettings
    labels: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)


def explain_each(questions: Sequence[LimeQuestion], *, ahead: int) -> Iterator[tuple[LimeExplanation, ...]]:
    """Explain images in their order, as `explain_by_lime` explains each.

    Args:
        questions: the images.
        ahead: so many images are cut into superpixels in threads, and the surrogates of the one before are fitted in
            another, while the model works; 0 to do one step after the other.
    """

    def ask(each: LimeQuestion, turn: Turn[tuple[Drawn, ...]]) -> tuple[Neighbourhood, ...]:
        return predicted(each.pixels, each.images, turn.prepared())

    return in_order(
        Steps(
            lambda each: draw(each.pixels, each.segmentation, each.settings, each.seeds),
            ask,
            lambda each, found: fitted(each.pixels, found, each.settings, each.labels),
        ),
        questions,
        ahead=ahead,
    )


def draw(
    pixels: NDArray[np.uint8], segmentation: Segmenter, settings: LimeSettings, seeds: Sequence[int]
) -> tuple[Drawn, ...]:
    """Cut an image into superpixels, once, and draw the samples of each seed. The model is not needed.

    Raises:
        UsageError: the segmentation fails.
    """
    first = _drawn(pixels, None if segmentation.name == NONE else segmentation, settings, seeds[0], None)
    # From the second seed on, the library gets a segmentation that returns the superpixels of the first, and does not
    # compute the colours of hidden superpixels again, which depend on the superpixels alone.
    others = (_drawn(pixels, lambda _: first.segments, settings, seed, 0) for seed in seeds[1:])
    return (first, *(replace(each, hidden=first.hidden) for each in others))


def _drawn(
    pixels: NDArray[np.uint8], segmentation: Any, settings: LimeSettings, seed: int, hide_color: int | None
) -> Drawn:
    explainer = _Explainer(seed)
    explainer.explain_instance(
        pixels,
        None,
        labels=(),
        top_labels=None,
        num_samples=settings.num_samples,
        segmentation_fn=segmentation,
        hide_color=hide_color,
    )
    assert explainer.drawn is not None
    return explainer.drawn


def predicted(pixels: NDArray[np.uint8], images: PerturbedImages, drawn: Sequence[Drawn]) -> tuple[Neighbourhood, ...]:
    """Predict the samples of every seed. Only this step needs the model.

    Raises:
        ModelMisbehaves: the model returns no probabilities.
    """
    return tuple(
        Neighbourhood(
            each.segments, each.samples, images.probabilities(pixels, each.hidden, each.segments, each.samples)
        )
        for each in drawn
    )


def predicted_beside(
    pixels: NDArray[np.uint8], images: PerturbedImages, draws: Iterable[Callable[[], Drawn]], turn: Turn[Any]
) -> list[Neighbourhood]:
    """Predict the samples of one image that several functions draw. The next are drawn while the model works.

    Raises:
        UsageError: a segmentation fails.
        ModelMisbehaves: the model returns no probabilities.
    """

    def ask(_: Callable[[], Drawn], own: Turn[Drawn]) -> Neighbourhood:
        (found,) = predicted(pixels, images, [own.prepared()])
        return found

    return turn.parts(Steps(lambda draws: draws(), ask, lambda _, found: found), draws)


def fitted(
    pixels: NDArray[np.uint8], neighbourhoods: Sequence[Neighbourhood], settings: LimeSettings, labels: Sequence[int]
) -> tuple[LimeExplanation, ...]:
    """Fit the surrogates of every seed, from predictions alone; arguments and result as of `explain_by_lime`."""
    explanations: list[LimeExplanation] = []
    for neighbourhood in neighbourhoods:
        surrogates = _Fitted(neighbourhood).surrogates(pixels, settings)
        # Another seed predicts the image in another batch, where rounding may swap the ranks of nearly equal classes.
        for label in [*labels, *(explanations[0].surrogates if explanations else ())]:
            if label not in surrogates:
                surrogates[label] = fit(neighbourhood, label, settings.num_features)
        explanations.append(LimeExplanation(neighbourhood, surrogates))
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


class _Explainer(LimeImageExplainer):  # type: ignore[misc]
    """The library's explainer, for one call without classes: the library prepares the samples, and fits nothing."""

    def __init__(self, seed: int) -> None:
        super().__init__(random_state=seed)
        self.drawn: Drawn | None = None

    def data_labels(
        self,
        image: NDArray[Any],
        fudged_image: NDArray[Any],
        segments: NDArray[Any],
        classifier_fn: Any,
        num_samples: int,
        batch_size: int = 10,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Draw samples (N, F) as the library does, and keep them. The library gets the first, without predictions."""
        segments = renumbered_from_zero(segments)  # scikit-image may begin at 1 one day
        count = int(segments.max()) + 1
        samples = self.random_state.randint(0, 2, num_samples * count).reshape(num_samples, count)
        samples[0] = 1
        self.drawn = Drawn(fudged_image, segments, samples)
        return samples[:1], np.empty((1, 0), np.float32)


class _Fitted(LimeImageExplainer):  # type: ignore[misc]
    """The library's explainer, for one call with samples and predictions that are known. Every surrogate is kept."""

    def __init__(self, neighbourhood: Neighbourhood) -> None:
        super().__init__(random_state=0)
        self._neighbourhood = neighbourhood
        self._kept: dict[int, Surrogate] = {}
        self._fit, self.base.explain_instance_with_data = self.base.explain_instance_with_data, self._keep

    def surrogates(self, pixels: NDArray[np.uint8], settings: LimeSettings) -> dict[int, Surrogate]:
        """Return the surrogates of the most probable classes, the most probable first."""
        self.explain_instance(
            pixels,
            None,
            hide_color=0,
            top_labels=settings.top_labels,
            num_features=settings.num_features,
            num_samples=settings.num_samples,
            segmentation_fn=lambda _: self._neighbourhood.segments,
        )
        return dict(reversed(self._kept.items()))  # the library begins with the least probable class

    def data_labels(self, *_: Any, **__: Any) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the samples (N, F) and their probabilities (N, C)."""
        return self._neighbourhood.samples, self._neighbourhood.probabilities

    def _keep(self, data: Any, labels: Any, distances: Any, label: int, *rest: Any, **options: Any) -> Any:
        # The library itself keeps R2 and the prediction of the last class only.
        answer = self._fit(data, labels, distances, label, *rest, **options)
        self._kept[int(label)] = _surrogate(int(label), data.shape[1], answer)
        return answer


def _surrogate(label: int, count: int, answer: Any) -> Surrogate:
    intercept, pairs, r2, prediction = answer
    weights = np.zeros(count)
    for superpixel, weight in pairs:
        weights[superpixel] = weight
    return Surrogate(label, weights, float(intercept), float(r2), float(np.ravel(prediction)[0]))
