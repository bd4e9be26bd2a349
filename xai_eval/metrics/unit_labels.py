"""What the labels of units come to: tables over layers, concepts and categories.

All take a frame of units with the columns `layer`, `unit`, `label` (None where there is none) and `score`, and for
labels with categories `category`. Layers stay in the order in which they first come.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# The IoU from which on Network Dissection calls a unit interpretable.
INTERPRETABLE = 0.04


def interpretable(units: pd.DataFrame, least: float = INTERPRETABLE) -> pd.DataFrame:
    """Return the units with a label and a score of `least` or more; of IoU, 0.04 is the bound of Network Dissection."""
    return units[units["label"].notna() & (units["score"] >= least)]


def layer_summary(units: pd.DataFrame) -> pd.DataFrame:
    """One row a layer: units, how many are labelled, unique labels, and the mean score of the labelled."""
    layers = units.groupby("layer", sort=False)
    labelled = units[units["label"].notna()].groupby("layer", sort=False)
    summary = layers.size().to_frame("units")
    summary["labelled"] = labelled.size().reindex(summary.index, fill_value=0)
    summary["unique_labels"] = labelled["label"].nunique().reindex(summary.index, fill_value=0)
    summary["mean_score"] = labelled["score"].mean().reindex(summary.index)
    return summary.reset_index()


def concept_counts(units: pd.DataFrame) -> pd.DataFrame:
    """One row a layer and concept, with the number of units: most first, then alphabetically."""
    counts = units.groupby(["layer", "label"], sort=False).size().rename("units").reset_index()
    places = {layer: place for place, layer in enumerate(units["layer"].unique())}
    counts = counts.sort_values(["units", "label"], ascending=[False, True])
    return counts.sort_values("layer", key=lambda layers: layers.map(places), kind="stable").reset_index(drop=True)


def category_counts(units: pd.DataFrame) -> pd.DataFrame:
    """One row a layer and category: units and unique labels, most units first."""
    groups = units[units["label"].notna()].groupby(["layer", "category"], sort=False)["label"]
    counts = groups.agg(units="size", unique_labels="nunique").reset_index()
    return counts.sort_values(["units", "category"], ascending=[False, True], kind="stable").reset_index(drop=True)


def top_concepts(units: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """Return the concepts with most units over all layers, ties alphabetically: columns `label` and `units`."""
    labels = units["label"].dropna().value_counts().rename("units").rename_axis("label").reset_index()
    return labels.sort_values(["units", "label"], ascending=[False, True]).head(count).reset_index(drop=True)


def unique_concepts(units: pd.DataFrame, leave_out: Collection[str] = ()) -> tuple[str, ...]:
    """Return the concepts that any unit stands for, alphabetically; without some, such as scene-like ones."""
    return tuple(sorted(set(units["label"].dropna()) - set(leave_out)))
