"""What the labels of units come to: by concept, by layer, and between two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from xai_eval.fields import Field, Ranking, Score, Table
from xai_eval.metrics.unit_labels import agreement, concept_counts, difference
from xai_eval.tasks.dissection_pass import LabelledLayer
from xai_eval.tasks.dissection_request import Request
from xai_eval.tasks.dissection_units import INTERPRETABLE

FALSE_DISCOVERY_RATE = 0.05
TOP_CONCEPTS = 5
# Two labels that are as good as each other may change places: so few units more or less are no news.
COUNT_TOLERANCE = 2.0
DISTANCE_TOLERANCE, P_TOLERANCE = 0.05, 0.1
Frames = Mapping[str, pd.DataFrame]


def summaries(request: Request, layers: Sequence[LabelledLayer], frames: Frames) -> dict[str, Field]:
    """Sum up the units of one model.

    Args:
        request: what was asked for.
        layers: the layers of the model.
        frames: its units, by method.
    """
    fields: dict[str, Field] = {"layers": Table.for_reading(_layers(layers, frames))}
    for method, frame in frames.items():
        counts = _with_kind(request, concept_counts(frame))
        name = method.removesuffix("_units")
        fields[f"{name}_concepts"] = Table.for_reading(counts)
        best = counts.head(TOP_CONCEPTS)
        totals = tuple(map(float, best["total"]))
        fields[f"{name}_top_concepts"] = Ranking(tuple(best["concept"]), totals, COUNT_TOLERANCE)
        objects = int((counts["kind"] == "object").sum())
        fields[f"{name}_unique_objects"] = Score(float(objects), COUNT_TOLERANCE)
    return fields


def comparing_fields(request: Request, frames: Mapping[str, Frames]) -> dict[str, Field]:
    """Compare the units of two models.

    Args:
        request: what was asked for.
        frames: units by model and method.
    """
    fields: dict[str, Field] = {}
    for method in next(iter(frames.values())):
        name = method.removesuffix("_units")
        own = {model: each[method] for model, each in frames.items() if method in each}
        fields[f"{name}_shared_concepts"] = Table.for_reading(_with_kind(request, _shared(own)))
        fields[f"{name}_difference"] = Table(
            _differences(own, request.seed),
            {"distance": DISTANCE_TOLERANCE, "p_value": P_TOLERANCE},
            unjudged=("units", "different"),
        )
    return fields


def _with_kind(request: Request, counts: pd.DataFrame) -> pd.DataFrame:
    """Say of each concept whether it is a scene or an object, where the words or the probe set know."""
    scene_like = request.vocabulary.words.scene_like if request.vocabulary else frozenset()
    known = {each.name: each.category for each in request.study.probe.concepts}
    kinds = ["scene" if c in scene_like else _kind(known.get(c)) for c in counts["concept"]]
    counts.insert(1, "kind", kinds)
    return counts


def _kind(category: str | None) -> str:
    return "scene" if category in ("scene", "background") else (category or "object")


def _layers(layers: Sequence[LabelledLayer], frames: Frames) -> pd.DataFrame:
    return pd.DataFrame([_layer(layer, frames) for layer in layers])


def _layer(layer: LabelledLayer, frames: Frames) -> dict[str, Any]:
    own = {method: frame[frame["layer"] == layer.name] for method, frame in frames.items()}
    row: dict[str, Any] = {"layer": layer.name, "units": len(layer.dead), "dead": int(layer.dead.sum())}
    if "clip_units" in own:
        row["clip_concepts"] = own["clip_units"]["label"].nunique()
    if layer.pixels is not None and "pixel_units" in own:
        frame = own["pixel_units"]
        chance = layer.pixels.by_chance
        row |= {
            "pixel_concepts": frame.loc[frame["interpretable"], "label"].nunique(),
            "interpretable": int(frame["interpretable"].sum()),
            "interpretable_by_chance": float((chance >= INTERPRETABLE).sum(axis=1).mean()) if len(chance) else np.nan,
            "beyond_chance": int((frame["false_discovery_rate"] <= FALSE_DISCOVERY_RATE).sum()),
            "mean_iou": float(frame["score"].mean()),
            # A unit that is at its maximum on more than the share of the threshold, as behind ReLU6, never exceeds it.
            "never_above_threshold": int((~layer.dead & ~layer.pixels.counts.unit.any(axis=1)).sum()),
        }
    if len(own) == 2:
        found = agreement(*(list(frame["label"]) for frame in own.values()))
        row |= {"agreement": found.share, "agreement_by_chance": found.expected, "kappa": found.kappa}
    return row


def _shared(frames: Frames) -> pd.DataFrame:
    """Units of each model by concept, and which of the models have any."""
    counts = {model: frame["label"].dropna().value_counts() for model, frame in frames.items()}
    table = pd.DataFrame(counts).fillna(0).astype(int)
    table["both"] = (table > 0).all(axis=1)
    table["total"] = table[list(counts)].sum(axis=1)
    ordered = table.sort_index().sort_values("total", ascending=False, kind="stable")
    return ordered.rename_axis("concept").reset_index()


def _differences(frames: Frames, seed: int) -> pd.DataFrame:
    """Test by layer that all models have, and over all layers, whether labels are distributed alike."""
    layers = _layers_of(frames)
    return pd.DataFrame([_difference(frames, layer, seed) for layer in [*layers, None]])


def _layers_of(frames: Frames) -> list[str]:
    per_model = [list(dict.fromkeys(frame["layer"])) for frame in frames.values()]
    return [layer for layer in per_model[0] if all(layer in others for others in per_model)]


def _difference(frames: Frames, layer: str | None, seed: int) -> dict[str, Any]:
    own = [frame if layer is None else frame[frame["layer"] == layer] for frame in frames.values()]
    found = difference(*(list(frame["label"]) for frame in own), seed=seed)
    return {
        "layer": layer or "all layers",
        "units": " and ".join(str(len(frame)) for frame in own),
        "distance": found.distance if found else np.nan,
        "p_value": found.p_value if found else np.nan,
        "different": "not measured" if found is None else "yes" if found.p_value < 0.05 else "not shown",
    }
