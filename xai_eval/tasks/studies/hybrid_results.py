"""Computes the results of the task `hybrid`: explanations that combine Grad-CAM and LIME, compared with both."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.inputs.steps import Steps, Turn
from xai_eval.metrics.localisation import half_cell
from xai_eval.metrics.paired import SIGNIFICANT, PairedTest, paired_test
from xai_eval.result.fields import Field, Heatmap, Label, Measures, Table
from xai_eval.result.fields.possible import Possible
from xai_eval.result.fields.table import Cell, Cells
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.result import Provenance, Result
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
from xai_eval.tasks.ties.bounds import rounding_on
from xai_eval.tasks.ties.possible_curves import possible_curves
from xai_eval.tasks.ties.possible_rows import by_column, possible_row
from xai_eval.tasks.trials.trials import cam_trials, hybrid_trials, lime_trials, model_trials

if TYPE_CHECKING:
    from xai_eval.explainers.hybrid_maps import HybridInputs
    from xai_eval.explainers.lime.lime import Drawn, LimeSettings
    from xai_eval.explainers.lime.segmentation import Segmentation, Segmenter
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

# Linear surrogates amplify rounding: with TF32 a pixel of a hybrid changed by up to 0.021 where activations changed by
# 1e-3. On a CPU this allows nothing beyond the usual tolerance.
_AMPLIFIED = 20.0
# The hybrid that has LIME explain the image again, with other numbers of superpixels.
_SCALES = "several_scales"

Map = NDArray[np.floating[Any]]


# By hybrid, the method that it combines, and measure.
Tests = Mapping[tuple[str, str, str], PairedTest]


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

    @cached_property
    def trials(self) -> dict[Stage, Fingerprint]:
        """Steps tried on what never changes, once per run."""
        return {**model_trials(), **cam_trials(["gradcam"]), **lime_trials(), **hybrid_trials()}

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

    table: Table
    stages: Stages


@dataclass(frozen=True, eq=False)
class _Drawn:
    """An image as the model sees it, uint8 (H, W, 3), and what lime asks the model about it."""

    view: NDArray[np.uint8]
    drawn: Drawn


@dataclass(frozen=True, eq=False)
class _Answers:
    """What is known of an image when the model is not needed any more.

    Attributes:
        inputs: what the maps were made of.
        measured: the maps, by each method.
        fields: fields that need the model.
        stages: stages up to the explained class, and the state of the model after all of them.
        provenance: how the result was computed.
    """

    inputs: HybridInputs
    measured: Sequence[_Measured]
    fields: Mapping[str, Field]
    stages: Stages
    provenance: Provenance


def hybrid_results(request: HybridRequest) -> PerImage:
    """Combine both explanations image by image, as an iterator reaches it, and then test over the whole set."""
    whole = SumUp(
        image_set_case("hybrid", request.setup, request.params),
        lambda _image, result: _Noted(result["table"], result.stages),
        partial(_whole_set, request),
    )
    steps = Steps(partial(_draw, request), partial(_ask, request), partial(_finish, request))
    return PerImage("hybrid", request.setup, lambda _image: request.params, steps.alone, whole, apart=steps)


def _whole_set(request: HybridRequest, every: Sequence[_Noted]) -> Result:
    setup = request.setup
    tables = [each.table for each in every]
    return Result(
        case=image_set_case("hybrid", setup, request.params),
        fields=_whole_set_fields(_values(tables), [_values(tables, end) for end in (0, 1)]),
        stages=image_set_stages(setup.images, [each.stages for each in every]),
        provenance=image_set_provenance(setup, LIBRARIES),
    )


def _draw(request: HybridRequest, image: LabelledImage) -> _Drawn:
    """Cut an image into the superpixels of lime, and draw the samples. The model is not needed."""
    from xai_eval.explainers.lime.lime import draw

    view = request.setup.view(image)
    (drawn,) = draw(view, request.segmentation, request.settings, [request.setup.seed])
    return _Drawn(view, drawn)


def _ask(request: HybridRequest, image: LabelledImage, turn: Turn[_Drawn]) -> _Answers:
    """Do what needs the model: it predicts the samples, and measures the maps that are made of these predictions."""
    # Tried first, so that a broken library is not taken for a broken model.
    _ = request.trials
    setup, own = request.setup, turn.prepared()
    subject = setup.run_model(image, own.view)
    cam = cam_maps(subject)
    inputs = _inputs(request, subject, cam.image[0], own, turn)
    margin = half_cell(cam.layer[0].shape, cam.image[0].shape)
    measuring = _Measuring(inputs, subject, margin, rounding_on(setup.classifier.device.type))
    measured = turn.parts(measuring.steps, measuring.names)
    return _Answers(inputs, measured, subject.fields, subject.stages_with_views, setup.provenance(image, LIBRARIES))


def _inputs(request: HybridRequest, subject: Subject, cam: Map, own: _Drawn, turn: Turn[Any]) -> HybridInputs:
    """Explain the class that Grad-CAM explained by lime, with each segmentation that a hybrid needs."""
    from xai_eval.explainers.hybrid_maps import HybridInputs, Refined, scales
    from xai_eval.explainers.lime.lime import draw, predicted_beside
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    settings, seed = request.settings, request.setup.seed
    images = PerturbedImages(subject.predict, settings.batch_size, subject.classifier.device)

    def drawn(cut: Segmenter) -> Drawn:
        (found,) = draw(own.view, cut, settings, [seed])
        return found

    cuts: list[Segmenter] = [*scales(seed), Refined(own.drawn.segments, cam)]
    draws: list[Callable[[], Drawn]] = [lambda: own.drawn, *(partial(drawn, cut) for cut in cuts)]
    first, *several, refined = predicted_beside(own.view, images, draws, turn)
    return HybridInputs(own.view, cam, first, subject.target.index, settings, several, refined)


def _finish(request: HybridRequest, image: LabelledImage, answers: _Answers) -> Result:
    """Put the result together. The model is not needed."""
    inputs, measured = answers.inputs, answers.measured
    heatmaps = {each.row["method"]: each.heatmap for each in measured}
    possible = by_column([each.possible for each in measured])
    table = Table(pd.DataFrame([each.row for each in measured]), SCORE_TOLERANCE, possible=possible)
    return Result(
        case=request.setup.case("hybrid", image, request.params),
        fields={**answers.fields, **heatmaps, "table": table},
        stages={
            **answers.stages,
            Stage(StageKind.SEGMENTS): fingerprint_array(inputs.segments),
            Stage(StageKind.SAMPLES): fingerprint_array(inputs.neighbourhood.samples.astype(np.uint8)),
            **_stages_of_scales(inputs),
            **lime_stages([inputs.neighbourhood], [inputs.label], inputs.weights),
            **{Stage(StageKind.FINAL_MAP, name): fingerprint_array(each.array) for name, each in heatmaps.items()},
            **request.trials,
        },
        provenance=answers.provenance,
    )


def _stages_of_scales(inputs: HybridInputs) -> Stages:
    """Fingerprint what the map over several scales is made of.

    The superpixels that are cut finer where Grad-CAM is hot have no stage: rounding of its map may move their border.
    """
    samples = np.concatenate([each.samples.reshape(-1) for each in inputs.scales]).astype(np.uint8)
    predicted = np.stack([each.probabilities[:, [inputs.label]] for each in inputs.scales])
    return {
        Stage(StageKind.SEGMENTS, _SCALES): fingerprint_array(np.stack([each.segments for each in inputs.scales])),
        Stage(StageKind.SAMPLES, _SCALES): fingerprint_array(samples),
        Stage(StageKind.PERTURBED_PREDICTIONS, _SCALES): fingerprint_array(predicted),
    }


@dataclass(frozen=True, eq=False)
class _Mapped:
    """A map, (H, W), of which only the order of values counts, and the same as it is displayed."""

    saliency: Map
    heatmap: Heatmap


@dataclass(frozen=True, eq=False)
class _Measured:
    """A displayed map, its row in the table, and what could have stood in that row."""

    heatmap: Heatmap
    row: Mapping[str, Any]
    possible: Mapping[str, Possible]


@dataclass(frozen=True, eq=False)
class _Measuring:
    """The steps of the work on the map of one method: of Grad-CAM, of LIME, and of each hybrid.

    Attributes:
        inputs: what the maps are made of.
        subject: the image and what the model predicts.
        margin: rows and columns by which the hottest pixel may miss the object.
        rounding: how far apart two values may be and still be tied.
    """

    inputs: HybridInputs
    subject: Subject
    margin: tuple[int, int]
    rounding: float

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the methods."""
        from xai_eval.explainers.hybrid_maps import HYBRIDS

        return *COMBINED, *HYBRIDS

    @property
    def steps(self) -> Steps[str, _Mapped, tuple[_Mapped, _Measured], _Measured]:
        """To make a map and to find its ties needs predictions only, to measure it needs the model."""
        return Steps(self._made, self._scored, self._with_ties)

    def _made(self, name: str) -> _Mapped:
        from xai_eval.explainers.hybrid_maps import HYBRIDS

        inputs = self.inputs
        known = {"gradcam": lambda _: inputs.cam, "lime": lambda _: inputs.weights[inputs.segments]}
        saliency = {**known, **HYBRIDS}[name](inputs)
        tolerance = dataclasses.replace(MAP_TOLERANCE, largest=max(MAP_TOLERANCE.largest, _AMPLIFIED * self.rounding))
        return _Mapped(saliency, Heatmap(displayed(saliency), tolerance))

    def _scored(self, name: str, turn: Turn[_Mapped]) -> tuple[_Mapped, _Measured]:
        from xai_eval.inputs.models.later_checks import checked_at_the_end

        subject, made = self.subject, turn.prepared()
        given = made.saliency, subject.canvas, subject.predict, subject.target.index, self.rounding
        with checked_at_the_end():
            row = scored_row(name, made.saliency, made.heatmap, subject, self.margin, subject.predict)
            return made, _Measured(made.heatmap, row, possible_curves(row, *given))

    def _with_ties(self, _name: str, scored: tuple[_Mapped, _Measured]) -> _Measured:
        made, found = scored
        ties = possible_row(made.heatmap, self.subject.mask, self.margin, self.rounding, made.saliency)
        return dataclasses.replace(found, possible={**ties, **found.possible})


