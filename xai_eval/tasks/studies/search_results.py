"""Computes the results of the task `lime_search`: the best settings of lime, and how good each objective is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.inputs.steps import Steps, Turn
from xai_eval.metrics.bootstrap import mean_interval
from xai_eval.metrics.search import OBJECTIVES, TRUTH, Objective, trust, winners
from xai_eval.metrics.superpixels import positive_map
from xai_eval.result.fields import Document, Field, Heatmap, Label, Table
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.result import Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.result.without_effect import WITHOUT_EFFECT
from xai_eval.tasks.cam_results import MAP_TOLERANCE
from xai_eval.tasks.image.explanation_setup import ExplanationSetup
from xai_eval.tasks.image.joined_stages import Stages
from xai_eval.tasks.image.per_image import PerImage, SumUp
from xai_eval.tasks.image.subject import Subject, cam_maps
from xai_eval.tasks.image.whole_set import image_set_case, image_set_provenance, image_set_stages
from xai_eval.tasks.lime.lime_results import LIBRARIES
from xai_eval.tasks.lime.lime_runs import surrogate_stage
from xai_eval.tasks.studies.search_scores import ScoredSettings, Scoring, cheapest_first, score_settings, scored_in
from xai_eval.tasks.studies.search_ties import (
    best_overall,
    possible_best,
    possible_best_of_all,
    possible_objective_row,
    possible_winner_row,
    told,
)
from xai_eval.tasks.ties.bounds import rounding_on
from xai_eval.tasks.ties.possible_rows import by_column
from xai_eval.tasks.trials.trials import cam_trials, lime_trials, model_trials

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime import Drawn
    from xai_eval.explainers.lime.lime_search import Grid, LimeSearch
    from xai_eval.inputs.images.labelled import LabelledImage

SCORE_TOLERANCE = {each.name: 0.05 if "iou" in each.name else 0.02 for each in OBJECTIVES}
TRUST_TOLERANCE = 0.1
SETTINGS = "settings"


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """The checked options of one run of `lime_search`.

    Attributes:
        setup: model, images, class, seed, and the layer of the Grad-CAM maps that two objectives compare with.
        grid: the settings to try.
        objective: the measure by which the best setting is chosen.
    """

    setup: ExplanationSetup
    grid: Grid
    objective: Objective

    @cached_property
    def trials(self) -> dict[Stage, Fingerprint]:
        """Steps tried on what never changes, once per run."""
        return {**model_trials(), **cam_trials(["gradcam"]), **lime_trials()}

    @property
    def rounding(self) -> float:
        """How far apart two values may be on the device of the model and still be tied."""
        return rounding_on(self.setup.classifier.device.type)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that identify the cases, as JSON values."""
        return {"grid": vars(self.grid), "objective": self.objective.name}


def objective_named(name: str) -> Objective:
    """Return the objective with a name, one of `OBJECTIVES`."""
    return {each.name: each for each in OBJECTIVES}[name]


@dataclass(frozen=True, eq=False)
class _Noted:
    """What the result of the whole set needs of the result of one image: its name, its scores and its stages."""

    input: str
    scored: ScoredSettings
    stages: Stages


@dataclass(frozen=True, eq=False)
class _Drawn:
    """An image as the model sees it, uint8 (H, W, 3), and what draws the samples of each segmentation."""

    view: NDArray[np.uint8]
    draws: Sequence[Callable[[], Drawn]]


@dataclass(frozen=True, eq=False)
class _Answers:
    """What is known of an image when the model is not needed any more.

    Attributes:
        subject: the image and what the model predicts.
        cam: Grad-CAM's map, (H, W).
        found: the predictions for all samples, and the surrogates that were fitted to them.
        scored: the scores of all settings.
        rounding: how far apart two values may be on the device of the model and still be tied.
        fields: fields that need the model.
        stages: stages up to the explained class, and the state of the model after all of them.
        provenance: how the result was computed.
    """

    subject: Subject
    cam: NDArray[np.float32]
    found: LimeSearch
    scored: ScoredSettings
    rounding: float
    fields: Mapping[str, Field]
    stages: Stages
    provenance: Provenance


