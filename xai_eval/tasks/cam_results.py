"""Computes the results of the task `cams`: the maps of all methods, and how well they point at the object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.localisation import THRESHOLDS, half_cell, iou_sweep
from xai_eval.result.fields import LOOSEST_MAP, Field, Heatmap, HeatmapTolerance, Table
from xai_eval.result.fingerprint import MOST_AMPLIFIED, Fingerprint, fingerprint_array
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image.explanation_setup import ExplanationSetup
from xai_eval.tasks.image.map_rows import TABLE_TOLERANCE, map_row
from xai_eval.tasks.image.per_image import PerImage
from xai_eval.tasks.image.subject import Subject, cam_maps, cam_stages
from xai_eval.tasks.ties.bounds import above, exactly, possible_iou, rounding_on
from xai_eval.tasks.ties.possible_rows import by_column, possible_row
from xai_eval.tasks.trials.trials import cam_trials, model_trials

if TYPE_CHECKING:
    from xai_eval.explainers.cam.cam_maps import CamMaps
    from xai_eval.inputs.images.labelled import LabelledImage

LIBRARIES = ("torch", "torchvision", "grad-cam", "numpy", "pillow", "opencv-python-headless")

# On a CPU the maps of the bundled model change by less than 1e-6 under benign changes (one thread, mkldnn off,
# channels_last), and not at all between torch 2.6, 2.11 and 2.15. Grad-CAM's maps of MobileNetV2 change by 1.6e-5. The
# rest of the margin is for GPUs: TF32 rounds activations by about 1e-3, and its effect on maps is not measured yet.
# Differences below about 2e-2 are invisible to the eye.
MAP_TOLERANCE = HeatmapTolerance(largest=0.02)
LAYER_MAP_TOLERANCE = HeatmapTolerance(largest=0.02, rank=-1.0, top=0.0, moved=1.0)
SWEEP_TOLERANCE = 0.05


@dataclass(frozen=True, eq=False)
class CamsRequest:
    """The checked options of one run of `cams`: model, images, class, layer and seed, and the names of the methods."""

    setup: ExplanationSetup
    methods: tuple[str, ...]

    @cached_property
    def trials(self) -> dict[Stage, Fingerprint]:
        """Steps tried on what never changes, once per run."""
        return {**model_trials(), **cam_trials(self.methods)}


def cam_results(request: CamsRequest) -> PerImage:
    """Explain every image by every method. Each result is computed when an iterator reaches it."""
    return PerImage("cams", request.setup, lambda _image: _params(request), partial(_evaluate, request))


def _params(request: CamsRequest) -> dict[str, Any]:
    return {"methods": request.methods}


def _evaluate(request: CamsRequest, image: LabelledImage) -> Result:
    # Tried first, so that a broken library is not taken for a broken model.
    trials, setup = request.trials, request.setup
    subject = setup.run_model(image)
    maps = {method: cam_maps(subject, method, setup.seed) for method in request.methods}
    return Result(
        case=setup.case("cams", image, _params(request)),
        fields={**subject.fields, **_map_fields(subject, maps)},
        stages={
            **subject.stages,
            **{stage: each for method, found in maps.items() for stage, each in cam_stages(method, found).items()},
            **{
                Stage(StageKind.FINAL_MAP, method): fingerprint_array(each.image, each.amplification)
                for method, each in maps.items()
            },
            **trials,
        },
        provenance=setup.provenance(image, LIBRARIES),
    )


def _map_fields(subject: Subject, maps: Mapping[str, CamMaps]) -> dict[str, Field]:
    mask, rounding = subject.mask, rounding_on(subject.classifier.device.type)
    largest = {method: _largest(each.raw[0], each.amplification, rounding) for method, each in maps.items()}
    heatmaps = {
        method: Heatmap(each.image[0], replace(MAP_TOLERANCE, largest=largest[method])) for method, each in maps.items()
    }
    layers = {
        f"{method}_layer": Heatmap(each.layer[0], replace(LAYER_MAP_TOLERANCE, largest=largest[method]))
        for method, each in maps.items()
    }
    margins = {method: half_cell(layers[f"{method}_layer"].shape, each.shape) for method, each in heatmaps.items()}
    rows = [map_row(method, heatmap, mask, margins[method]) for method, heatmap in heatmaps.items()]
    possible = [possible_row(heatmap, mask, margins[method], rounding) for method, heatmap in heatmaps.items()]
    table = Table(pd.DataFrame(rows), TABLE_TOLERANCE, possible=by_column(possible))
    sweep: dict[str, Field] = {} if mask is None else {"iou_sweep": _sweep_table(heatmaps, mask, rounding)}
    return {**heatmaps, **layers, "table": table, **sweep}


def _largest(raw: NDArray[np.float32], amplification: float, rounding: float) -> float:
    """Return by how much a pixel may differ: more where the map moves much more than what it is computed from.

    Amplification compares norms of whole maps. All of a change may fall on one cell, and maps are scaled by their
    hottest cell.
    """
    hottest = float(raw.max())
    concentrated = max(1.0, float(np.linalg.norm(raw)) / hottest) if hottest > 0.0 else 1.0
    most = min(amplification, MOST_AMPLIFIED) * rounding * concentrated
    return round(float(np.clip(most, MAP_TOLERANCE.largest, LOOSEST_MAP)), 4)


def _sweep_table(heatmaps: Mapping[str, Heatmap], mask: NDArray[np.bool_], rounding: float) -> Table:
    columns: dict[str, Any] = {"threshold": [f"{t:.1f}" for t in THRESHOLDS]}
    for method, heatmap in heatmaps.items():
        means = heatmap.degenerate is None
        columns[method] = iou_sweep(heatmap.array, mask) if means else [float("nan")] * len(THRESHOLDS)
    possible = {
        method: tuple(possible_iou(above(each.array, threshold, rounding), exactly(mask)) for threshold in THRESHOLDS)
        for method, each in heatmaps.items()
        if each.degenerate is None
    }
    return Table(pd.DataFrame(columns), dict.fromkeys(heatmaps, SWEEP_TOLERANCE), possible=possible)
