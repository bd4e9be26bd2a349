"""Computes the results of the task `hybrid`: explanations that combine Grad-CAM and LIME, compared with both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.faithfulness import Predict
from xai_eval.metrics.localisation import half_cell
from xai_eval.metrics.paired import SIGNIFICANT, PairedTest, paired_test
from xai_eval.result.fields import Field, Heatmap, Label, Measures, Table
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.cam_results import MAP_TOLERANCE
from xai_eval.tasks.image.explanation_setup import ExplanationSetup
from xai_eval.tasks.image.joined_stages import Stages
from xai_eval.tasks.image.map_rows import SCORE_TOLERANCE, displayed, scored_row
from xai_eval.tasks.image.per_image import PerImage, SumUp
from xai_eval.tasks.image.subject import Subject, cam_maps
from xai_eval.tasks.image.whole_set import image_set_case, image_set_provenance, image_set_stages
from xai_eval.tasks.lime.lime_results import LIBRARIES
from xai_eval.tasks.lime.lime_runs import lime_stages

if TYPE_CHECKING:
    from xai_eval.explainers.hybrid_maps import HybridInputs
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import Segmentation
    from xai_eval.inputs.images.labelled import LabelledImage

# The two methods that every hybrid combines.
COMBINED = ("gradcam", "lime")
# The tested measures: 1 if higher is better, -1 if lower is better.
MEASURES = {"iou_equal_area": 1, "deletion": -1, "insertion": 1, "insertion_less_deletion": 1}
# A hybrid must beat Grad-CAM and LIME by both: finding the object, and finding the pixels that matter to the model.
DECISIVE = ("iou_equal_area", "insertion_less_deletion")
MEAN_TOLERANCE = 0.03
# The tolerance of p is wide, because with few images the p-value jumps when one difference changes its sign.
TEST_TOLERANCE = {"difference": 0.03, "low": 0.05, "high": 0.05, "p": 0.2}

Map = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class HybridRequest:
    """The checked options of one run of `hybrid`.

    Attributes:
        setup: model, images, class, seed, and the layer of Grad-CAM.
        settings: arguments of lime.
        segmentation: the method that cuts images into superpixels.
    """

    setup: ExplanationSetup
    settings: LimeSettings
    segmentation: Segmentation

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that identify the cases, as JSON values."""
        return {
            "num_samples": self.settings.num_samples,
            "segmentation": self.segmentation.describe(),
            "batch_size": self.settings.batch_size,
        }


@dataclass(frozen=True, eq=False)
class _Noted:
    """What the result of the whole set needs of the result of one image: its table and its stages."""

    rows: pd.DataFrame
    stages: Stages


def hybrid_results(request: HybridRequest) -> PerImage:
    """Combine both explanations image by image, as an iterator reaches it, and then test over the whole set."""
    whole = SumUp(
        image_set_case("hybrid", request.setup, request.params),
        lambda _image, result: _Noted(result["table"].frame, result.stages),
        partial(_whole_set, request),
    )
    return PerImage("hybrid", request.setup, lambda _image: request.params, partial(_combine_one, request), whole)


def _whole_set(request: HybridRequest, every: Sequence[_Noted]) -> Result:
    setup = request.setup
    return Result(
        case=image_set_case("hybrid", setup, request.params),
        fields=_whole_set_fields(pd.concat([each.rows for each in every], ignore_index=True)),
        stages=image_set_stages(setup.images, [each.stages for each in every]),
        provenance=image_set_provenance(setup, LIBRARIES),
    )


