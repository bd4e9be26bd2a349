"""Computes the results of the task `comparison`: how far Grad-CAM and LIME agree on one class of an image."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.inputs.steps import Steps, Turn
from xai_eval.metrics import focus as sentences
from xai_eval.metrics.bootstrap import mean_interval
from xai_eval.metrics.comparison import (
    EQUAL_AREA,
    CamExplanation,
    LimeWeights,
    MapAgreement,
    MaskPolicy,
    area_sweep,
    compare,
)
from xai_eval.metrics.focus import OTHER_PLACE, SAME_PLACE, concept_shares, focus, insight
from xai_eval.metrics.localisation import iou_at_equal_area
from xai_eval.result.fields import Curve, Field, Heatmap, Label, Mask, Measures, Score, Segments, Table
from xai_eval.result.fields.possible import Possible
from xai_eval.result.fields.table import Cells
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.result import Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.cam_results import MAP_TOLERANCE
from xai_eval.tasks.image.explanation_setup import ExplanationSetup
from xai_eval.tasks.image.joined_stages import Stages
from xai_eval.tasks.image.per_image import PerImage, SumUp
from xai_eval.tasks.image.subject import Subject, cam_maps
from xai_eval.tasks.image.whole_set import image_set_case, image_set_provenance, image_set_stages
from xai_eval.tasks.lime.lime_results import LIBRARIES
from xai_eval.tasks.lime.lime_runs import LimeDrawn, LimePredicted, LimeRun, LimeSteps
from xai_eval.tasks.ties.bounds import exactly, hottest_bounds, possible_iou, possible_share, rounding_on
from xai_eval.tasks.ties.possible_agreement import PossibleAgreement, possible_agreement, possible_sweep
from xai_eval.tasks.trials.trials import cam_trials, lime_trials, model_trials

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import Segmentation
    from xai_eval.inputs.images.labelled import LabelledImage

AREAS = np.round(np.arange(0.05, 0.51, 0.05), 2)
# The masks of LIME consist of whole superpixels. One superpixel more or less changes these measures by some hundredths.
MEASURE_TOLERANCE = {
    "iou": 0.05,
    "dice": 0.05,
    "iou_beyond_chance": 0.05,
    "rank_correlation": 0.05,
    "centre_distance": 0.02,
}
MASK_IOU = 0.9
CURVE_TOLERANCE = 0.05
METHODS, SWEEP = "methods", "iou_by_area"


@dataclass(frozen=True, eq=False)
class _Answers:
    """What is known of an image when the model is not needed any more.

    Attributes:
        subject: the image and what the model predicts.
        cam: the explanation by Grad-CAM.
        cam_seconds: how long it took, in seconds.
        predicted: the predictions for the samples of LIME.
        fields: fields that need the model.
        stages: stages up to the explained class, and the state of the model after all of them.
        provenance: how the result was computed.
        rounding: how far apart two values may be on the device of the model and still be tied.
    """

    subject: Subject
    cam: CamExplanation
    cam_seconds: float
    predicted: LimePredicted
    fields: Mapping[str, Field]
    stages: Stages
    provenance: Provenance
    rounding: float


@dataclass(frozen=True, eq=False)
class _Compared:
    """The explanations of one image by Grad-CAM and LIME, and how far they agree."""

    answers: _Answers
    lime: LimeWeights
    run: LimeRun
    found: MapAgreement
    possible: PossibleAgreement

    @property
    def subject(self) -> Subject:
        """The image and what the model predicts."""
        return self.answers.subject

    @property
    def cam(self) -> CamExplanation:
        """The explanation by Grad-CAM."""
        return self.answers.cam

    @property
    def concepts(self) -> dict[str, NDArray[np.bool_]]:
        """Masks of all known concepts on the view, bool (H, W) by name."""
        preprocess = self.subject.classifier.preprocess
        return {name: preprocess.mask(mask) for name, mask in sorted(self.subject.image.concepts.items())}

    @property
    def rounding(self) -> float:
        """How far apart two values may be on the device of the model and still be tied."""
        return self.answers.rounding

    @cached_property
    def insight(self) -> str:
        """A sentence on what the comparison shows."""
        return self._insight(self.found.iou_beyond_chance, self._object_ious)

    @cached_property
    def possible_insights(self) -> tuple[str, ...]:
        """The sentences that rounding could have given."""
        leads = [self._object_ious]
        if self.subject.mask is not None:
            cam, lime = self._possible_object_ious(self.subject.mask)
            leads += [(cam.low, lime.high), (cam.high, lime.low)]
        possible = self.possible.measures["iou_beyond_chance"]
        values = self.found.iou_beyond_chance, possible.low, possible.high
        # A range may hold both of the thresholds that the sentence depends on.
        between = [each for each in (SAME_PLACE, OTHER_PLACE, OTHER_PLACE + 1e-9) if values[1] <= each <= values[2]]
        told = [self._insight(value, ious) for value in (*values, *between) for ious in leads]
        return tuple(each for each in dict.fromkeys(told) if each != self.insight)

    @cached_property
    def _object_ious(self) -> tuple[float, float] | None:
        mask = self.subject.mask
        if mask is None:
            return None
        painted = self.lime.weights[self.lime.segments]
        return iou_at_equal_area(self.cam.saliency, mask), iou_at_equal_area(painted, mask)

    def _possible_object_ious(self, mask: NDArray[np.bool_]) -> tuple[Possible, Possible]:
        area, painted = int(np.count_nonzero(mask)), self.lime.weights[self.lime.segments]
        found = [hottest_bounds(each, area, area, self.rounding) for each in (self.cam.saliency, painted)]
        first, second = (possible_iou(each, exactly(mask)) for each in found)
        return first, second

    def _insight(self, iou_beyond_chance: float, object_ious: tuple[float, float] | None) -> str:
        return insight(iou_beyond_chance, self.run.r2(self.run.label), object_ious, self.subject.target.audit)

    @cached_property
    def sweep(self) -> Mapping[str, NDArray[np.float64]]:
        """IoU of the masks, and the IoU expected by chance, for every area in `AREAS`."""
        return area_sweep(self.cam, self.lime, AREAS)

    @cached_property
    def possible_sweep(self) -> Mapping[str, tuple[Possible, ...]]:
        """What rounding could have put in place of each value of `sweep`."""
        return possible_sweep(self.cam, self.lime, AREAS, self.rounding)

    @property
    def measures(self) -> dict[str, float]:
        """The measures of the comparison by name."""
        return {name: float(getattr(self.found, name)) for name in MEASURE_TOLERANCE}


@dataclass(frozen=True, eq=False)
class ComparisonRequest:
    """The checked options of one run of `comparison`.

    Attributes:
        setup: model, images, class, seed, and the layer of Grad-CAM.
        settings: arguments of lime.
        segmentation: the method that cuts images into superpixels.
        policy: the rule that turns maps into masks.
    """

    setup: ExplanationSetup
    settings: LimeSettings
    segmentation: Segmentation
    policy: MaskPolicy

    @cached_property
    def trials(self) -> dict[Stage, Fingerprint]:
        """Steps tried on what never changes, once per run."""
        return {**model_trials(), **cam_trials(["gradcam"]), **lime_trials()}

    @cached_property
    def steps(self) -> LimeSteps:
        """The steps of lime on one image."""
        return LimeSteps(self.settings, self.segmentation, [self.setup.seed])

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that identify the cases, as JSON values."""
        policy = vars(self.policy) if self.policy.name == EQUAL_AREA else {"name": self.policy.name}
        return {
            "policy": policy,
            "num_samples": self.settings.num_samples,
            "segmentation": self.segmentation.describe(),
            "batch_size": self.settings.batch_size,
        }


