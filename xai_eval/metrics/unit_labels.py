"""Sums up the labels of units in tables by layer, concept and category.

All functions take a table of units with the columns `layer`, `unit`, `label` (None for a unit without a label) and
`score`; `category_counts` needs the column `category` too. Layers keep the order in which they first appear.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Network Dissection (Bau et al. 2017) calls a unit interpretable if the IoU of its label is at least this.
INTERPRETABLE = 0.04


def interpretable(units: pd.DataFrame, least: float = INTERPRETABLE) -> pd.DataFrame:
    """Return the units that have a label and a score of at least `least`; by default the IoU of Network Dissection."""
    return units[units["label"].notna() & (units["score"] >= least)]


def layer_summary(units: pd.DataFrame) -> pd.DataFrame:
    """Return one row per layer: number of units, labelled units and unique labels, and mean score of labelled units."""
    layers = units.groupby("layer", sort=False)
    labelled = units[units["label"].notna()].groupby("layer", sort=False)
    summary = layers.size().to_frame("units")
    summary["labelled"] = labelled.size().reindex(summary.index, fill_value=0)
    summary["unique_labels"] = labelled["label"].nunique().reindex(summary.index, fill_value=0)
    summary["mean_score"] = labelled["score"].mean().reindex(summary.index)
    return summary.reset_index()


def concept_counts(units: pd.DataFrame) -> pd.DataFrame:
    """Return one row per layer and concept, with the number of units: most units first, then alphabetically."""
    counts = units.groupby(["layer", "label"], sort=False).size().rename("units").reset_index()
    places = {layer: place for place, layer in enumerate(units["layer"].unique())}
    counts = counts.sort_values(["units", "label"], ascending=[False, True])
    return counts.sort_values("layer", key=lambda layers: layers.map(places), kind="stable").reset_index(drop=True)


def category_counts(units: pd.DataFrame) -> pd.DataFrame:
    """Return one row per layer and category, with the number of units and unique labels: most units first."""
    groups = units[units["label"].notna()].groupby(["layer", "category"], sort=False)["label"]
    counts = groups.agg(units="size", unique_labels="nunique").reset_index()
    return counts.sort_values(["units", "category"], ascending=[False, True], kind="stable").reset_index(drop=True)


def top_concepts(units: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """Return the `count` concepts with most units over all layers, in the columns `label` and `units`.

    Concepts with equally many units are in alphabetical order.
    """
    labels = units["label"].dropna().value_counts().rename("units").rename_axis("label").reset_index()
    return labels.sort_values(["units", "label"], ascending=[False, True]).head(count).reset_index(drop=True)


def unique_concepts(units: pd.DataFrame, leave_out: Collection[str] = ()) -> tuple[str, ...]:
    """Return the concepts that at least one unit has as its label, in alphabetical order, without `leave_out`."""
    return tuple(sorted(set(units["label"].dropna()) - set(leave_out)))