def _combine_one(request: HybridRequest, image: LabelledImage) -> Result:
    setup, subject = request.setup, request.setup.run_model(image)
    cam = cam_maps(subject)
    predict = subject.predict
    inputs = _inputs(request, subject, cam.image[0], predict)
    maps = _maps(inputs)
    margin = half_cell(cam.layer[0].shape, cam.image[0].shape)
    heatmaps = {name: Heatmap(displayed(each), MAP_TOLERANCE) for name, each in maps.items()}
    rows = [scored_row(name, each, heatmaps[name], subject, margin, predict) for name, each in maps.items()]
    return Result(
        case=setup.case("hybrid", image, request.params),
        fields={**subject.fields, **heatmaps, "table": Table(pd.DataFrame(rows), SCORE_TOLERANCE)},
        stages={
            **subject.stages,
            Stage(StageKind.SEGMENTS): fingerprint_array(inputs.segments),
            Stage(StageKind.SAMPLES): fingerprint_array(inputs.neighbourhood.samples.astype(np.uint8)),
            **lime_stages([inputs.neighbourhood], [inputs.label], inputs.weights),
            **{Stage(StageKind.FINAL_MAP, name): fingerprint_array(each.array) for name, each in heatmaps.items()},
        },
        provenance=setup.provenance(image, LIBRARIES),
    )


def _inputs(request: HybridRequest, subject: Subject, cam: Map, predict: Predict) -> HybridInputs:
    """Explain the class that Grad-CAM explained by lime as well, and put both together."""
    from xai_eval.explainers.hybrid_maps import HybridInputs
    from xai_eval.explainers.lime.lime import explain_by_lime
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    label, settings, seed = subject.target.index, request.settings, request.setup.seed
    images = PerturbedImages(predict, settings.batch_size, subject.classifier.device)
    found = explain_by_lime(subject.view, images, request.segmentation, settings, labels=[label], seeds=[seed])[0]
    weights = found.surrogates[label].weights
    return HybridInputs(subject.view, cam, found.neighbourhood, weights, label, images, settings, seed)


def _maps(inputs: HybridInputs) -> dict[str, Map]:
    """Return the maps of Grad-CAM, of LIME and of all hybrids, (H, W), by name. Only the order of values counts."""
    from xai_eval.explainers.hybrid_maps import HYBRIDS

    hybrids = {name: combine(inputs) for name, combine in HYBRIDS.items()}
    return {"gradcam": inputs.cam, "lime": inputs.weights[inputs.segments], **hybrids}


def _whole_set_fields(rows: pd.DataFrame) -> dict[str, Field]:
    measures = [name for name in MEASURES if name in rows]
    means = rows.groupby("method", sort=False)[measures].mean().reset_index()
    tests = _tests(rows, measures)
    frame = pd.DataFrame(
        [
            {"comparison": f"{name} against {other}, {measure}", "difference": test.mean, **_test_columns(test)}
            for (name, other, measure), test in tests.items()
        ]
    )
    return {
        "conclusion": Label(_conclusion(tests)),
        "thresholds": Measures.of({"significant below": SIGNIFICANT}, {}),
        "means": Table(means, dict.fromkeys(measures, MEAN_TOLERANCE)),
        "tests": Table(frame, TEST_TOLERANCE),
    }


def _tests(rows: pd.DataFrame, measures: list[str]) -> dict[tuple[str, str, str], PairedTest]:
    """Test every hybrid against Grad-CAM and LIME by each measure. With a positive difference the hybrid is better."""
    values = {str(name): own.reset_index(drop=True) for name, own in rows.groupby("method", sort=False)}
    return {
        (name, other, measure): paired_test(
            (MEASURES[measure] * own[measure]).tolist(), (MEASURES[measure] * values[other][measure]).tolist()
        )
        for name, own in values.items()
        if name not in COMBINED
        for other in COMBINED
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
    """Name the hybrids that beat Grad-CAM and LIME by all decisive measures that could be computed."""
    decisive = {key: test.beats for key, test in tests.items() if key[2] in DECISIVE}
    names = dict.fromkeys(name for name, _, _ in decisive)
    best = [name for name in names if all(beats for key, beats in decisive.items() if key[0] == name)]
    by = f"by {' and '.join(dict.fromkeys(key[2] for key in decisive))} (Wilcoxon, p < {SIGNIFICANT})"
    if not best:
        return f"no hybrid beats both Grad-CAM and LIME {by}"
    verb = "beats" if len(best) == 1 else "beat"
    return f"{' and '.join(best)} {verb} both Grad-CAM and LIME {by}"