@dataclass(frozen=True, eq=False)
class _Noted:
    """What the result of the whole set needs of the result of one image.

    Attributes:
        image: name of the image.
        focus: what the mask of each method covers, in words, by method.
        insight: a sentence on what the comparison shows.
        measures: the measures of the comparison by name.
        sweep: IoU of the masks, and the IoU expected by chance, for every area in `AREAS`.
        possible_insights: the sentences that rounding could have given.
        possible_measures: what rounding could have put in place of each measure that jumps.
        possible_sweep: the same for each value of `sweep`.
        study_iou: IoU of its class in the study's table; None if that has none, or if the image has no WordNet id.
        stages: its stages.
    """

    image: str
    focus: Mapping[str, str]
    insight: str
    measures: Mapping[str, float]
    sweep: Mapping[str, NDArray[np.floating[Any]]]
    possible_insights: tuple[str, ...]
    possible_measures: Mapping[str, Possible]
    possible_sweep: Mapping[str, tuple[Possible, ...]]
    study_iou: float | None
    stages: Stages


def comparison_results(request: ComparisonRequest) -> PerImage:
    """Compare both explanations image by image, as an iterator reaches it, and then over the whole set."""
    whole = SumUp(image_set_case("comparison", request.setup, request.params), _noted, partial(_whole_set, request))
    steps = Steps(partial(_draw, request), partial(_ask, request), partial(_finish, request))
    return PerImage("comparison", request.setup, lambda _image: request.params, steps.alone, whole, apart=steps)


