"""The task `lime`: which superpixels speak for and against a class, and how far that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

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
    SeedTolerance,
    Segments,
    Table,
    Weights,
)
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import task
from xai_eval.tasks.cams import MAP_TOLERANCE
from xai_eval.tasks.image.asked import check_asked
from xai_eval.tasks.image.environment import provenance
from xai_eval.tasks.image.map_rows import TABLE_TOLERANCE, map_row
from xai_eval.tasks.image.subject import PROBABILITY_TOLERANCE, Subject, cam_maps, look
from xai_eval.tasks.lime.chosen_setting import read_chosen_setting
from xai_eval.tasks.lime.runs import LimeRun, run_lime
from xai_eval.tasks.reference.maps import localisation_stage, superpixel_stage

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.lime_search import Setting
    from xai_eval.explainers.lime.segmentation import Segmentation
    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier

LIBRARIES = ("torch", "torchvision", "lime", "scikit-image", "scikit-learn", "grad-cam", "numpy", "pillow")

# With fixed seeds the weights of the bundled model repeat to 1e-6. Beyond what chance does from seed to seed, at least
# this share of the largest weight may move.
WEIGHT_FLOOR = 0.02
SURROGATE_TOLERANCE = {"r2": 0.05, "prediction": 0.05, "probability": PROBABILITY_TOLERANCE, "intercept": 0.05}


@task("lime")
def lime(
    classifier: Classifier,
    images: ImageSet,
    *,
    num_samples: int = 1000,
    top_labels: int = 5,
    num_features: int = 100_000,
    batch_size: int = 10,
    segmentation: str = "quickshift",
    segmentation_parameters: Mapping[str, Any] | None = None,
    setting: str | None = None,
    seeds: int = 5,
    target: str | int = "predicted",
    layer: str | None = None,
    seed: int = 0,
) -> Iterator[Result]:
    """Explain every prediction by superpixels (lime), beside Grad-CAM.

    Args:
        classifier: the model with its preprocessing and class names.
        images: the images to explain.
        num_samples: perturbed images a seed.
        top_labels: how many of the most probable classes get weights.
        num_features: the most superpixels that get a weight.
        batch_size: perturbed images that the model gets at once.
        segmentation: `quickshift`, `slic`, `felzenszwalb`, or `none` for whatever lime does by itself.
        segmentation_parameters: in place of the parameters listed in `explainers/segmentation.py`.
        setting: file with the best settings of a `lime_search`, in place of all of the above.
        seeds: how many seeds the stability is measured with.
        target: `predicted`, `intended`, or the index, name or WordNet id of a class.
        layer: layer of the Grad-CAM beside it; the last convolutional block if None.
        seed: the first seed of the samples, and the segmentation's.

    Returns:
        An iterator that explains as it goes: one Result an image, with segments, the weights of every top class,
        and their stability.

    Raises:
        UsageError: an unknown segmentation, parameter, layer or class, or a number that is too small.
        ModelMisbehaves: the model raises, or returns what is no batch of logits.
    """
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation

    given = LimeSettings(num_samples, top_labels, num_features, batch_size)
    cut = choose_segmentation(segmentation, seed, segmentation_parameters)
    chosen = read_chosen_setting(setting) if setting is not None else None
    asked = check_asked(classifier, images, layer, target, seed, seeds)

    def evaluate(image: LabelledImage) -> Result:
        name = f"{images.name}/{image.name}"
        how, by = (given, cut) if chosen is None else _from_search(chosen.of(name), seed)
        cuts = {"name": by.name, **by.parameters}
        params = {**vars(how), "segmentation": cuts, "seeds": seeds, "target": asked.target, "layer": asked.layer}
        return _evaluate(Case("lime", classifier.name, name, params), classifier, image, by, how, seed)

    return map(evaluate, images.images)


def _from_search(setting: Setting, seed: int) -> tuple[LimeSettings, Segmentation]:
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation

    settings = LimeSettings(setting.num_samples, setting.top_labels, setting.num_features, setting.batch_size)
    return settings, choose_segmentation(setting.segmentation, seed)


def _evaluate(
    case: Case,
    classifier: Classifier,
    image: LabelledImage,
    segmentation: Segmentation,
    settings: LimeSettings,
    seed: int,
) -> Result:
    subject = look(classifier, image, case.params["layer"], case.params["target"])
    cam = cam_maps(subject, case.params["layer"])
    run = run_lime(subject, segmentation, settings, range(seed, seed + case.params["seeds"]))
    weights = _weights(subject, run)
    maps = {"lime": _map(run, weights.tolerance), "gradcam": Heatmap(cam.image[0], MAP_TOLERANCE)}
    margin = half_cell(cam.layer[0].shape, cam.image[0].shape)
    rows = [map_row(name, heatmap, subject.mask, margin) for name, heatmap in maps.items()]
    fields: dict[str, Field] = {
        **subject.fields,
        "warning": Label(run.warning),
        "segments": Segments(run.segments),
        "weights": weights,
        **maps,
        f"lime_top{TOP}": _top_mask(run),
        "table": Table(pd.DataFrame(rows), TABLE_TOLERANCE),
        "surrogates": _surrogates(subject, run),
        "stability": _stability(run),
    }
    final = {Stage(StageKind.FINAL_MAP, name): fingerprint_array(each.array) for name, each in maps.items()}
    return Result(
        case=case,
        fields=fields,
        stages={**subject.stages, **run.stages, **superpixel_stage(), **final, **localisation_stage()},
        provenance=provenance(classifier, image, LIBRARIES, seed),
    )


def _deviation(run: LimeRun) -> float:
    """Standard deviation of one seed's weights of the explained class, pooled over superpixels."""
    return float(np.sqrt(np.mean(np.nan_to_num(run.stability.spread) ** 2)))


