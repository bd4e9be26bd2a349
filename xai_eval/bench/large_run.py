"""A run of many cases made by hand, each as large as a bundled one of the task `cams`: no model, no torch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from xai_eval.disk.arrays import deflated_quickly
from xai_eval.disk.files import write_files
from xai_eval.result.fields import Field, Heatmap, HeatmapTolerance, InputImage, Label, Mask, Ranking, Table
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

_TOLERANCE = HeatmapTolerance(largest=0.02)
METHODS = ("gradcam", "scorecam", "ablationcam")
# What another version of a library changes in a map, and what nobody sees.
NOISE = 1e-5  # several times what rounding does to maps
DRIFT_EVERY = 50


def write_large_run(folder: Path, golden: Path, count: int, *, side: int = 96, drift_every: int = DRIFT_EVERY) -> None:
    """Write `count` results and their goldens: every 50th map looks elsewhere, the others differ by noise."""

    def write(number: int) -> None:
        was = large_case(number, side=side)
        place = Goldens(golden).store(was, "as measured")
        assert place.is_dir()
        now = large_case(number, side=side, moved=number % drift_every == 0, noise=NOISE)
        write_files(folder / RESULTS_FOLDER / now.case.key, now.files(deflated_quickly))

    # Compression, disks and hashes let go of Python's lock; one after the other, 1,000 of 224 px take over a minute.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(write, range(count)):
            pass
    RunRecord(("cams",), ("scenes:objects",), ("large",), count, finished=True).save(folder)


def large_case(number: int, *, side: int = 96, moved: bool = False, noise: float = 0.0) -> Result:
    """The result of image `number` (side x side): `moved` mirrors its maps, `noise` is added to them."""
    dice = np.random.default_rng(number)
    coarse = {name: _normalised(dice.random((6, 6)) ** 3) for name in METHODS}
    final = {name: _upsampled(small, side) for name, small in coarse.items()}
    image = dice.integers(0, 255, (side // 4, side // 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    if moved:
        final = {name: saliency[:, ::-1] for name, saliency in final.items()}
    if noise:
        final = {name: np.clip(each + noise * dice.standard_normal(each.shape), 0, 1) for name, each in final.items()}
    return Result(
        case=Case("cams", "scenes:objects", f"large/image-{number:04}.jpg", {"layer": None, "target": "predicted"}),
        fields=_fields(image, coarse, final),
        stages=_stages(image, coarse, final),
        provenance=Provenance(
            {"weights": "a" * 64, "image": f"{number:064}"}, versions={"torch": "2.15.0" if noise else "2.11.0"}
        ),
    )


def _fields(image: NDArray[np.uint8], coarse: dict[str, Any], final: dict[str, Any]) -> dict[str, Field]:
    side = len(image)
    rows = {"method": list(METHODS), "peak": [0.5, 0.25, 0.125], "iou": [0.31, 0.27, 0.22], "hit": [True, False, True]}
    sweep = pd.DataFrame({"threshold": [f"{share:.2f}" for share in np.linspace(0.05, 0.95, 19)]})
    sweep = sweep.assign(**{name: np.linspace(0.6, 0.1, 19) for name in METHODS})
    return {
        "image": InputImage(image),
        "predicted": Label("car", 3),
        "explained": Label("car", 3),
        "intended": Label("car", 3),
        "audit": Label(None),
        "top5": Ranking(("car", "tree", "boat", "house", "dog"), (0.8, 0.1, 0.05, 0.03, 0.02), 0.02),
        "mask": Mask(np.indices((side, side)).sum(axis=0) < side),
        **{name: Heatmap(each.astype(np.float32), _TOLERANCE) for name, each in final.items()},
        **{f"{name}_layer": Heatmap(each.astype(np.float32), _TOLERANCE) for name, each in coarse.items()},
        "table": Table(pd.DataFrame(rows), {"peak": 0.02, "iou": 0.02}),
        "iou_sweep": Table(sweep, dict.fromkeys(METHODS, 0.02)),
    }


def _stages(image: NDArray[np.uint8], coarse: dict[str, Any], final: dict[str, Any]) -> dict[Stage, Fingerprint]:
    chain = {
        Stage(StageKind.DECODED_PIXELS): image,
        Stage(StageKind.INPUT_TENSOR): image / 255.0,
        Stage(StageKind.LAYER_ACTIVATIONS): np.stack(list(coarse.values())),
        Stage(StageKind.LOGITS): coarse["gradcam"][0],
        **{Stage(StageKind.RAW_MAP, name): each for name, each in coarse.items()},
        **{Stage(StageKind.FINAL_MAP, name): each for name, each in final.items()},
    }
    first = {
        Stage(StageKind.IMAGE_BYTES): fingerprint_text(str(image.sum())),
        Stage(StageKind.TARGET): fingerprint_text("car"),
    }
    return {**first, **{stage: fingerprint_array(each) for stage, each in chain.items()}}


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values - values.min()) / np.ptp(values))


def _upsampled(small: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    image = Image.fromarray(small.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), dtype=np.float64)