def _noted(image: LabelledImage, result: Result) -> _Noted:
    methods = result[METHODS].frame
    return _Noted(
        image=image.name,
        focus=dict(zip(methods["method"], methods["focus"], strict=True)),
        insight=result["insight"].text,
        measures={name: result[name].value for name in MEASURE_TOLERANCE},
        sweep=result[SWEEP].lines,
        possible_insights=result["insight"].possible,
        possible_measures={
            name: result[name].possible for name in MEASURE_TOLERANCE if result[name].possible is not None
        },
        possible_sweep=result[SWEEP].possible,
        study_iou=_study_iou(image, result["intended"].text),
        stages=result.stages,
    )


def _study_iou(image: LabelledImage, intended: str | None) -> float | None:
    """Return the IoU of a class in the study's table; None if it has none, or if the image has no WordNet id.

    A procedural scene may show a kite too, but only images of ImageNet are compared with the study.
    """
    from xai_eval.tasks.studies.study_table import study_ious

    of_imagenet = image.intended is not None and image.intended.wnid is not None
    return study_ious().get(intended or "") if of_imagenet else None


def _whole_set(request: ComparisonRequest, every: Sequence[_Noted]) -> Result:
    setup = request.setup
    return Result(
        case=image_set_case("comparison", setup, request.params),
        fields=_whole_set_fields(every),
        stages=image_set_stages(setup.images, [each.stages for each in every]),
        provenance=image_set_provenance(setup, LIBRARIES),
    )


def _draw(request: ComparisonRequest, image: LabelledImage) -> LimeDrawn:
    """Cut an image into superpixels and draw the samples. The model is not needed."""
    return request.steps.draw(request.setup.view(image))


def _ask(request: ComparisonRequest, image: LabelledImage, turn: Turn[LimeDrawn]) -> _Answers:
    """Do everything that needs the model."""
    # Tried first, so that a broken library is not taken for a broken model.
    _ = request.trials
    setup = request.setup
    subject = setup.run_model(image)
    started = time.perf_counter()
    cam = CamExplanation(subject.target.index, cam_maps(subject).image[0])
    seconds = time.perf_counter() - started
    found = request.steps.predict(subject, turn.prepared())
    rounding = rounding_on(subject.classifier.device.type)
    known = setup.provenance(image, LIBRARIES)
    return _Answers(subject, cam, seconds, found, subject.fields, subject.stages_with_views, known, rounding)


def _finish(request: ComparisonRequest, _image: LabelledImage, answers: _Answers) -> Result:
    """Fit the surrogates, and compare. The model is not needed."""
    cam, run = answers.cam, request.steps.fit(answers.predicted, answers.subject.target.index)
    lime = LimeWeights(run.label, run.stability.mean, run.segments)
    possible = possible_agreement(cam, lime, request.policy, answers.rounding)
    return _result(request, _Compared(answers, lime, run, compare(cam, lime, request.policy), possible))


def _result(request: ComparisonRequest, each: _Compared) -> Result:
    answers, found = each.answers, each.found
    fields: dict[str, Field] = {
        **answers.fields,
        "gradcam": Heatmap(each.cam.saliency, MAP_TOLERANCE),
        "lime": Heatmap(each.lime.saliency, MAP_TOLERANCE),
        "segments": Segments(each.lime.segments),
        "gradcam_focus": Mask(found.cam_mask, MASK_IOU, each.possible.cam_mask.undecided),
        "lime_focus": Mask(found.lime_mask, MASK_IOU, each.possible.lime_mask.undecided),
        "insight": Label(each.insight, possible=each.possible_insights),
        "thresholds": _thresholds(),
        **{
            name: Score(value, MEASURE_TOLERANCE[name], each.possible.measures.get(name))
            for name, value in each.measures.items()
        },
        METHODS: _methods(each),
        **_concept_table(each),
        SWEEP: Curve(AREAS, each.sweep, "share of the image", "IoU", CURVE_TOLERANCE, each.possible_sweep),
    }
    stages = {
        **answers.stages,
        **_concept_stage(each),
        **each.run.stages,
        Stage(StageKind.FINAL_MAP, "gradcam"): fingerprint_array(each.cam.saliency),
        Stage(StageKind.FINAL_MAP, "lime"): fingerprint_array(each.lime.saliency),
        **request.trials,
    }
    case = request.setup.case("comparison", each.subject.image, request.params)
    return Result(case, fields, stages, answers.provenance)


def _thresholds() -> Measures:
    """Return the numbers by which the sentences of a comparison are chosen."""
    values = {
        "least share of a named concept": sentences.LEAST_SHARE,
        "same place from": sentences.SAME_PLACE,
        "other place up to": sentences.OTHER_PLACE,
        "least local R2": sentences.LEAST_R2,
        "clear lead from": sentences.CLEAR_LEAD,
    }
    return Measures.of(values, {})


def _concept_stage(each: _Compared) -> dict[Stage, Fingerprint]:
    masks = list(each.concepts.values())
    if not masks:
        return {}
    return {Stage(StageKind.CONCEPT_MASKS): fingerprint_array(np.stack(masks).astype(np.uint8))}