def _map(run: LimeRun, tolerance: SeedTolerance) -> Heatmap:
    """The positive weights on the image; it may move by what a weight and the largest may move by chance."""
    most = float(run.stability.mean.max())
    between_seeds = math.sqrt(2) * tolerance.of_means(_deviation(run)) / most if most > 0 else 0.0
    largest = float(np.clip(between_seeds, MAP_TOLERANCE.largest, LOOSEST_MAP))
    return Heatmap(positive_map(run.stability.mean, run.segments), HeatmapTolerance(largest=round(largest, 4)))


def _top_mask(run: LimeRun) -> Mask:
    """The best superpixels; it may differ by what chance makes of them."""
    mean, seeds = run.stability.mean, len(run.explanations)
    least = least_overlap(mean, _deviation(run), seeds, run.segments, TOP)
    least = float(np.clip(least, LEAST_OVERLAP, 0.99))
    return Mask(mask_of(best_superpixels(mean, TOP), run.segments), least_iou=math.floor(least * 1e4) / 1e4)


def _weights(subject: Subject, run: LimeRun) -> Weights:
    names = tuple(subject.class_name(label) for label in run.labels)
    every = np.stack([run.weights(label) for label in run.labels])
    classes, seeds, superpixels = every.shape
    spread = every.std(axis=1, ddof=1) if seeds > 1 else np.zeros((classes, superpixels))
    return Weights(names, every.mean(axis=1), spread, seed_tolerance(WEIGHT_FLOOR, seeds, classes, superpixels))


def _surrogates(subject: Subject, run: LimeRun) -> Table:
    """How well the linear models stand in for the model, mean over the seeds."""
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


def _stability(run: LimeRun) -> Table:
    """What depends on the seed, for the explained class; spreads as shares of the largest mean weight.

    For reading: it follows from weights and spreads, which are judged, and other seeds alone move it by 0.1 and more.
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
    frame = pd.DataFrame({"measure": list(values), "value": list(values.values())})
    return Table.for_reading(frame)
