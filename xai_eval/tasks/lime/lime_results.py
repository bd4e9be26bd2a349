"""Computes the results of the task `lime`: weights of superpixels, and how much they depend on the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xai_eval.inputs.steps import Steps, Turn
from xai_eval.metrics.localisation import half_cell
from xai_eval.metrics.seeds import least_overlap, seed_tolerance
from xai_eval.metrics.stability import TOP
from xai_eval.metrics.superpixels import best_superpixels, mask_of, positive_map
from xai_eval.result.fields import (
    LEAST_OVERLAP,
    LOOSEST_MAP,
    Field,
    Heatmap,
    HeatmapTolerance,
    Label,
    Mask,
    Measures,
    SeedTolerance,
    Segments,
    Table,
    Weights,
)
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.result import Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.cam_results import MAP_TOLERANCE
from xai_eval.tasks.image.explanation_setup import ExplanationSetup
from xai_eval.tasks.image.map_rows import TABLE_TOLERANCE, map_row
from xai_eval.tasks.image.per_image import PerImage
from xai_eval.tasks.image.subject import PROBABILITY_TOLERANCE, Subject, cam_maps
from xai_eval.tasks.lime.chosen_setting import ChosenSetting
from xai_eval.tasks.lime.lime_runs import LimeDrawn, LimePredicted, LimeRun, LimeSteps, thresholds
from xai_eval.tasks.ties.bounds import best_superpixels_bounds, rounding_on
from xai_eval.tasks.ties.possible_rows import by_column, possible_row
from xai_eval.tasks.trials.trials import cam_trials, lime_trials, model_trials

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import Segmentation
    from xai_eval.inputs.images.labelled import LabelledImage

LIBRARIES = ("torch", "torchvision", "lime", "scikit-image", "scikit-learn", "scipy", "grad-cam", "numpy", "pillow")

# With fixed seeds the weights of the bundled model repeat to 1e-6. A weight may always change by this share of the
# largest weight, even if chance from seed to seed explains less.
WEIGHT_FLOOR = 0.02
# What other seeds alone do to these measures on eight scenes (300 samples) is 0.02, 0.01, 0.03, 0.42 and 0.37.
STABILITY_TOLERANCE = {
    "local R2": 0.1,
    "mean spread of a weight": 0.1,
    "largest spread of a weight": 0.3,
    f"mean IoU of the best {TOP}": 0.6,
    f"least IoU of the best {TOP}": 0.6,
}
# Superpixels have no cells. Their margin in the pointing game is half a cell of a map of so many cells, which ResNets
# have: one for every model, with or without a Grad-CAM beside.
CELLS = (7, 7)
SURROGATE_TOLERANCE = {"r2": 0.05, "prediction": 0.05, "probability": PROBABILITY_TOLERANCE, "intercept": 0.05}


@dataclass(frozen=True, eq=False)
class LimeRequest:
    """The checked options of one run of `lime`.

    Attributes:
        setup: model, images, class, first seed, and the layer of the Grad-CAM map, if there is one.
        settings: arguments of lime.
        segmentation: the method that cuts images into superpixels.
        seeds: number of consecutive seeds over which stability is measured.
        chosen: settings by image, used in place of `settings` and `segmentation`; None if no file was given.
    """

    setup: ExplanationSetup
    settings: LimeSettings
    segmentation: Segmentation
    seeds: int
    chosen: ChosenSetting | None

    @cached_property
    def trials(self) -> dict[Stage, Fingerprint]:
        """Steps tried on what never changes, once per run."""
        beside = [] if self.setup.layer is None else ["gradcam"]
        return {**model_trials(), **cam_trials(beside), **lime_trials()}

    def of(self, image: LabelledImage) -> tuple[LimeSettings, Segmentation]:
        """Return the settings and the segmentation for one image."""
        from xai_eval.explainers.lime.lime import LimeSettings
        from xai_eval.explainers.lime.segmentation import choose_segmentation

        if self.chosen is None:
            return self.settings, self.segmentation
        best = self.chosen.of(f"{self.setup.images.name}/{image.name}")
        settings = LimeSettings(best.num_samples, best.top_labels, best.num_features, best.batch_size)
        return settings, choose_segmentation(best.segmentation, self.setup.seed)

    def steps(self, image: LabelledImage) -> LimeSteps:
        """Return the steps of lime for one image."""
        first = self.setup.seed
        return LimeSteps(*self.of(image), range(first, first + self.seeds))


@dataclass(frozen=True, eq=False)
class _Answers:
    """What is known of an image when the model is not needed any more.

    Attributes:
        subject: the image and what the model predicts.
        predicted: the predictions for the samples of each seed.
        beside: the map of Grad-CAM by its name, and half a cell of its layer; both empty without a layer.
        fields: fields that need the model.
        stages: stages up to the explained class, and the state of the model after all of them.
        provenance: how the result was computed.
        rounding: how far apart two values may be and still be tied.
    """

    subject: Subject
    predicted: LimePredicted
    beside: tuple[dict[str, Heatmap], dict[str, tuple[int, int]]]
    fields: Mapping[str, Field]
    stages: Mapping[Stage, Fingerprint]
    provenance: Provenance
    rounding: float


def lime_results(request: LimeRequest) -> PerImage:
    """Explain every image. Each result is computed when an iterator reaches it."""
    steps = Steps(partial(_draw, request), partial(_ask, request), partial(_finish, request))
    return PerImage("lime", request.setup, partial(_params, request), steps.alone, apart=steps)


def _params(request: LimeRequest, image: LabelledImage) -> dict[str, Any]:
    settings, segmentation = request.of(image)
    return {**vars(settings), "segmentation": segmentation.describe(), "seeds": request.seeds}


def _draw(request: LimeRequest, image: LabelledImage) -> LimeDrawn:
    """Cut an image into superpixels and draw the samples. The model is not needed."""
    return request.steps(image).draw(request.setup.view(image))


def _ask(request: LimeRequest, image: LabelledImage, turn: Turn[LimeDrawn]) -> _Answers:
    """Do everything that needs the model."""
    # Tried first, so that a broken library is not taken for a broken model.
    _ = request.trials
    setup = request.setup
    subject = setup.run_model(image)
    beside = _gradcam(subject)
    found = request.steps(image).predict(subject, turn.prepared())
    rounding = rounding_on(subject.classifier.device.type)
    known = setup.provenance(image, LIBRARIES)
    return _Answers(subject, found, beside, subject.fields, subject.stages_with_views, known, rounding)


def _finish(request: LimeRequest, image: LabelledImage, answers: _Answers) -> Result:
    """Fit the surrogates, and make the result. The model is not needed."""
    setup, subject, (beside, margins) = request.setup, answers.subject, answers.beside
    run = request.steps(image).fit(answers.predicted, subject.target.index)
    weights = _weights(subject, run)
    maps = {"lime": _map(run, weights.tolerance), **beside}
    margins = {"lime": half_cell(CELLS, run.segments.shape), **margins}
    rows = [map_row(name, heatmap, subject.mask, margins[name]) for name, heatmap in maps.items()]
    rounding = answers.rounding
    possible = [possible_row(each, subject.mask, margins[name], rounding) for name, each in maps.items()]
    fields: dict[str, Field] = {
        **answers.fields,
        "warning": Label(run.warning),
        "thresholds": Measures.of(thresholds(), {}),
        "segments": Segments(run.segments),
        "weights": weights,
        **maps,
        f"lime_top{TOP}": _top_mask(run, rounding),
        "table": Table(pd.DataFrame(rows), TABLE_TOLERANCE, possible=by_column(possible)),
        "surrogates": _surrogates(subject, run),
        "stability": _stability(run),
    }
    final = {Stage(StageKind.FINAL_MAP, name): fingerprint_array(each.array) for name, each in maps.items()}
    return Result(
        case=setup.case("lime", image, _params(request, image)),
        fields=fields,
        stages={**answers.stages, **run.stages, **final, **request.trials},
        provenance=answers.provenance,
    )


def _gradcam(subject: Subject) -> tuple[dict[str, Heatmap], dict[str, tuple[int, int]]]:
    """Return Grad-CAM of the same class and half a cell of its layer, by its name; nothing if no layer is explained."""
    if subject.layer is None:
        return {}, {}
    cam = cam_maps(subject)
    margin = half_cell(cam.layer[0].shape, cam.image[0].shape)
    return {"gradcam": Heatmap(cam.image[0], MAP_TOLERANCE)}, {"gradcam": margin}


def _deviation(run: LimeRun) -> float:
    """Return the standard deviation of a weight over the seeds, pooled over the superpixels of the explained class."""
    return float(np.sqrt(np.mean(np.nan_to_num(run.stability.spread) ** 2)))


def _map(run: LimeRun, tolerance: SeedTolerance) -> Heatmap:
    """Paint the positive weights on the image. The tolerance allows what other seeds can do to a weight by chance."""
    most = float(run.stability.mean.max())
    between_seeds = math.sqrt(2) * tolerance.of_means(_deviation(run)) / most if most > 0 else 0.0
    largest = float(np.clip(between_seeds, MAP_TOLERANCE.largest, LOOSEST_MAP))
    return Heatmap(positive_map(run.stability.mean, run.segments), HeatmapTolerance(largest=round(largest, 4)))


def _top_mask(run: LimeRun, rounding: float) -> Mask:
    """Return the mask of the best superpixels. Its tolerance allows what other seeds can do to it by chance."""
    mean, seeds = run.stability.mean, len(run.explanations)
    least = least_overlap(mean, _deviation(run), seeds, run.segments, TOP)
    least = float(np.clip(least, LEAST_OVERLAP, 0.99))
    undecided = best_superpixels_bounds(mean, run.segments, TOP, rounding).undecided
    return Mask(mask_of(best_superpixels(mean, TOP), run.segments), math.floor(least * 1e4) / 1e4, undecided)


def _weights(subject: Subject, run: LimeRun) -> Weights:
    names = tuple(subject.class_name(label) for label in run.labels)
    every = np.stack([run.weights(label) for label in run.labels])
    classes, seeds, superpixels = every.shape
    spread = every.std(axis=1, ddof=1) if seeds > 1 else np.zeros((classes, superpixels))
    return Weights(names, every.mean(axis=1), spread, seed_tolerance(WEIGHT_FLOOR, seeds, classes, superpixels))


def _surrogates(subject: Subject, run: LimeRun) -> Table:
    """Return how well lime's linear surrogates fit the model, as the mean over the seeds."""
    rows = []
    for label in run.labels:
        own = [each.surrogates[label] for each in run.explanations]
        rows.append(
            {
                "class": subject.class_name(label),
                "probability": float(subject.probabilities[label]),
                "prediction": float(np.mean([s.prediction for s in own])),
                "intercept": float(np.mean([s.intercept for s in own])),
                "r2": run.r2(label),
            }
        )
    return Table(pd.DataFrame(rows), SURROGATE_TOLERANCE)


def _stability(run: LimeRun) -> Measures:
    """Return how much the weights of the explained class depend on the seed. Spreads are shares of the largest weight.

    It follows from the weights and spreads, which are judged strictly. Other seeds alone change it, so that it is
    judged loosely.
    """
    found, superpixels = run.stability, len(run.stability.mean)
    most = float(np.abs(found.mean).max())
    relative = found.spread / most if most > 0 else np.full(superpixels, np.nan)
    values = {
        "superpixels": float(superpixels),
        "samples per superpixel": run.samples / superpixels,
        "seeds": float(len(run.explanations)),
        "local R2": run.r2(run.label),
        "mean spread of a weight": float(relative.mean()),
        "largest spread of a weight": float(relative.max()),
        f"mean IoU of the best {TOP}": found.overlap,
        f"least IoU of the best {TOP}": found.least_overlap,
    }
    return Measures.of(values, STABILITY_TOLERANCE)
