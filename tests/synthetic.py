"""Results made by hand, for tests of everything right of the wall: no model, no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.result.fields import (
    Curve,
    Document,
    Field,
    Gallery,
    Heatmap,
    HeatmapTolerance,
    InputImage,
    Label,
    Mask,
    Measures,
    Note,
    Ranking,
    Score,
    SeedTolerance,
    Segments,
    SignedMap,
    Table,
    Tally,
    UnitLabels,
    Weights,
)
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage, StageKind

TOLERANCE = HeatmapTolerance(largest=0.02)
SEEDS = SeedTolerance(floor=0.02, seeds=5, errors=3.0, ratio=2.0)
SIZE = 224


def blob(row: float, column: float, *, size: int = SIZE, width: float = 30.0) -> NDArray[np.float32]:
    """One hot spot, 1 at (row, column) and falling to 0 at `width` pixels."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.sqrt((rows - row) ** 2 + (columns - column) ** 2)
    return np.clip(1 - distance / width, 0, 1).astype(np.float32)


def make_case(name: str = "photo.jpg", **changes: Any) -> Case:
    given: dict[str, Any] = {"task": "cams", "model": "file:nets.py:net", "input": f"photos/{name}"}
    return Case(**{**given, "params": {"target": "predicted"}, **changes})


def make_result(
    name: str = "photo.jpg",
    *,
    saliency: NDArray[np.floating[Any]] | None = None,
    predicted: str = "flamingo",
    weights: str = "a" * 64,
    image: str = "b" * 64,
    fields: dict[str, Field] | None = None,
    stages: dict[Stage, NDArray[Any]] | None = None,
    versions: dict[str, str] | None = None,
    **case: Any,
) -> Result:
    saliency = blob(80, 120) if saliency is None else saliency
    chain = {
        Stage(StageKind.DECODED_PIXELS): np.arange(12.0),
        Stage(StageKind.LOGITS): np.linspace(-1, 3, 10),
        Stage(StageKind.FINAL_MAP, "gradcam"): saliency,
    }
    return Result(
        case=make_case(name, **case),
        fields={
            "predicted": Label(predicted, 130),
            "top5": Ranking((predicted, "heron"), (0.9, 0.05), 0.02),
            "gradcam": Heatmap(saliency, TOLERANCE),
            **(fields or {}),
        },
        stages={
            Stage(StageKind.IMAGE_BYTES): fingerprint_text(image),
            # Other weights on record explain something only if their stages say so, too.
            Stage(StageKind.MODEL_WEIGHTS, "net"): fingerprint_text(weights),
            **{n: fingerprint_array(a) for n, a in {**chain, **(stages or {})}.items()},
        },
        provenance=Provenance({"weights": weights, "image": image}, versions=versions or {"torch": "2.11.0"}),
    )


def every_kind() -> dict[str, Field]:
    """One field of every kind, with values that are hard to store."""
    frame = pd.DataFrame(
        {
            "key": ["a", "b|\n<i>"],
            "hit": [True, False],
            "count": [1, 2],
            "share": [0.1, float("nan")],
            "note": ["x", None],
        }
    )
    return {
        "heat": Heatmap(blob(3, 4, size=8, width=5), TOLERANCE),
        "signed": SignedMap(1e-3 * (blob(3, 4, size=8, width=5) - blob(6, 1, size=8, width=3))),
        "label": Label(None),
        "note": Note("LIME was computed alone, because no gradient reaches a layer"),
        "mask": Mask(blob(3, 4, size=9, width=5) > 0.5),
        "image": InputImage(np.arange(27, dtype=np.uint8).reshape(3, 3, 3)),
        "ranking": Ranking(("a", "b"), (float("inf"), 0.1), 0.01),
        "score": Score(float("nan"), 0.1),
        "segments": Segments(np.array([[0, 0, 1], [2, 1, 1]])),
        "weights": Weights(("a", "b"), np.array([[0.1, -2, 0], [1, 1, 1]]), np.full((2, 3), 0.1), SEEDS),
        "curve": Curve(np.array([0.0, 0.5]), {"one": np.array([0.1, float("nan")])}, "x", "y", 0.1),
        "document": Document({"best": {"n": 5, "name": "slic"}, "tied": [1, None, True]}),
        "table": Table(frame, {"share": 0.1}, ("note",)),
        "gallery": Gallery({"a": b"\xff\xd8one", "b": b"", "c": b"\xff"}),
        "tally": Tally(frame.drop(columns="note"), {"count": 2.0}, cut=True),
        "measures": Measures.of({"R2": 0.5, "spread": float("nan")}, {"R2": 0.1}),
        "unit labels": unit_labels(),
    }


def unit_labels(**changes: Any) -> UnitLabels:
    """Three units of one layer, the last one dead; `changes` replace columns."""
    columns = {
        "unit": ["layer4/0", "layer4/1", "layer4/2"],
        "label": ["car", "tree", None],
        "score": [0.9, 0.5, float("nan")],
        "second": ["boat", "grass", None],
        "margin": [0.4, 0.01, float("nan")],
        "layer": ["layer4"] * 3,
        "dead": [False, False, True],
    }
    return UnitLabels(pd.DataFrame({**columns, **changes}), 0.05)
