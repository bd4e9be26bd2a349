"""Tables of units: the label of each unit, its score, its runner-up, and how probable it is by chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.false_discovery import discovery_rates, pooled_p_values
from xai_eval.metrics.unit_labels import INTERPRETABLE

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_pixels import PixelLabels
    from xai_eval.inputs.probes.probe_set import Concept
    from xai_eval.tasks.dissection.passes import LabelledLayer

Scores = NDArray[np.floating[Any]]


def clip_frame(layer: LabelledLayer, scores: Scores, words: Sequence[str], images: Sequence[str]) -> pd.DataFrame:
    """Return one row per unit of a layer, labelled by CLIP.

    Args:
        layer: the layer, with J units.
        scores: similarity of the units to the words, (J, M); higher is more similar.
        words: the M words.
        images: names of the images by row.
    """
    return _frame(layer, _best_two(scores, words, ~layer.dead), images)


def pixel_frame(
    layer: LabelledLayer, pixels: PixelLabels, concepts: Sequence[Concept], images: Sequence[str]
) -> pd.DataFrame:
    """Return one row per unit of a layer, labelled by the concept that overlaps most with its active pixels."""
    best, labelled = pixels.best, ~layer.dead & (pixels.best.concept >= 0)
    frame = _frame(layer, _best_two(pixels.counts.iou(), concept_names(concepts), labelled), images)
    frame["category"] = [concepts[at].category if ok else None for at, ok in zip(best.concept, labelled, strict=True)]
    frame["interpretable"] = (frame["score"] >= INTERPRETABLE) & frame["label"].notna()
    if len(pixels.by_chance):
        of_live = np.where(layer.dead, np.nan, best.iou)
        frame["p_value"] = pooled_p_values(of_live, pixels.by_chance[:, ~layer.dead])
        frame["false_discovery_rate"] = discovery_rates(frame["p_value"].to_numpy())
    return frame


def score_tolerance(scores: Scores) -> float:
    """Return by how much the score of a unit may change.

    It is a hundredth of the difference between a unit's best and worst score, as the median over the units. No fixed
    number would do, because the scales of the similarity functions differ by orders of magnitude.
    """
    live = scores[~np.isnan(scores).all(axis=1)]
    if not len(live):
        return 0.0
    return float(np.median(np.nanmax(live, axis=1) - np.nanmin(live, axis=1))) / 100


def plain(label: str | None) -> str | None:
    """Return the name of a concept without the category in brackets that `concept_names` may have added."""
    return re.sub(r" \([^()]*\)$", "", label) if label is not None else None


def concept_names(concepts: Sequence[Concept]) -> list[str]:
    """Return the names of concepts. The category is added in brackets if two concepts share a name."""
    often = Counter(concept.name for concept in concepts)
    return [f"{each.name} ({each.category})" if often[each.name] > 1 else each.name for each in concepts]


def _best_two(scores: Scores, names: Sequence[str], labelled: NDArray[np.bool_]) -> pd.DataFrame:
    """Return label, score, runner-up and margins of every unit; None and NaN for a unit without a label.

    The margin of the runner-up is infinite if nothing could take its place.
    """
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1).astype(np.float64)
    several = scores.shape[1] > 1
    second = ranked[:, 1] if several else np.full(len(scores), np.nan)
    third = np.nan_to_num(ranked[:, 2], nan=-np.inf) if scores.shape[1] > 2 else np.full(len(scores), -np.inf)
    # A live unit may have no score for any concept, for example if rank_reorder finds that its top images are all
    # alike.
    labelled = labelled & ~np.isnan(ranked[:, 0])
    runners_up = [names[row[1]] if several else None for row in order]
    return pd.DataFrame(
        {
            "label": _where(labelled, [names[first] for first in order[:, 0]]),
            "score": np.where(labelled, ranked[:, 0], np.nan),
            "second": _where(labelled & ~np.isnan(second), runners_up),
            "margin": np.where(labelled, ranked[:, 0] - second, np.nan),
            "second_margin": np.where(labelled & ~np.isnan(second), second - third, np.nan),
        }
    )


def _where(kept: NDArray[np.bool_], names: Sequence[str | None]) -> list[str | None]:
    return [name if ok else None for name, ok in zip(names, kept, strict=True)]


def _frame(layer: LabelledLayer, labels: pd.DataFrame, images: Sequence[str]) -> pd.DataFrame:
    count = len(layer.dead)
    return pd.concat(
        [
            pd.DataFrame({"unit": [f"{layer.name}/{unit}" for unit in range(count)]}),
            labels,
            pd.DataFrame(
                {
                    "layer": layer.name,
                    "index": np.arange(count),
                    "dead": layer.dead,
                    "top_images": [", ".join(images[row] for row in rows) for rows in layer.top],
                }
            ),
        ],
        axis=1,
    )
