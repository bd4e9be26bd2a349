"""Explains one image by lime with several seeds. The tasks `lime`, `comparison` and `hybrid` use it."""

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
    from xai_eval.explainers.lime.lime import LimeExplanation, LimeSettings, Neighbourhood, Surrogate
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
        seconds: time for all of them together, in seconds; 0 if it was not measured.
    """

    explanations: tuple[LimeExplanation, ...]
    label: int
    seconds: float = 0.0

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


def run_lime(subject: Subject, segmentation: Segmentation, settings: LimeSettings, seeds: Sequence[int]) -> LimeRun:
    """Explain one image by lime with every seed. The explained class is among the classes that get weights.

    Raises:
        ModelMisbehaves: half precision left nothing of the weights.
    """
    from xai_eval.explainers.lime.lime import explain_by_lime
    from xai_eval.explainers.lime.perturbation import PerturbedImages
    from xai_eval.inputs.models.precision import asked_precision, check_not_lost

    classifier, label = subject.classifier, subject.target.index
    started = time.perf_counter()
    images = PerturbedImages(subject.predict, settings.batch_size, classifier.device)
    explanations = explain_by_lime(subject.view, images, segmentation, settings, labels=[label], seeds=seeds)
    run = LimeRun(explanations, label, time.perf_counter() - started)
    check_not_lost(run.weights(label), "lime", asked_precision())
    return run
