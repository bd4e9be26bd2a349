"""The task `lime_search`: which settings of lime explain best, by which objective, and which objective to trust."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.errors import unknown_name
from xai_eval.metrics.bootstrap import mean_interval
from xai_eval.metrics.search import OBJECTIVES, TRUTH, Objective, mean_ranks, trust, winners
from xai_eval.metrics.superpixels import positive_map
from xai_eval.result.fields import Document, Field, Heatmap, Label, Table
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import task
from xai_eval.tasks.cams import MAP_TOLERANCE
from xai_eval.tasks.image.asked import check_asked
from xai_eval.tasks.image.environment import provenance
from xai_eval.tasks.image.joined_stages import Stages
from xai_eval.tasks.image.subject import cam_maps, look
from xai_eval.tasks.image.whole_set import set_case, set_provenance, set_stages
from xai_eval.tasks.lime.runs import surrogate_stage
from xai_eval.tasks.lime.task import LIBRARIES
from xai_eval.tasks.reference.maps import faithfulness_stage, localisation_stage, search_stage, superpixel_stage
from xai_eval.tasks.studies.search_scores import ScoredSettings, cheapest_first, score_settings

if TYPE_CHECKING:
    from xai_eval.explainers.lime.lime_search import Grid, LimeSearch
    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier

SCORE_TOLERANCE = {each.name: 0.05 if "iou" in each.name else 0.02 for each in OBJECTIVES}
TRUST_TOLERANCE = 0.1
# Of the objectives that need no mask, the one that ranks settings most as the true masks do: rank correlation 0.50 over
# 40 scenes, deletion 0.47, centre distance 0.38, IoU with Grad-CAM 0.11, local R2 -0.17.
DEFAULT_OBJECTIVE = "insertion"


@task("lime_search", images="scenes:2", whole_set=True)
def lime_search(
    classifier: Classifier,
    images: ImageSet,
    *,
    grid: Mapping[str, Any] | None = None,
    objective: str = DEFAULT_OBJECTIVE,
    target: str | int = "predicted",
    layer: str | None = None,
    seed: int = 0,
) -> Iterator[Result]:
    """Try every setting of a grid on lime, and say which wins by which objective.

    Args:
        classifier: the model with its preprocessing and class names.
        images: the images to explain.
        grid: values to try by argument, in place of the study's: `segmentation`, `num_samples`, `num_features`,
            `top_labels`, `batch_size`.
        objective: by which the best setting is chosen.
        target: `predicted`, `intended`, or the index, name or WordNet id of a class.
        layer: layer of the Grad-CAM that two objectives compare with; the last convolutional block if None.
        seed: seed of samples and segmentation, the same for all settings.

    Returns:
        An iterator that searches as it goes: one Result an image, then one for the whole set, with the best setting
        overall and how well each objective ranks settings as the true masks do.

    Raises:
        UsageError: an unknown objective, argument, layer or class, or a value that lime cannot take.
        ModelMisbehaves: the model raises, or returns what is no batch of logits.
    """
    from xai_eval.explainers.lime.lime_search import make_grid

    tried, chosen = make_grid(grid), _objective(objective)
    asked = check_asked(classifier, images, layer, target, seed)
    params = {"grid": vars(tried), "objective": objective, "target": asked.target, "layer": asked.layer}
    return _search_all(classifier, images, params, tried, chosen, seed)


def _objective(name: str) -> Objective:
    known = {each.name: each for each in OBJECTIVES}
    if name not in known:
        raise unknown_name("objective", name, known)
    return known[name]


def _search_all(
    classifier: Classifier, images: ImageSet, params: Mapping[str, Any], grid: Grid, objective: Objective, seed: int
) -> Iterator[Result]:
    scored: dict[str, ScoredSettings] = {}
    stages: list[Stages] = []
    for image in images.images:
        case = Case("lime_search", classifier.name, f"{images.name}/{image.name}", params)
        result, scored[case.input] = _search_one(case, classifier, image, grid, objective, seed)
        stages.append(result.stages)
        yield result
    yield Result(
        case=set_case("lime_search", classifier, images, params),
        fields=_whole_set_fields(scored, grid, objective),
        stages=set_stages(images, stages),
        provenance=set_provenance(classifier, images, LIBRARIES, seed),
    )


def _search_one(
    case: Case, classifier: Classifier, image: LabelledImage, grid: Grid, objective: Objective, seed: int
) -> tuple[Result, ScoredSettings]:
    from xai_eval.explainers.lime.lime_search import search
    from xai_eval.explainers.lime.perturbation import PerturbedImages
    from xai_eval.explainers.lime.probabilities import probabilities

    subject = look(classifier, image, case.params["layer"], case.params["target"])
    predict = probabilities(classifier)
    cam = cam_maps(subject, case.params["layer"]).image[0]
    found = search(subject.view, PerturbedImages(predict, max(grid.batch_size), classifier.device), grid, seed)
    scored = score_settings(subject, grid, found, cam, predict)
    won = scored.best(objective) or cheapest_first(grid.settings)
    segments = found.neighbourhoods[won[0].segmentation].segments
    fits = [found.surrogate(settings[0], subject.target.index) for settings in scored.tied.values()]
    best_map = positive_map(found.surrogate(won[0], subject.target.index).weights, segments)
    fields: dict[str, Field] = {
        **subject.fields,
        "lime": Heatmap(best_map, MAP_TOLERANCE),
        "gradcam": Heatmap(cam, MAP_TOLERANCE),
        "best": Document({"objective": objective.name, "setting": asdict(won[0]), "tied": len(won)}),
        "ties": Label(_ties(scored)),
        "winners": _winners(scored),
        "settings": Table(scored.frame, SCORE_TOLERANCE),
    }
    stages = {
        **subject.stages,
        **{
            Stage(StageKind.SEGMENTS, name): fingerprint_array(each.segments)
            for name, each in found.neighbourhoods.items()
        },
        Stage(StageKind.SAMPLES): fingerprint_array(_every_sample(found)),
        **_predictions(found, subject.target.index),
        Stage(StageKind.WEIGHTS): fingerprint_array(np.concatenate([fit.weights for fit in fits]).astype(np.float32)),
        **surrogate_stage(fits),
        Stage(StageKind.FINAL_MAP, "gradcam"): fingerprint_array(cam),
        # In front of the map, which is that of the setting that wins by them.
        **superpixel_stage(),
        **localisation_stage(),
        **faithfulness_stage(),
        **search_stage(),
        Stage(StageKind.FINAL_MAP, "lime"): fingerprint_array(best_map),
    }
    return Result(case, fields, stages, provenance(classifier, image, LIBRARIES, seed)), scored


def _every_sample(found: LimeSearch) -> NDArray[np.uint8]:
    """The samples under each segmentation, one after the other."""
    return np.concatenate([each.samples.reshape(-1) for each in found.neighbourhoods.values()]).astype(np.uint8)


def _predictions(found: LimeSearch, label: int) -> dict[Stage, Fingerprint]:
    """Predictions of one class under each segmentation; the first has no name, as in the other tasks."""
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


def _winners(scored: ScoredSettings) -> Table:
    """What wins by each objective, and with how many others it is tied."""
    rows = []
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
    return Table(pd.DataFrame(rows), {"value": 0.05})


def _whole_set_fields(scored: Mapping[str, ScoredSettings], grid: Grid, objective: Objective) -> dict[str, Field]:
    overall = _best_overall(list(scored.values()), grid, objective)
    images = {name: each.best(objective) for name, each in scored.items()}
    content = {
        "objective": objective.name,
        "overall": asdict(overall[0]),
        "tied": len(overall),
        "images": {name: asdict(won[0]) for name, won in images.items() if won},
    }
    return {"best": Document(content), "objectives": _objectives(list(scored.values()), grid)}


def _best_overall(scored: Sequence[ScoredSettings], grid: Grid, objective: Objective) -> tuple[Any, ...]:
    """The settings with the best mean rank over the images, the cheapest first."""
    by_image = [each.of_settings(objective) for each in scored]
    values = np.array([[own[setting] for setting in grid.settings] for own in by_image])
    ranks = mean_ranks(values, objective)
    return cheapest_first(grid.settings[place] for place in winners(ranks, Objective("mean rank", -1)))


def _objectives(scored: Sequence[ScoredSettings], grid: Grid) -> Table:
    """For each objective: the setting that wins overall, and how far its ranking is that of the true masks."""
    rows = []
    truth = Objective(TRUTH, 1)
    for objective in OBJECTIVES:
        agreement = [trust(each.values(objective), each.values(truth), objective) for each in scored]
        interval = mean_interval(agreement)
        best = _best_overall(scored, grid, objective)[0]
        known = any(not np.isnan(each.values(objective)).all() for each in scored)
        rows.append(
            {
                "objective": objective.name,
                "better": objective.better,
                "best_overall": f"{best.segmentation}, {best.num_samples} samples" if known else None,
                "agrees_with_mask": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "images": interval.count,
            }
        )
    return Table(pd.DataFrame(rows), dict.fromkeys(("agrees_with_mask", "low", "high"), TRUST_TOLERANCE))
