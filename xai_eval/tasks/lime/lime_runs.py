"""One image explained by lime under several seeds: what `lime`, `comparison` and `hybrid` start from."""

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

# Ribeiro et al. leave open how many samples are enough; below these the surrogate is no longer determined by them.
LEAST_SAMPLES_PER_SUPERPIXEL = 10
LEAST_R2 = 0.5


@dataclass(frozen=True, eq=False)
class LimeRun:
    """Explanations of one image, one a seed, with superpixels numbered in reading order.

    Attributes:
        explanations: as the library numbers superpixels; the same segments in all.
        label: index of the explained class.
        seconds: what all of them took.
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
        """Indices of the classes that have weights, the most probable first."""
        return tuple(self.explanations[0].surrogates)

    @property
    def samples(self) -> int:
        """Number of samples of one seed."""
        return len(self.explanations[0].neighbourhood.samples)

    def weights(self, label: int) -> NDArray[np.float64]:
        """Weights of one class, (seeds, F)."""
        return np.stack([each.surrogates[label].weights[np.argsort(self._order)] for each in self.explanations])

    @cached_property
    def stability(self) -> Stability:
        """How much the weights of the explained class depend on the seed."""
        return stability(self.weights(self.label), self.segments)

    def r2(self, label: int) -> float:
        """Local R2 of one class, mean over the seeds."""
        return float(np.mean([each.surrogates[label].r2 for each in self.explanations]))

    @property
    def warning(self) -> str | None:
        """Say why the weights should not be trusted; None where nothing speaks against them."""
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
        """Fingerprints from superpixels to weights and fits, of all seeds."""
        every = [each.neighbourhood for each in self.explanations]
        drawn = np.stack([each.samples for each in every])
        # Not the most probable first: two classes as good as each other change places by nothing.
        labels = sorted(self.labels)
        fitted = {
            **lime_stages(every, [self.label], self.weights(self.label)),
            **self._stages_of_other_classes(every, [label for label in labels if label != self.label]),
        }
        in_order = sorted(fitted, key=lambda stage: stage.kind is StageKind.WEIGHTS)  # predictions in front of weights
        return {
            Stage(StageKind.SEGMENTS): fingerprint_array(self.segments),
            Stage(StageKind.SAMPLES): fingerprint_array(drawn.astype(np.uint8)),
            **{stage: fitted[stage] for stage in in_order},
            **surrogate_stage([each.surrogates[label] for each in self.explanations for label in labels]),
        }

    def _stages_of_other_classes(self, every: Sequence[Neighbourhood], labels: list[int]) -> dict[Stage, Fingerprint]:
        """Kept apart: beside the explained class, which is the largest by far, they would not show."""
        if not labels:
            return {}
        return lime_stages(every, labels, np.stack([self.weights(label) for label in labels]), of="other classes")


def lime_stages(
    neighbourhoods: Sequence[Neighbourhood], labels: list[int], weights: NDArray[np.floating[Any]], of: str = ""
) -> dict[Stage, Fingerprint]:
    """Fingerprints from predictions to weights.

    Args:
        neighbourhoods: what lime fitted its surrogates to, one a seed.
        labels: indices of the classes.
        weights: of their surrogates, of any shape.
        of: how the classes are called, where they are not the explained one.
    """
    predicted = np.stack([each.probabilities[:, labels] for each in neighbourhoods])
    return {
        Stage(StageKind.PERTURBED_PREDICTIONS, of): fingerprint_array(predicted),
        Stage(StageKind.WEIGHTS, of): fingerprint_array(weights.astype(np.float32)),
    }


def surrogate_stage(fits: Sequence[Surrogate]) -> dict[Stage, Fingerprint]:
    """Fingerprint what surrogates say besides their weights."""
    told = np.array([(fit.intercept, fit.prediction, fit.r2) for fit in fits])
    return {Stage(StageKind.SURROGATES): fingerprint_array(told)}


def run_lime(subject: Subject, segmentation: Segmentation, settings: LimeSettings, seeds: Sequence[int]) -> LimeRun:
    """Explain what the model sees in an image by lime, the explained class among the classes."""
    from xai_eval.explainers.lime.lime import explain
    from xai_eval.explainers.lime.perturbation import PerturbedImages
    from xai_eval.explainers.lime.probabilities import probabilities

    classifier, label = subject.classifier, subject.target.index
    started = time.perf_counter()
    images = PerturbedImages(probabilities(classifier), settings.batch_size, classifier.device)
    explanations = explain(subject.view, images, segmentation, settings, labels=[label], seeds=seeds)
    return LimeRun(explanations, label, time.perf_counter() - started)