def _values(tables: Sequence[Table], end: int | None = None) -> pd.DataFrame:
    """Return the rows of all images: as they are, or with the smallest (0) or largest (1) value that was possible."""
    return pd.concat([each.frame if end is None else _at_end(each, end) for each in tables], ignore_index=True)


def _at_end(table: Table, end: int) -> pd.DataFrame:
    ends = {
        name: [
            value if cell is None else float(cell[end]) for value, cell in zip(table.frame[name], cells, strict=True)
        ]
        for name, cells in table.possible.items()
        if name in MEASURES
    }
    return table.frame.assign(**ends)


def _whole_set_fields(rows: pd.DataFrame, ends: Sequence[pd.DataFrame]) -> dict[str, Field]:
    """Return the fields of the whole set; `ends` are the rows with the smallest and the largest possible values."""
    measures = [name for name in MEASURES if name in rows]
    means, *mean_ends = (each.groupby("method", sort=False)[measures].mean().reset_index() for each in (rows, *ends))
    tests = _tests(rows, rows, measures)
    # A hybrid is at its worst where its own values are the smallest possible, and those of the others the largest.
    test_ends = [_tests(own, others, measures) for own, others in (ends, ends[::-1])]
    frame = pd.DataFrame(
        [
            {"comparison": f"{name} against {other}, {measure}", "difference": test.mean, **_test_columns(test)}
            for (name, other, measure), test in tests.items()
        ]
    )
    return {
        "conclusion": Label(_conclusion(tests), possible=tuple(dict.fromkeys(map(_conclusion, test_ends)))),
        "thresholds": Measures.of({"significant below": SIGNIFICANT}, {}),
        "means": Table(means, dict.fromkeys(measures, MEAN_TOLERANCE), possible=_possible_means(mean_ends, measures)),
        "tests": Table(frame, TEST_TOLERANCE, possible=_possible_tests(tests, test_ends)),
    }


