"""Tables that sum up the labels of units by concept and by layer, and compare two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from xai_eval.metrics.labels import agreement, distribution_difference
from xai_eval.metrics.unit_labels import (
    INTERPRETABLE,
    category_counts,
    concept_counts,
    interpretable,
    layer_summary,
    top_concepts,
    unique_concepts,
)
from xai_eval.result.fields import Field, Measures, Ranking, Score, Table, Tally
from xai_eval.tasks.dissection.passes import LabelledLayer
from xai_eval.tasks.dissection.quality import MEASURES, quality_table
from xai_eval.tasks.dissection.request import Request
from xai_eval.tasks.dissection.unit_frames import concept_names, plain

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_pixels import PixelLabels

FALSE_DISCOVERY_RATE = SIGNIFICANT = 0.05
TOP_CONCEPTS = 5
# Two labels of a unit can be nearly tied and swap. A count may change by this many units for that reason alone.
COUNT_TOLERANCE = 2.0
DISTANCE_TOLERANCE, P_TOLERANCE = 0.05, 0.1
# Of tables by layer. Labels that are nearly tied change the mean over the units by what two of them make of it.
MEAN_TOLERANCE = 0.02
SHARES = ("agreement", "agreement_by_chance", "kappa")
OF_LAYERS = {"units": 0.0, "mean_iou": 0.005}
Frames = Mapping[str, pd.DataFrame]


def summaries(request: Request, layers: Sequence[LabelledLayer], frames: Frames) -> dict[str, Field]:
    """Sum up the units of one model.

    Args:
        request: the checked options.
        layers: the layers of the model.
        frames: table of the units of the model, by method.
    """
    by_layer = _layers(layers, frames)
    fields: dict[str, Field] = {
        "layers": Table(by_layer, _tolerance(by_layer, SHARES, OF_LAYERS)),
        "thresholds": thresholds(),
    }
    quality = quality_table(frames)
    if quality is not None:
        fields["label_quality"] = Table(quality, _tolerance(quality, MEASURES))
    for method, frame in _reliable_labels(frames).items():
        name = method.removesuffix("_units")
        fields[f"{name}_concepts"] = _tally(_by_layer(request, frame))
        if "category" in frame:
            fields[f"{name}_categories"] = _tally(_categories(frame))
        best = top_concepts(frame, TOP_CONCEPTS)
        fields[f"{name}_top_concepts"] = Ranking(
            tuple(best["label"]), tuple(map(float, best["units"])), COUNT_TOLERANCE
        )
        objects = [each for each in unique_concepts(frame) if _kind(request, each) != "scene"]
        fields[f"{name}_unique_objects"] = Score(float(len(objects)), COUNT_TOLERANCE)
    return fields


def thresholds() -> Measures:
    """Return the numbers by which units are called interpretable, and differences significant."""
    values = {
        "interpretable from": INTERPRETABLE,
        "false discovery rate up to": FALSE_DISCOVERY_RATE,
        "significant below": SIGNIFICANT,
    }
    return Measures.of(values, {})


def comparing_fields(request: Request, frames: Mapping[str, Frames]) -> dict[str, Field]:
    """Compare the units of two models.

    Args:
        request: the checked options.
        frames: tables of the units, by model and method.
    """
    fields: dict[str, Field] = {"thresholds": thresholds()}
    told = {model: _reliable_labels(each) for model, each in frames.items()}
    first, *others = told.values()
    for method in (each for each in first if all(each in other for other in others)):
        name = method.removesuffix("_units")
        own = {model: each[method] for model, each in told.items()}
        fields[f"{name}_shared_concepts"] = _tally(_shared(request, own))
        fields[f"{name}_difference"] = Table(
            _differences(own, request.seed),
            {"distance": DISTANCE_TOLERANCE, "expected_by_chance": DISTANCE_TOLERANCE, "p_value": P_TOLERANCE},
            unjudged=("different",),
        )
    return fields


def _tally(frame: pd.DataFrame) -> Tally:
    """Return a table of counts, each of which, as well as the flags of its rows, nearly tied labels may change."""
    loose = (name for name, column in frame.items() if pd.api.types.is_numeric_dtype(column))
    return Tally(frame, dict.fromkeys(map(str, loose), COUNT_TOLERANCE))


def _tolerance(
    frame: pd.DataFrame, shares: Sequence[str], others: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return by how much the numbers of a table by layer may differ.

    A share of the units of a layer, or a mean over them, may change by what two units of the smallest layer do to it.
    All numbers but these and `others` are counts.
    """
    fewest = max(int(frame["units"].min()), 1)
    of_shares = max(MEAN_TOLERANCE, min(1.0, COUNT_TOLERANCE / fewest))
    counts = {str(name): COUNT_TOLERANCE for name in frame.columns[1:]}
    found = {**counts, **dict.fromkeys(shares, of_shares), **(others or {})}
    return {name: limit for name, limit in found.items() if name in frame}