def search_results(request: SearchRequest) -> PerImage:
    """Search image by image, as an iterator reaches it, and then over the whole set."""
    whole = SumUp(
        image_set_case("lime_search", request.setup, request.params),
        partial(_noted, request.grid),
        partial(_whole_set, request),
    )
    steps = Steps(partial(_draw, request), partial(_ask, request), partial(_finish, request))
    return PerImage("lime_search", request.setup, lambda _image: request.params, steps.alone, whole, apart=steps)


def _noted(grid: Grid, _image: LabelledImage, result: Result) -> _Noted:
    return _Noted(result.case.input, scored_in(grid, result[SETTINGS]), result.stages)


def _whole_set(request: SearchRequest, every: Sequence[_Noted]) -> Result:
    setup = request.setup
    scored = {each.input: each.scored for each in every}
    return Result(
        case=image_set_case("lime_search", setup, request.params),
        fields=_whole_set_fields(scored, request),
        stages=image_set_stages(setup.images, [each.stages for each in every]),
        provenance=image_set_provenance(setup, LIBRARIES),
    )


def _draw(request: SearchRequest, image: LabelledImage) -> _Drawn:
    """Cut an image into the first superpixels, and draw their samples. The model is not needed."""
    from xai_eval.explainers.lime.lime_search import draws

    view = request.setup.view(image)
    return _Drawn(view, draws(view, request.grid, request.setup.seed))


def _ask(request: SearchRequest, image: LabelledImage, turn: Turn[_Drawn]) -> _Answers:
    """Do what needs the model: it predicts all samples, and measures the explanations made of these predictions."""
    from xai_eval.explainers.lime.lime_search import search
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    # Tried first, so that a broken library is not taken for a broken model.
    _ = request.trials
    setup, grid, own = request.setup, request.grid, turn.prepared()
    subject = setup.run_model(image, own.view)
    cam = cam_maps(subject).image[0]
    perturbed = PerturbedImages(subject.predict, max(grid.batch_size), setup.classifier.device)
    found = search(own.view, perturbed, grid, Turn(lambda: own.draws, turn.ahead))
    scored = score_settings(Scoring(subject, found, cam, request.rounding), grid, turn)
    known = setup.provenance(image, LIBRARIES)
    return _Answers(subject, cam, found, scored, request.rounding, subject.fields, subject.stages_with_views, known)


def _finish(request: SearchRequest, image: LabelledImage, answers: _Answers) -> Result:
    """Put the result together. The model is not needed."""
    grid, objective = request.grid, request.objective
    subject, cam, found, scored = answers.subject, answers.cam, answers.found, answers.scored
    won = scored.best(objective) or cheapest_first(grid.settings)
    segments = found.neighbourhoods[won[0].segmentation].segments
    fits = [found.surrogate(settings[0], subject.target.index) for settings in scored.tied.values()]
    best_map = positive_map(found.surrogate(won[0], subject.target.index).weights, segments)
    fields: dict[str, Field] = {
        **answers.fields,
        "lime": Heatmap(best_map, MAP_TOLERANCE),
        "gradcam": Heatmap(cam, MAP_TOLERANCE),
        "best": Document(
            {"objective": objective.name, "setting": asdict(won[0]), "tied": len(won)},
            tuple(WITHOUT_EFFECT),
            possible_best(scored, objective, answers.rounding),
        ),
        "ties": Label(_ties(scored)),
        "winners": _winners(scored, answers.rounding),
        SETTINGS: Table(scored.frame, SCORE_TOLERANCE, possible=by_column(scored.possible)),
    }
    stages = {
        **answers.stages,
        **{
            Stage(StageKind.SEGMENTS, name): fingerprint_array(each.segments)
            for name, each in found.neighbourhoods.items()
        },
        Stage(StageKind.SAMPLES): fingerprint_array(_every_sample(found)),
        **_predictions(found, subject.target.index),
        Stage(StageKind.WEIGHTS): fingerprint_array(np.concatenate([fit.weights for fit in fits]).astype(np.float32)),
        **surrogate_stage(fits),
        Stage(StageKind.FINAL_MAP, "gradcam"): fingerprint_array(cam),
        # Grad-CAM stands before the map of lime, because two objectives use it to choose the setting of that map.
        Stage(StageKind.FINAL_MAP, "lime"): fingerprint_array(best_map),
        **request.trials,
    }
    case = request.setup.case("lime_search", image, request.params)
    return Result(case, fields, stages, answers.provenance)