def _possible_means(ends: Sequence[pd.DataFrame], measures: Sequence[str]) -> dict[str, Cells]:
    return {name: tuple(map(Possible, *(end[name].tolist() for end in ends))) for name in measures}


def _possible_tests(tests: Tests, ends: Sequence[Tests]) -> dict[str, Cells]:
    """Return what could have stood in the columns of the tests: all but p grow with every difference."""
    found: dict[str, list[Cell]] = collections.defaultdict(list)
    for key, test in tests.items():
        worst, best = sorted((end[key] for end in ends), key=lambda each: each.mean)
        # One image more or less moves p by whole steps, and only the images with ties are counted otherwise.
        for name, each in (
            ("difference", Possible(worst.mean, best.mean)),
            ("low", Possible(worst.low, best.low)),
            ("high", Possible(worst.high, best.high)),
            ("p", Possible(*_possible_p(test, worst, best), most=1.0)),
            ("wins", Possible(worst.wins, best.wins, most=math.inf)),
            ("losses", Possible(best.losses, worst.losses, most=math.inf)),
            ("beats", Possible(float(worst.beats), float(best.beats))),
        ):
            found[name].append(each)
    return {name: tuple(cells) for name, cells in found.items()}


def _possible_p(*tests: PairedTest) -> tuple[float, float]:
    """Return the smallest and the largest p of tests; 1 if a difference may have either sign."""
    p = [each.p for each in tests]
    turned = len({(each.wins, each.losses) for each in tests}) > 1
    return min(p), 1.0 if turned else max(p)


