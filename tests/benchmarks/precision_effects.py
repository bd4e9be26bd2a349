"""Measures what a precision changes in explanations: each map beside that of float32, and each label of a unit.

    python tests/benchmarks/precision_effects.py                               the bundled scenes, about 5 minutes
    python tests/benchmarks/precision_effects.py --model SPEC --images SPEC    a model and images of your own

TF32 is simulated as in the tests, because CPUs have none. The table is Markdown; docs/how-to/precision.md shows it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from tf32 import tf32

from xai_eval import Result
from xai_eval.result.fields import Heatmap, SignedMap, Table
from xai_eval.run.evaluate import evaluate

CAMS = ["gradcam", "hirescam", "scorecam", "ablationcam"]
HOTTEST = 0.2  # share of the pixels
SIMULATED = "tf32 (simulated)"
PRECISIONS = (SIMULATED, "float16", "bfloat16")


@dataclass(frozen=True)
class Effect:
    """What one precision changes in one map.

    Attributes:
        correlation: of the pixels (Pearson).
        overlap: IoU of the hottest fifth of the pixels.
        largest: difference of a pixel, as a share of the largest absolute value in float32.
        inside: change of the energy inside the object; NaN without a mask.
        moved: whether another class was explained.
    """

    correlation: float
    overlap: float
    largest: float
    inside: float
    moved: bool


def effects(precise: Result, rough: Result) -> Iterator[tuple[str, Effect]]:
    """Yield the effect on every map of a result that has one in both precisions."""
    for name, field in precise.fields.items():
        if isinstance(field, Heatmap | SignedMap) and not name.endswith("_layer"):
            yield name, _effect(name, precise, rough)


def _effect(name: str, precise: Result, rough: Result) -> Effect:
    was, now = (np.asarray(each[name].array, dtype=np.float64) for each in (precise, rough))
    hot = [each >= np.quantile(each, 1 - HOTTEST) for each in (was, now)]
    return Effect(
        float(np.corrcoef(was.ravel(), now.ravel())[0, 1]),
        float((hot[0] & hot[1]).sum() / (hot[0] | hot[1]).sum()),
        float(np.abs(now - was).max() / np.abs(was).max()),
        abs(_inside(name, rough) - _inside(name, precise)),
        precise["explained"] != rough["explained"],
    )


def _inside(name: str, result: Result) -> float:
    table = result.fields.get("table")
    frame = table.frame if isinstance(table, Table) else None
    if frame is None or "energy_inside" not in frame:
        return float("nan")
    found = frame.loc[frame["method"] == name, "energy_inside"]
    return float(found.iloc[0]) if len(found) else float("nan")


def computed(task: str, precision: str, **given: Any) -> list[Result]:
    """Compute a task in a precision, or as TF32 would round."""
    simulated: AbstractContextManager[object] = tf32() if precision == SIMULATED else nullcontext()
    with simulated:
        return evaluate(task, device="cpu", precision="default" if precision == SIMULATED else precision, **given)


def map_rows(task: str, **given: Any) -> Iterator[str]:
    """Yield a row for each map and precision: median and worst over the images that keep their class."""
    precise = computed(task, "default", **given)
    for precision in PRECISIONS:
        found: dict[str, list[Effect]] = {}
        for pair in zip(precise, computed(task, precision, **given), strict=True):
            for name, effect in effects(*pair):
                found.setdefault(name, []).append(effect)
        for name, every in found.items():
            yield _row(task, name, precision, every)


def _row(task: str, name: str, precision: str, every: list[Effect]) -> str:
    kept = [each for each in every if not each.moved]

    def told(values: list[float], worst: Any, digits: str) -> str:
        known: NDArray[np.float64] = np.array([each for each in values if not np.isnan(each)])
        return f"{np.median(known):{digits}} / {worst(known):{digits}}" if known.size else "no mask"

    return (
        f"| {task} | {name} | {precision} | {told([e.correlation for e in kept], np.min, '.4f')} | "
        f"{told([e.overlap for e in kept], np.min, '.2f')} | {told([e.largest for e in kept], np.max, '.2g')} | "
        f"{told([e.inside for e in kept], np.max, '.2g')} | {len(every) - len(kept)} of {len(every)} |"
    )


def unit_rows(**given: Any) -> Iterator[str]:
    """Yield a row for each precision: of the units of all layers and models, how many get another label."""
    precise = computed("dissection", "default", **given)
    for precision in PRECISIONS:
        rough = computed("dissection", precision, **given)
        for name in ("clip_units", "pixel_units"):
            frames = [(a[name].frame, b[name].frame) for a, b in zip(precise, rough, strict=True) if name in a.fields]
            other = sum(int((a["label"] != b["label"]).sum()) for a, b in frames)
            scores = max(float((a["score"] - b["score"]).abs().max()) for a, b in frames)
            yield f"| {name} | {precision} | {other} of {sum(len(a) for a, _ in frames)} | {scores:.2g} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="scenes:objects")
    parser.add_argument("--images", default="scenes:8")
    parser.add_argument("--only", nargs="*", default=["cams", "lime", "attributions", "dissection"])
    parser.add_argument("--methods", nargs="*", default=CAMS)
    parser.add_argument("--samples", type=int, default=1000, help="of lime")
    given = parser.parse_args()
    print(
        "| task | map | precision | correlation | IoU of the hottest fifth | largest difference | energy inside "
        "| other class |"
    )
    print("|---|---|---|---|---|---|---|---|")
    inputs = {"model": given.model, "images": given.images}
    params: dict[str, dict[str, Any]] = {"cams": {"methods": given.methods}, "lime": {"num_samples": given.samples}}
    for task in given.only:
        if task != "dissection":
            for row in map_rows(task, **inputs, **params.get(task, {})):
                print(row, flush=True)
    if "dissection" in given.only:
        print("\n| labels | precision | other label | largest difference of a score |\n|---|---|---|---|")
        for row in unit_rows(model=given.model, images="scenes:48"):
            print(row, flush=True)


if __name__ == "__main__":
    main()