def _every_sample(found: LimeSearch) -> NDArray[np.uint8]:
    """Return the samples of all segmentations in one array, uint8 of one dimension."""
    return np.concatenate([each.samples.reshape(-1) for each in found.neighbourhoods.values()]).astype(np.uint8)


def _predictions(found: LimeSearch, label: int) -> dict[Stage, Fingerprint]:
    """Fingerprint the predictions of one class per segmentation. The first has no name, as in the other tasks."""
    return {
        Stage(StageKind.PERTURBED_PREDICTIONS, name if place else ""): fingerprint_array(each.probabilities[:, label])
        for place, (name, each) in enumerate(found.neighbourhoods.items())
    }


def _ties(scored: ScoredSettings) -> str:
    settings = sum(map(len, scored.tied.values()))
    return (
        f"{settings} settings give {len(scored.tied)} explanations: top_labels and batch_size change nothing for the "
        "explained class, nor does num_features above the number of superpixels"
    )


def _winners(scored: ScoredSettings, rounding: float) -> Table:
    """Return a table with the best settings by each objective, and how many settings share the best value."""
    rows, possible = [], []
    for objective in OBJECTIVES:
        values = scored.values(objective)
        best = winners(values, objective)
        if len(best):
            rows.append(
                {
                    "objective": objective.name,
                    "better": objective.better,
                    "value": float(values[best[0]]),
                    "setting": " = ".join(list(scored.tied)[place] for place in best),
                    "tied_settings": len(scored.best(objective)),
                }
            )
            possible.append(possible_winner_row(scored, objective, rounding))
    return Table(pd.DataFrame(rows), {"value": 0.05}, possible=by_column(possible))


def _whole_set_fields(scored: Mapping[str, ScoredSettings], request: SearchRequest) -> dict[str, Field]:
    grid, objective, rounding = request.grid, request.objective, request.rounding
    overall = best_overall(list(scored.values()), grid, objective)
    images = {name: each.best(objective) for name, each in scored.items()}
    content = {
        "objective": objective.name,
        "overall": asdict(overall[0]),
        "tied": len(overall),
        "images": {name: asdict(won[0]) for name, won in images.items() if won},
    }
    possible = possible_best_of_all(scored, grid, objective, rounding)
    return {
        "best": Document(content, tuple(WITHOUT_EFFECT), possible),
        "objectives": _objectives(list(scored.values()), grid, rounding),
    }


def _objectives(scored: Sequence[ScoredSettings], grid: Grid, rounding: float) -> Table:
    """Return a table with the best setting by each objective, and how well the objective agrees with the true masks."""
    rows, possible = [], []
    truth = Objective(TRUTH, 1)
    for objective in OBJECTIVES:
        agreement = [trust(each.values(objective), each.values(truth), objective) for each in scored]
        interval = mean_interval(agreement)
        best = told(best_overall(scored, grid, objective)[0])
        known = any(not np.isnan(each.values(objective)).all() for each in scored)
        rows.append(
            {
                "objective": objective.name,
                "better": objective.better,
                "best_overall": best if known else None,
                "agrees_with_mask": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "images": interval.count,
            }
        )
        possible.append(possible_objective_row(scored, grid, objective, best, agreement, rounding))
    tolerance = dict.fromkeys(("agrees_with_mask", "low", "high"), TRUST_TOLERANCE)
    return Table(pd.DataFrame(rows), tolerance, possible=by_column(possible))