def _tests(rows: pd.DataFrame, of_combined: pd.DataFrame, measures: list[str]) -> Tests:
    """Test every hybrid against Grad-CAM and LIME by each measure. With a positive difference the hybrid is better."""
    values, combined = _by_method(rows), _by_method(of_combined)
    return {
        (name, other, measure): paired_test(
            (MEASURES[measure] * own[measure]).tolist(), (MEASURES[measure] * combined[other][measure]).tolist()
        )
        for name, own in values.items()
        if name not in COMBINED
        for other in COMBINED
        for measure in measures
    }


def _by_method(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(name): own.reset_index(drop=True) for name, own in rows.groupby("method", sort=False)}


def _test_columns(test: PairedTest) -> dict[str, Any]:
    return {
        "low": test.low,
        "high": test.high,
        "p": test.p,
        "wins": test.wins,
        "losses": test.losses,
        "beats": test.beats,
    }


def _conclusion(tests: Tests) -> str:
    """Name the hybrids that beat Grad-CAM and LIME by all decisive measures that could be computed."""
    decisive = {key: test.beats for key, test in tests.items() if key[2] in DECISIVE}
    names = dict.fromkeys(name for name, _, _ in decisive)
    best = [name for name in names if all(beats for key, beats in decisive.items() if key[0] == name)]
    by = f"by {' and '.join(dict.fromkeys(key[2] for key in decisive))} (Wilcoxon, p < {SIGNIFICANT})"
    if not best:
        return f"no hybrid beats both Grad-CAM and LIME {by}"
    verb = "beats" if len(best) == 1 else "beat"
    return f"{' and '.join(best)} {verb} both Grad-CAM and LIME {by}"
