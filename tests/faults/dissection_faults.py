"""Faults in the parts of a dissection."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from fault import Fault, replaced, scaled

from xai_eval.explainers.dissection import by_clip, by_pixels, counts, image_strips, netdissect, observe, observe_shard
from xai_eval.explainers.dissection.similarity import SIMILARITIES
from xai_eval.inputs.clip import clip
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.dissection import dissection_results, label_tables
from xai_eval.tasks.dissection import passes as dissection_pass
from xai_eval.tasks.dissection import unit_frames as dissection_units


def half_the_prior(original: Any) -> Any:
    """The prior of soft-WPMI over half of the units."""

    def score(similarity: Any, activations: Any, **options: Any) -> Any:
        half = activations.shape[1] // 2
        parts = activations[:, :half], activations[:, half:]
        return np.concatenate([original(similarity, part, **options) for part in parts])

    return score


def clip_in_training(original: Any) -> Any:
    def start(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self.module.train()

    return start


class Remembered:
    """Activations by the name of the layer alone: those of the first batch are taken for all."""

    def __init__(self, original: Any) -> None:
        self.original, self.known = original, None

    def __call__(self, model: Any, batch: torch.Tensor) -> Any:
        if self.known is None or len(next(iter(self.known.values()))) != len(batch):
            self.known = self.original(model, batch)
        return self.known


def scored(name: str, make: Any) -> Any:
    """Replace one function of similarity."""
    return replaced(by_clip, "SIMILARITIES", lambda table: {**table, name: make(SIMILARITIES[name])})


def second_best(original: Any) -> Any:
    def best(*args: Any) -> Any:
        found = original(*args)
        swapped = found["second"].where(found["second"].notna(), found["label"])
        return found.assign(label=swapped, second=found["label"])

    return best


def one_image_fewer(original: Any) -> Any:
    return lambda similarity, activations, top_k: original(similarity, activations, top_k=top_k - 1)


def in_a_prompt(original: Any) -> Any:
    return lambda self, texts: original(self, [f"a photo of a {text}" for text in texts])


def by_nearest_neighbour(_original: Any) -> Any:
    return lambda old, new: torch.nn.functional.interpolate(torch.eye(old)[None], size=new, mode="nearest")[0].numpy()


def twice_the_lead(original: Any) -> Any:
    def best(*args: Any) -> Any:
        found = original(*args)
        return found.assign(margin=2 * found["margin"])

    return best


def mirrored(original: Any) -> Any:
    def outputs(model: Any, batch: Any) -> Any:
        return {name: each.flip(3) if each.ndim == 4 else each for name, each in original(model, batch).items()}

    return outputs


def largest(original: Any) -> Any:
    """Maps are pooled by their maximum; what a layer without places gives is not pooled."""
    return lambda output: output.amax(dim=(2, 3)) if output.ndim == 4 else original(output)


def of_the_next_unit(original: Any) -> Any:
    def with_quality(frame: Any, layers: Any, shown: Any) -> Any:
        turned = [dataclasses.replace(each, activations=np.roll(each.activations, 1, axis=1)) for each in layers]
        return original(frame, turned, shown)

    return with_quality


def other_runners_up(original: Any) -> Any:
    def best(*args: Any) -> Any:
        found = original(*args)
        return found.assign(second=np.roll(found["second"].to_numpy(), 1))

    return best


def reading(name: str, inject: Any) -> Fault:
    """A fault in what only people read."""
    return Fault(name, "dissection", ("dissection",), StageKind.MEASURES, inject)


FAULTS = (
    Fault(
        "maps are mirrored",
        "dissection",
        ("dissection",),
        Stage(StageKind.UNIT_MAPS, "layer4"),
        replaced(observe_shard, "layer_outputs", mirrored),
    ),
    Fault(
        "a pixel more in every union",
        "dissection",
        ("dissection",),
        Stage(StageKind.OVERLAP, "layer4"),
        replaced(counts, "intersection_over_union", lambda o: lambda both, unit, label: o(both, unit + 1, label)),
    ),
    reading(
        "the agreement of two methods is doubled",
        replaced(label_tables, "agreement", scaled(lambda found: dataclasses.replace(found, share=2 * found.share))),
    ),
    reading("the quality of the next unit", replaced(dissection_results, "with_quality", of_the_next_unit)),
    reading("the runner-up of the next unit", replaced(dissection_units, "_best_two", other_runners_up)),
    reading(
        "the images of the next unit",
        replaced(image_strips, "strips", lambda o: lambda p, layer, top: o(p, layer, np.roll(top, 1, axis=0))),
    ),
    reading("units are called interpretable earlier", replaced(label_tables, "INTERPRETABLE", lambda least: least / 2)),
    reading(
        "units are counted twice",
        replaced(label_tables, "concept_counts", scaled(lambda frame: frame.assign(units=2 * frame["units"]))),
    ),
    Fault(
        "activations are remembered by name",
        "dissection",
        ("dissection",),
        Stage(StageKind.ACTIVATIONS, "layer4"),
        replaced(observe_shard, "layer_outputs", Remembered),
        "23",
    ),
    Fault(
        "units are pooled by their maximum",
        "dissection",
        ("dissection",),
        Stage(StageKind.ACTIVATIONS, "layer4"),
        replaced(observe_shard, "pool_positions", largest),
    ),
    Fault(
        "units change places",
        "dissection",
        ("dissection",),
        Stage(StageKind.ACTIVATIONS, "layer4"),
        replaced(observe_shard, "layer_outputs", lambda o: lambda m, b: {k: v.flip(1) for k, v in o(m, b).items()}),
    ),
    Fault(
        "the layer's map is in half precision",
        "dtype",
        ("dissection",),
        Stage(StageKind.ACTIVATIONS, "layer4"),
        replaced(observe, "_checked", lambda o: lambda *a: o(*a).bfloat16().float()),
    ),
    Fault(
        "the prior runs over some units",
        "dissection",
        ("dissection",),
        Stage(StageKind.SIMILARITY, "layer4"),
        scored("soft_wpmi", half_the_prior),
        "24",
    ),
    Fault(
        "no prior",
        "dissection",
        ("dissection",),
        Stage(StageKind.SIMILARITY, "layer4"),
        scored("soft_wpmi", lambda o: lambda s, a, **k: o(s, a, **k, lam=0.0)),
    ),
    Fault(
        "words move by one",
        "dissection",
        ("dissection",),
        StageKind.WORD_EMBEDDINGS,
        replaced(clip.Clip, "embed_texts", lambda o: lambda self, t: o(self, t).roll(1, 0)),
        "25",
    ),
    Fault(
        "embeddings are not of unit length",
        "dissection",
        ("dissection",),
        StageKind.EMBEDDINGS,
        replaced(clip.Clip, "embed_images", lambda o: lambda self, b: o(self, b) * 1.3),
    ),
    Fault(
        "CLIP is left in training mode",
        "model state",
        ("dissection",),
        StageKind.CLIP_TRAINING_FLAGS,
        replaced(clip.Clip, "__init__", clip_in_training),
    ),
    Fault(
        "CLIP's images are BGR",
        "dissection",
        ("dissection",),
        StageKind.EMBEDDINGS,
        replaced(clip.ClipPreprocessing, "__call__", lambda o: lambda self, i: o(self, i).flip(0)),
    ),
    Fault(
        "the least active images",
        "dissection",
        ("dissection",),
        Stage(StageKind.TOP_K, "layer4"),
        replaced(by_clip, "most_active", lambda o: lambda a, k: o(-a, k)),
    ),
    Fault(
        "another quantile",
        "dissection",
        ("dissection",),
        Stage(StageKind.OVERLAP, "layer4"),
        replaced(by_pixels, "SHARE", lambda _: 0.001),
    ),
    Fault(
        "overlap by another count",
        "dissection",
        ("dissection",),
        Stage(StageKind.OVERLAP, "layer4"),
        replaced(by_pixels.Counts, "iou", scaled(lambda iou: iou**2)),
    ),
    Fault(
        "labels are the second best",
        "dissection",
        ("dissection",),
        StageKind.LABELS_BY_CLIP,
        replaced(dissection_units, "_best_two", second_best),
    ),
    Fault(
        "words are not embedded alike",
        "dissection",
        ("dissection",),
        Stage(StageKind.SIMILARITY, "layer4"),
        replaced(dissection_pass, "_labelled", lambda o: lambda r, s, i, w: o(r, s, i, w[::-1])),
    ),
    Fault(
        "one top image fewer",
        "dissection",
        ("dissection",),
        Stage(StageKind.SIMILARITY, "layer4"),
        scored("soft_wpmi", one_image_fewer),
    ),
    Fault(
        "words in a prompt",
        "dissection",
        ("dissection",),
        StageKind.WORD_EMBEDDINGS,
        replaced(clip.Clip, "embed_texts", in_a_prompt),
    ),
    Fault(
        "maps scaled by nearest neighbour",
        "dissection",
        ("dissection",),
        Stage(StageKind.OVERLAP, "layer4"),
        replaced(netdissect, "_interpolation", by_nearest_neighbour),
    ),
    Fault(
        "the lead of a label is doubled",
        "dissection",
        ("dissection",),
        StageKind.MEASURES,
        replaced(dissection_units, "_best_two", twice_the_lead),
    ),
)
