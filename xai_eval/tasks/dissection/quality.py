"""Measures how good the labels of units are, if it is known which concepts every image shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xai_eval.metrics.label_quality import LabelQuality, judge_label
from xai_eval.tasks.dissection.unit_frames import concept_names

if TYPE_CHECKING:
    from xai_eval.tasks.dissection.passes import Labelled, LabelledLayer

# The measures of a label. The threshold is not among them, because it only says how they were computed.
MEASURES = tuple(each.name for each in fields(LabelQuality) if each.name != "threshold")
Presence = Mapping[str, NDArray[np.bool_]]


def presence(labelled: Labelled, model: int) -> Presence:
    """Return for every labelled concept in which images a model sees it, bool (N,) by name of the concept."""
    plan, whole = labelled.probe_pass.plan, labelled.probe_pass.whole
    names = concept_names(plan.probe.concepts)
    shown = np.zeros((len(whole.positions), len(names)), dtype=bool)
    for row, image in enumerate(whole.summaries[plan.preparation_of(plan.models[model])]):
        if image.labels is not None:
            shown[row, np.flatnonzero(np.bincount(image.labels.unpack().ravel())[1:])] = True
    found = {name: shown[:, index] for index, name in enumerate(names)}
    for index, concept in enumerate(plan.probe.concepts):
        # CLIP knows only the word. An image shows it if it shows any of the concepts with this name.
        found[concept.name] = found.get(concept.name, np.zeros(len(shown), dtype=bool)) | shown[:, index]
    return found


def with_quality(frame: pd.DataFrame, layers: Sequence[LabelledLayer], shown: Presence) -> pd.DataFrame:
    """Add one column per measure, which compares the activation of each unit with the presence of its label.

    A value is NaN if it is unknown in which images the label is present.
    """
    if not shown:
        return frame
    activations = {layer.name: layer.activations for layer in layers}
    rows = zip(frame["layer"], frame["index"], frame["label"], strict=True)
    judged = [
        judge_label(activations[layer][:, unit], shown[label]) if label in shown else None
        for layer, unit, label in rows
    ]
    columns = {name: [np.nan if each is None else getattr(each, name) for each in judged] for name in MEASURES}
    return frame.assign(**columns)


def quality_table(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Return the mean of each measure by layer and method; None if it is unknown what the images show."""
    rows = list(_quality_rows(frames))
    return pd.DataFrame(rows) if rows else None


def _quality_rows(frames: Mapping[str, pd.DataFrame]) -> Iterator[dict[str, object]]:
    for method, frame in frames.items():
        if not set(MEASURES) <= set(frame.columns):
            continue
        for layer, own in frame.groupby("layer", sort=False):
            judged = own[own[MEASURES[0]].notna()]
            row = {"labels": f"{layer} by {method.removesuffix('_units')}", "units": len(judged)}
            yield {**row, **{name: float(judged[name].mean()) for name in MEASURES}}
