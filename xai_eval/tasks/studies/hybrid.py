"""The task `hybrid`: explanations made of Grad-CAM and LIME, measured against both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.faithfulness import Predict, faithfulness
from xai_eval.metrics.localisation import half_cell, iou_at_equal_area
from xai_eval.metrics.paired import SIGNIFICANT, PairedTest, paired_test
from xai_eval.result.fields import Field, Heatmap, Label, Table
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import task
from xai_eval.tasks.cams import MAP_TOLERANCE
from xai_eval.tasks.image.asked import check_asked
from xai_eval.tasks.image.environment import provenance
from xai_eval.tasks.image.joined_stages import Stages
from xai_eval.tasks.image.map_rows import TABLE_TOLERANCE, map_row
from xai_eval.tasks.image.subject import Subject, cam_maps, look
from xai_eval.tasks.image.whole_set import set_case, set_provenance, set_stages
from xai_eval.tasks.lime.runs import lime_stages
from xai_eval.tasks.lime.task import LIBRARIES
from xai_eval.tasks.reference.maps import faithfulness_stage, localisation_stage, paired_stage

if TYPE_CHECKING:
    from xai_eval.explainers.hybrid import Parents
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import Segmentation
    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier

PARENTS = ("gradcam", "lime")
# What is tested, and whether more or less of it is better.
MEASURES = {"iou_equal_area": 1, "deletion": -1, "insertion": 1, "insertion_less_deletion": 1}
# By which a hybrid must beat both parents: where the object is, and what matters to the model.
DECISIVE = ("iou_equal_area", "insertion_less_deletion")
ROW_TOLERANCE = {**TABLE_TOLERANCE, "deletion": 0.02, "insertion": 0.02, "insertion_less_deletion": 0.03}
MEAN_TOLERANCE = 0.03
# A p-value of few images jumps when one of them changes its sign.
TEST_TOLERANCE = {"difference": 0.03, "low": 0.05, "high": 0.05, "p": 0.2}

Map = NDArray[np.floating[Any]]


@task("hybrid", images="scenes:2", whole_set=True)
def hybrid(
    classifier: Classifier,
    images: ImageSet,
    *,
    num_samples: int = 500,
    segmentation: str = "slic",
    segmentation_parameters: Mapping[str, Any] | None = None,
    batch_size: int = 10,
    target: str | int = "predicted",
    layer: str | None = None,
    seed: int = 0,
) -> Iterator[Result]:
    """Combine Grad-CAM with LIME in several ways, and test whether any beats both.

    Args:
        classifier: the model with its preprocessing and class names.
        images: the images to explain.
        num_samples: perturbed images of lime.
        segmentation: `slic`, `quickshift`, `felzenszwalb`, or `none` for whatever lime does by itself.
        segmentation_parameters: in place of the parameters listed in `explainers/segmentation.py`.
        batch_size: perturbed images that the model gets at once.
        target: `predicted`, `intended`, or the index, name or WordNet id of a class.
        layer: layer of Grad-CAM; the last convolutional block if None.
        seed: seed of the samples and the segmentation.

    Returns:
        An iterator that explains as it goes: one Result an image with the maps of both parents and of every hybrid,
        then one for the whole set with paired tests.

    Raises:
        UsageError: an unknown segmentation, parameter, layer or class, or a number that is too small.
        ModelMisbehaves: the model raises, or returns what is no batch of logits.
    """
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation

    settings = LimeSettings(num_samples=num_samples, top_labels=1, batch_size=batch_size)
    cut = choose_segmentation(segmentation, seed, segmentation_parameters)
    asked = check_asked(classifier, images, layer, target, seed)
    params = {
        "num_samples": num_samples,
        "segmentation": {"name": cut.name, **cut.parameters},
        "batch_size": batch_size,
        "target": asked.target,
        "layer": asked.layer,
    }

    def combine_all() -> Iterator[Result]:
        rows: list[pd.DataFrame] = []
        stages: list[Stages] = []
        for image in images.images:
            case = Case("hybrid", classifier.name, f"{images.name}/{image.name}", params)
            result = _combine_one(case, classifier, image, cut, settings, seed)
            rows.append(result["table"].frame)
            stages.append(result.stages)
            yield result
        yield Result(
            case=set_case("hybrid", classifier, images, params),
            fields=_whole_set_fields(pd.concat(rows, ignore_index=True)),
            stages={**set_stages(images, stages), **paired_stage()},
            provenance=set_provenance(classifier, images, LIBRARIES, seed),
        )

    return combine_all()


def _combine_one(
    case: Case,
    classifier: Classifier,
    image: LabelledImage,
    segmentation: Segmentation,
    settings: LimeSettings,
    seed: int,
) -> Result:
    from xai_eval.explainers.lime.probabilities import probabilities

    subject = look(classifier, image, case.params["layer"], case.params["target"])
    cam = cam_maps(subject, case.params["layer"])
    predict = probabilities(classifier)
    parents = _parents(subject, cam.image[0], segmentation, settings, seed, predict)
    maps = _maps(parents)
    margin = half_cell(cam.layer[0].shape, cam.image[0].shape)
    heatmaps = {name: Heatmap(_displayed(each), MAP_TOLERANCE) for name, each in maps.items()}
    rows = [_row(subject, name, each, heatmaps[name], margin, predict) for name, each in maps.items()]
    return Result(
        case=case,
        fields={**subject.fields, **heatmaps, "table": Table(pd.DataFrame(rows), ROW_TOLERANCE)},
        stages={
            **subject.stages,
            Stage(StageKind.SEGMENTS): fingerprint_array(parents.segments),
            Stage(StageKind.SAMPLES): fingerprint_array(parents.neighbourhood.samples.astype(np.uint8)),
            **lime_stages([parents.neighbourhood], [parents.label], parents.weights),
            **{Stage(StageKind.FINAL_MAP, name): fingerprint_array(each.array) for name, each in heatmaps.items()},
            **localisation_stage(),
            **faithfulness_stage(),
        },
        provenance=provenance(classifier, image, LIBRARIES, seed),
    )


def _parents(
    subject: Subject, cam: Map, segmentation: Segmentation, settings: LimeSettings, seed: int, predict: Predict
) -> Parents:
    """Explain by lime what Grad-CAM has explained."""
    from xai_eval.explainers.hybrid import Parents
    from xai_eval.explainers.lime.lime import explain
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    label = subject.target.index
    images = PerturbedImages(predict, settings.batch_size, subject.classifier.device)
    found = explain(subject.view, images, segmentation, settings, labels=[label], seeds=[seed])[0]
    weights = found.surrogates[label].weights
    return Parents(subject.view, cam, found.neighbourhood, weights, label, images, settings, seed)


def _maps(parents: Parents) -> dict[str, Map]:
    """The maps of both parents and all hybrids by name, (H, W) each; their scales differ, only their order counts."""
    from xai_eval.explainers.hybrid import HYBRIDS

    hybrids = {name: combine(parents) for name, combine in HYBRIDS.items()}
    return {"gradcam": parents.cam, "lime": parents.weights[parents.segments], **hybrids}


def _displayed(saliency: Map) -> NDArray[np.float32]:
    """What speaks for the class, in [0, 1]."""
    positive = np.clip(saliency, 0.0, None)
    most = float(positive.max())
    return (positive / most if most > 0.0 else positive).astype(np.float32)


def _row(
    subject: Subject, name: str, saliency: Map, heatmap: Heatmap, margin: tuple[int, int], predict: Predict
) -> dict[str, Any]:
    row = map_row(name, heatmap, subject.mask, margin)
    if subject.mask is not None:
        # By the whole order, in which what speaks against the class comes last.
        row["iou_equal_area"] = iou_at_equal_area(saliency, subject.mask)
    curves = faithfulness(saliency, subject.view, predict, subject.target.index)
    return {
        **row,
        "deletion": curves.deletion,
        "insertion": curves.insertion,
        "insertion_less_deletion": curves.insertion - curves.deletion,
    }


def _whole_set_fields(rows: pd.DataFrame) -> dict[str, Field]:
    measures = [name for name in MEASURES if name in rows]
    means = rows.groupby("method", sort=False)[measures].mean().reset_index()
    tests = _tests(rows, measures)
    frame = pd.DataFrame(
        [
            {"comparison": f"{name} against {parent}, {measure}", "difference": test.mean, **_test_columns(test)}
            for (name, parent, measure), test in tests.items()
        ]
    )
    return {
        "conclusion": Label(_conclusion(tests)),
        "means": Table(means, dict.fromkeys(measures, MEAN_TOLERANCE)),
        "tests": Table(frame, TEST_TOLERANCE),
    }


def _tests(rows: pd.DataFrame, measures: list[str]) -> dict[tuple[str, str, str], PairedTest]:
    """Every hybrid against each parent by each measure; a positive difference is better."""
    values = {str(name): own.reset_index(drop=True) for name, own in rows.groupby("method", sort=False)}
    return {
        (name, parent, measure): paired_test(
            (MEASURES[measure] * own[measure]).tolist(), (MEASURES[measure] * values[parent][measure]).tolist()
        )
        for name, own in values.items()
        if name not in PARENTS
        for parent in PARENTS
        for measure in measures
    }


def _test_columns(test: PairedTest) -> dict[str, Any]:
    return {
        "low": test.low,
        "high": test.high,
        "p": test.p,
        "wins": test.wins,
        "losses": test.losses,
        "beats": test.beats,
    }


def _conclusion(tests: Mapping[tuple[str, str, str], PairedTest]) -> str:
    """Name the hybrids that beat both parents by every decisive measure that is known."""
    decisive = {key: test.beats for key, test in tests.items() if key[2] in DECISIVE}
    names = dict.fromkeys(name for name, _, _ in decisive)
    best = [name for name in names if all(beats for key, beats in decisive.items() if key[0] == name)]
    by = f"by {' and '.join(dict.fromkeys(key[2] for key in decisive))} (Wilcoxon, p < {SIGNIFICANT})"
    if not best:
        return f"no hybrid beats both Grad-CAM and LIME {by}"
    verb = "beats" if len(best) == 1 else "beat"
    return f"{' and '.join(best)} {verb} both Grad-CAM and LIME {by}"
