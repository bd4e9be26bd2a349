"""Tables of units: which concept each one stands for, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.false_discovery import discovery_rates, pooled_p_values
from xai_eval.metrics.unit_labels import INTERPRETABLE

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_pixels import PixelLabels
    from xai_eval.inputs.probe_set import Concept
    from xai_eval.tasks.dissection_pass import LabelledLayer

Scores = NDArray[np.floating[Any]]


def clip_frame(layer: LabelledLayer, scores: Scores, words: Sequence[str], pictures: Sequence[str]) -> pd.DataFrame:
    """One row a unit of a layer, labelled by CLIP.

    Args:
        layer: the layer.
        scores: similarity to the words, (J, M).
        words: M words.
        pictures: names of the pictures by row.
    """
    return _frame(layer, _best_two(scores, words, ~layer.dead), pictures)


def pixel_frame(
    layer: LabelledLayer, pixels: PixelLabels, concepts: Sequence[Concept], pictures: Sequence[str]
) -> pd.DataFrame:
    """One row a unit of a layer, labelled by the pixels that it is active on."""
    best, labelled = pixels.best, ~layer.dead & (pixels.best.concept >= 0)
    frame = _frame(layer, _best_two(pixels.counts.iou(), concept_names(concepts), labelled), pictures)
    frame["category"] = [concepts[at].category if ok else None for at, ok in zip(best.concept, labelled, strict=True)]
    frame["interpretable"] = (frame["score"] >= INTERPRETABLE) & frame["label"].notna()
    if len(pixels.by_chance):
        of_live = np.where(layer.dead, np.nan, best.iou)
        frame["p_value"] = pooled_p_values(of_live, pixels.by_chance[:, ~layer.dead])
        frame["false_discovery_rate"] = discovery_rates(frame["p_value"].to_numpy())
    return frame


def concept_names(concepts: Sequence[Concept]) -> list[str]:
    """Names of concepts, with their category where two concepts share a name."""
    names = [concept.name for concept in concepts]
    return [f"{each.name} ({each.category})" if names.count(each.name) > 1 else each.name for each in concepts]


def _best_two(scores: Scores, names: Sequence[str], labelled: NDArray[np.bool_]) -> pd.DataFrame:
    """Label, score, runner-up and margin of every row; nothing but NaN where a unit is not labelled."""
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1).astype(np.float64)
    several = scores.shape[1] > 1
    second = ranked[:, 1] if several else np.full(len(scores), np.nan)
    return pd.DataFrame(
        {
            "label": [names[first] if ok else None for first, ok in zip(order[:, 0], labelled, strict=True)],
            "score": np.where(labelled, ranked[:, 0], np.nan),
            "second": [names[row[1]] if ok and several else None for row, ok in zip(order, labelled, strict=True)],
            "margin": np.where(labelled, ranked[:, 0] - second, np.nan),
        }
    )


def _frame(layer: LabelledLayer, labels: pd.DataFrame, pictures: Sequence[str]) -> pd.DataFrame:
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
                    "top_images": [", ".join(pictures[row] for row in rows) for rows in layer.top],
                }
            ),
        ],
        axis=1,
    )