def _reliable_labels(frames: Frames) -> dict[str, pd.DataFrame]:
    """Drop the pixel labels of units that are not interpretable: their best label still fits badly."""
    return {
        method: frame.assign(label=frame["label"].where(frame["interpretable"])) if "interpretable" in frame else frame
        for method, frame in frames.items()
    }


def _kind(request: Request, concept: str) -> str:
    """Return the category of a concept, from the words or the probe set. It is `object` if neither knows it."""
    if request.vocabulary is not None and concept in request.vocabulary.words.scene_like:
        return "scene"
    concepts = request.plan.probe.concepts
    known = dict(zip(concept_names(concepts), (each.category for each in concepts), strict=True))
    category = known.get(concept, "object")
    return "scene" if category == "background" else category


def _by_layer(request: Request, frame: pd.DataFrame) -> pd.DataFrame:
    """Count units by concept (rows, most frequent first) and layer (columns), with the total."""
    counts = concept_counts(frame).pivot(index="label", columns="layer", values="units").fillna(0).astype(int)
    counts = counts.reindex(columns=frame["layer"].unique(), fill_value=0)
    counts["total"] = counts.sum(axis=1)
    counts.insert(0, "kind", [_kind(request, concept) for concept in counts.index])
    return _most_first(counts)


def _categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Count interpretable units by layer and category of their concept."""
    counts = category_counts(frame)
    counts.insert(
        0, "of", [f"{layer}, {each}" for layer, each in zip(counts["layer"], counts["category"], strict=True)]
    )
    return counts


def _most_first(counts: pd.DataFrame) -> pd.DataFrame:
    ordered = counts.sort_index().sort_values("total", ascending=False, kind="stable")
    return ordered.rename_axis(columns=None).rename_axis("concept").reset_index()


def _layers(layers: Sequence[LabelledLayer], frames: Frames) -> pd.DataFrame:
    return pd.DataFrame([_layer(layer, frames) for layer in layers])


def _layer(layer: LabelledLayer, frames: Frames) -> dict[str, Any]:
    own = {method: frame[frame["layer"] == layer.name] for method, frame in frames.items()}
    row: dict[str, Any] = {"layer": layer.name, "units": len(layer.dead), "dead": int(layer.dead.sum())}
    if "clip_units" in own:
        row["clip_concepts"] = int(layer_summary(own["clip_units"])["unique_labels"].item())
    if layer.pixels is not None and "pixel_units" in own:
        row |= _by_pixels(layer, layer.pixels, own["pixel_units"])
    if len(own) == 2:
        one, other = ([plain(label) if pd.notna(label) else None for label in each["label"]] for each in own.values())
        found = agreement(one, other)
        row |= {"agreement": found.share, "agreement_by_chance": found.chance, "kappa": found.kappa}
    return row


def _by_pixels(layer: LabelledLayer, pixels: PixelLabels, frame: pd.DataFrame) -> dict[str, Any]:
    """Count interpretable units, and how many would be interpretable by chance."""
    chance, told = pixels.by_chance, interpretable(frame)
    row = {
        "pixel_concepts": len(unique_concepts(told)),
        "interpretable": len(told),
        "mean_iou": float(layer_summary(frame)["mean_score"].item()),
        # The threshold is a quantile. A unit that is often at its maximum, as after ReLU6, never exceeds it.
        "never_above_threshold": int((~layer.dead & ~pixels.counts.unit.any(axis=1)).sum()),
    }
    if len(chance):
        row["interpretable_by_chance"] = float((chance >= INTERPRETABLE).sum(axis=1).mean())
        row["beyond_chance"] = int((frame["false_discovery_rate"] <= FALSE_DISCOVERY_RATE).sum())
    return row


def _shared(request: Request, frames: Frames) -> pd.DataFrame:
    """Count the units of each model by concept, and say whether all models have units of it."""
    counts = {model: frame["label"].dropna().value_counts() for model, frame in frames.items()}
    table = pd.DataFrame(counts).fillna(0).astype(int)
    table["shared"] = (table > 0).all(axis=1)
    table["total"] = table[list(counts)].sum(axis=1)
    table.insert(0, "kind", [_kind(request, concept) for concept in table.index])
    return _most_first(table)


def _differences(frames: Frames, seed: int) -> pd.DataFrame:
    """Test for each layer that all models have, and for all layers together, whether the labels differ."""
    first, *others = (list(frame["layer"].unique()) for frame in frames.values())
    layers = [layer for layer in first if all(layer in other for other in others)]
    return pd.DataFrame([_difference(frames, layer, seed) for layer in [*layers, None]])


def _difference(frames: Frames, layer: str | None, seed: int) -> dict[str, Any]:
    own = [frame if layer is None else frame[frame["layer"] == layer] for frame in frames.values()]
    one, other = ([label if pd.notna(label) else None for label in frame["label"]] for frame in own)
    found = distribution_difference(one, other, seed)
    return {
        "layer": layer or "all layers",
        "units": " and ".join(str(len(frame)) for frame in own),
        "distance": found.distance,
        "expected_by_chance": found.expected,
        "p_value": found.p,
        "different": "yes" if found.p < SIGNIFICANT else "not shown",
    }
