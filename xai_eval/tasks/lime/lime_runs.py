"""Explains one image by lime with several seeds, in three steps. The tasks `lime` and `comparison` use it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.metrics.stability import Stability, stability
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image.subject import Subject

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime import Drawn, LimeExplanation, LimeSettings, Neighbourhood, Surrogate
    from xai_eval.explainers.lime.segmentation import Segmentation

# Ribeiro et al. 2016 do not say how many samples are enough. With fewer, the samples no longer determine the surrogate.
LEAST_SAMPLES_PER_SUPERPIXEL = 10
LEAST_R2 = 0.5


def thresholds() -> dict[str, float]:
    """Return below what `LimeRun.warning` warns, by name; a result records it."""
    return {
        "least samples per superpixel": float(LEAST_SAMPLES_PER_SUPERPIXEL),
        "least local R2": LEAST_R2,
    }


@dataclass(frozen=True, eq=False)
class LimeRun:
    """Explanations of one image, one per seed, with superpixels numbered in reading order.

    Attributes:
        explanations: the explanations of lime. All have the same superpixels, numbered as the library numbers them.
        label: index of the explained class.
        seconds: how long all steps took together, in seconds. Beside other work, each of them takes longer than alone.
    """

    explanations: tuple[LimeExplanation, ...]
    label: int
    seconds: float

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        from xai_eval.explainers.lime.segmentation import in_reading_order

        return in_reading_order(self.explanations[0].neighbourhood.segments)

    @cached_property
    def segments(self) -> NDArray[np.int64]:
        """Number of the superpixel of each pixel, (H, W)."""
        return self._order[self.explanations[0].neighbourhood.segments]

    @property
    def labels(self) -> tuple[int, ...]:
        """Indices of the explained classes, the most probable first."""
        return tuple(self.explanations[0].surrogates)

    @property
    def samples(self) -> int:
        """Number of samples of one seed."""
        return len(self.explanations[0].neighbourhood.samples)

    def weights(self, label: int) -> NDArray[np.float64]:
        """Return the weights of one class, (seeds, F)."""
        return np.stack([each.surrogates[label].weights[np.argsort(self._order)] for each in self.explanations])

    @cached_property
    def stability(self) -> Stability:
        """How much the weights of the explained class depend on the seed."""
        return stability(self.weights(self.label), self.segments)

    def r2(self, label: int) -> float:
        """Return the local R2 of one class, as the mean over the seeds; at most 1, higher is better."""
        return float(np.mean([each.surrogates[label].r2 for each in self.explanations]))

    @property
    def warning(self) -> str | None:
        """Say in a sentence why the weights should not be trusted; None if nothing speaks against them."""
        superpixels = int(self.segments.max()) + 1
        reasons = [
            (superpixels == 1, "there is a single superpixel, so nothing is told apart"),
            (
                self.samples < LEAST_SAMPLES_PER_SUPERPIXEL * superpixels,
                f"fewer than {LEAST_SAMPLES_PER_SUPERPIXEL} samples per superpixel",
            ),
            (self.r2(self.label) < LEAST_R2, f"the surrogate's local R2 is below {LEAST_R2}"),
        ]
        return "; ".join(text for true, text in reasons if true) or None

    @property
    def stages(self) -> dict[Stage, Fingerprint]:
        """Fingerprints of all seeds together, from the superpixels to the weights and the fits."""
        every = [each.neighbourhood for each in self.explanations]
        drawn = np.stack([each.samples for each in every])
        # Sorted by index, because two classes with nearly equal probabilities can swap their ranks.
        labels = sorted(self.labels)
        fitted = {
            **lime_stages(every, [self.label], self.weights(self.label)),
            **self._stages_of_other_classes(every, [label for label in labels if label != self.label]),
        }
        in_order = sorted(fitted, key=lambda stage: stage.kind is StageKind.WEIGHTS)  # predictions come first
        return {
            Stage(StageKind.SEGMENTS): fingerprint_array(self.segments),
            Stage(StageKind.SAMPLES): fingerprint_array(drawn.astype(np.uint8)),
            **{stage: fitted[stage] for stage in in_order},
            **surrogate_stage([each.surrogates[label] for each in self.explanations for label in labels]),
        }

    def _stages_of_other_classes(self, every: Sequence[Neighbourhood], labels: list[int]) -> dict[Stage, Fingerprint]:
        """Fingerprint the other classes apart, because changes of their small weights would not show otherwise."""
        if not labels:
            return {}
        return lime_stages(every, labels, np.stack([self.weights(label) for label in labels]), of="other classes")


def lime_stages(
    neighbourhoods: Sequence[Neighbourhood], labels: list[int], weights: NDArray[np.floating[Any]], of: str = ""
) -> dict[Stage, Fingerprint]:
    """Fingerprint the predictions for the perturbed images and the weights of the surrogates.

    Args:
        neighbourhoods: the perturbed samples that lime fitted its surrogates to, one neighbourhood per seed.
        labels: indices of the classes.
        weights: weights of the surrogates of these classes, of any shape.
        of: name of these classes in the stages; empty for the explained class.
    """
    predicted = np.stack([each.probabilities[:, labels] for each in neighbourhoods])
    return {
        Stage(StageKind.PERTURBED_PREDICTIONS, of): fingerprint_array(predicted),
        Stage(StageKind.WEIGHTS, of): fingerprint_array(weights.astype(np.float32)),
    }


def surrogate_stage(fits: Sequence[Surrogate]) -> dict[Stage, Fingerprint]:
    """Fingerprint the intercepts, predictions and R2 of surrogates."""
    told = np.array([(fit.intercept, fit.prediction, fit.r2) for fit in fits])
    return {Stage(StageKind.SURROGATES): fingerprint_array(told)}


@dataclass(frozen=True, eq=False)
class LimeDrawn:
    """What lime asks the model about one image.

    Attributes:
        view: the image as the model sees it, uint8 (H, W, 3).
        drawn: superpixels and samples of each seed.
        seconds: how long that took.
    """

    view: NDArray[np.uint8]
    drawn: Sequence[Drawn]
    seconds: float


@dataclass(frozen=True, eq=False)
class LimePredicted:
    """What the model answered.

    Attributes:
        view: the image as the model sees it, uint8 (H, W, 3).
        neighbourhoods: the predictions for the samples of each seed.
        precision: in which the model was asked to compute.
        seconds: how long this step and the one before took.
    """

    view: NDArray[np.uint8]
    neighbourhoods: Sequence[Neighbourhood]
    precision: str
    seconds: float


@dataclass(frozen=True, eq=False)
class LimeSteps:
    """The three steps of lime on one image: `draw` needs its pixels only, `predict` the model, `fit` predictions only.

    Attributes:
        settings: arguments of lime.
        segmentation: the method that cuts the image into superpixels.
        seeds: seeds of the samples.
    """

    settings: LimeSettings
    segmentation: Segmentation
    seeds: Sequence[int]

    def draw(self, view: NDArray[np.uint8]) -> LimeDrawn:
        """Cut a view, uint8 (H, W, 3), into superpixels, and draw the samples.

        Raises:
            UsageError: the segmentation fails.
        """
        from xai_eval.explainers.lime.lime import draw

        started = time.perf_counter()
        drawn = draw(view, self.segmentation, self.settings, self.seeds)
        return LimeDrawn(view, drawn, time.perf_counter() - started)

    def predict(self, subject: Subject, own: LimeDrawn) -> LimePredicted:
        """Ask the model about all samples.

        Raises:
            ModelMisbehaves: the model returns no probabilities.
        """
        from xai_eval.explainers.lime.lime import predicted
        from xai_eval.explainers.lime.perturbation import PerturbedImages
        from xai_eval.inputs.models.precision import asked_precision

        started = time.perf_counter()
        images = PerturbedImages(subject.predict, self.settings.batch_size, subject.classifier.device)
        found = predicted(own.view, images, own.drawn)
        return LimePredicted(own.view, found, asked_precision(), own.seconds + time.perf_counter() - started)

    def fit(self, answers: LimePredicted, label: int) -> LimeRun:
        """Fit the surrogates. The explained class, `label`, is among the classes that get weights.

        Raises:
            ModelMisbehaves: half precision left nothing of the weights.
        """
        from xai_eval.explainers.lime.lime import fitted
        from xai_eval.inputs.models.precision import check_not_lost

        started = time.perf_counter()
        explanations = fitted(answers.view, answers.neighbourhoods, self.settings, [label])
        run = LimeRun(explanations, label, answers.seconds + time.perf_counter() - started)
        check_not_lost(run.weights(label), "lime", answers.precision)
        return run