def _methods(each: _Compared) -> Table:
    rows = [
        ("gradcam", each.found.cam_mask, each.answers.cam_seconds),
        ("lime", each.found.lime_mask, each.run.seconds),
    ]
    frame = pd.DataFrame(
        {
            "method": [name for name, _, _ in rows],
            "area": [float(mask.mean()) for _, mask, _ in rows],
            "focus": [focus(mask, each.concepts) for _, mask, _ in rows],
            "seconds": [seconds for _, _, seconds in rows],
        }
    )
    bounds = each.possible.cam_mask, each.possible.lime_mask
    areas = tuple(Possible(float(mask.surely.mean()), float(mask.maybe.mean())) for mask in bounds)
    return Table(frame, {"area": 0.05}, unjudged=("focus", "seconds"), possible={"area": areas})


def _concept_table(each: _Compared) -> dict[str, Field]:
    """Return a table with the shares of both masks that each known concept covers; nothing if none is known."""
    concepts = each.concepts
    if not concepts:
        return {}
    cam, lime = (concept_shares(mask, concepts) for mask in (each.found.cam_mask, each.found.lime_mask))
    frame = pd.DataFrame({"concept": list(concepts), "gradcam": list(cam.values()), "lime": list(lime.values())})
    bounds = {"gradcam": each.possible.cam_mask, "lime": each.possible.lime_mask}
    possible = {name: tuple(possible_share(mask, seen) for seen in concepts.values()) for name, mask in bounds.items()}
    return {"concepts": Table(frame, dict.fromkeys(bounds, 0.05), possible=possible)}


def _whole_set_fields(every: Sequence[_Noted]) -> dict[str, Field]:
    sweeps = [each.sweep for each in every]
    means = {name: np.mean([sweep[name] for sweep in sweeps], axis=0) for name in sweeps[0]}
    ranges = {name: [each.possible_sweep[name] for each in every] for name in means}
    possible = {name: tuple(map(_mean_range, zip(*each, strict=True))) for name, each in ranges.items()}
    return {
        "study": _study_table(every),
        "measures": _measure_table(every),
        SWEEP: Curve(AREAS, means, "share of the image", "mean IoU", CURVE_TOLERANCE, possible),
    }


def _study_table(every: Sequence[_Noted]) -> Table:
    """Return the table of the study, with the published IoU next to ours if the study has the class."""
    rows = [
        {
            "image": each.image,
            "gradcam_focus": each.focus["gradcam"],
            "lime_focus": each.focus["lime"],
            "iou": each.measures["iou"],
            "insight": each.insight,
        }
        for each in every
    ]
    frame = pd.DataFrame(rows)
    published = [each.study_iou for each in every]
    if any(value is not None for value in published):
        frame["study_iou"] = np.array(published, dtype=np.float64)
    possible: dict[str, Cells] = {
        "iou": tuple(each.possible_measures["iou"] for each in every),
        "insight": tuple(each.possible_insights for each in every),
    }
    tolerance = {"iou": MEASURE_TOLERANCE["iou"]}
    return Table(frame, tolerance, unjudged=("gradcam_focus", "lime_focus"), possible=possible)


def _measure_table(every: Sequence[_Noted]) -> Table:
    """Return the mean of every measure with its 95 % bootstrap interval over the images."""
    rows = []
    ranges: list[Mapping[str, Possible]] = []
    for name in MEASURE_TOLERANCE:
        interval = mean_interval([each.measures[name] for each in every])
        rows.append({"measure": name, **vars(interval)})
        ranges.append(_possible_intervals(name, every))
    published = [each.study_iou for each in every if each.study_iou is not None]
    if published:
        rows.append({"measure": "iou in the study's table", **vars(mean_interval(published))})
        ranges.append({})
    columns = ("mean", "low", "high")
    possible: dict[str, Cells] = {column: tuple(each.get(column) for each in ranges) for column in columns}
    return Table(pd.DataFrame(rows), dict.fromkeys(columns, 0.05), possible=possible)


def _possible_intervals(name: str, every: Sequence[_Noted]) -> Mapping[str, Possible]:
    """Return what the mean of a measure and its interval could have been: both grow with each of the values."""
    ranges = [each.possible_measures.get(name) for each in every]
    if any(each is None for each in ranges):
        return {}
    ends = [mean_interval([each[side] for each in ranges if each is not None]) for side in (0, 1)]
    return {column: Possible(getattr(ends[0], column), getattr(ends[1], column)) for column in ("mean", "low", "high")}


def _mean_range(ranges: tuple[Possible, ...]) -> Possible:
    return Possible(float(np.mean([each.low for each in ranges])), float(np.mean([each.high for each in ranges])))
