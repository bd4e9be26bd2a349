"""More faults of dissections: maps of units, CLIP, counts, and tables that people read."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import open_clip
import torch
from fault import Fault, everywhere, reframed, replaced, scaled
from torch import nn

from xai_eval.explainers.dissection import (
    by_pixels,
    image_strips,
    observe_shard,
    similarity,
    sums_of_logs,
)
from xai_eval.explainers.dissection.quantile import TopValues
from xai_eval.inputs.clip import clip
from xai_eval.metrics.false_discovery import pooled_p_values
from xai_eval.metrics.unit_labels import interpretable
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.dissection import dissection_results, label_tables, quality, unit_frames

AGAINST = {"against": "scenes:places", "layers": ["layer4"]}
OVERLAP, UNIT_MAPS = Stage(StageKind.OVERLAP, "layer4"), Stage(StageKind.UNIT_MAPS, "layer4")


def outputs(change: Any) -> Any:
    """The maps of layers are changed, and not what a layer without places gives."""

    def changed(original: Any) -> Any:
        def found(model: Any, batch: Any) -> Any:
            return {name: change(each) if each.ndim == 4 else each for name, each in original(model, batch).items()}

        return found

    return replaced(observe_shard, "layer_outputs", changed)


def without_border(original: Any) -> Any:
    return lambda output: original(output[:, :, 1:-1, 1:-1] if output.ndim == 4 else output)


def first_two_swapped(maps: torch.Tensor) -> torch.Tensor:
    """The maps of two images change places in their batch; means are not those of their images either."""
    order = [1, 0, *range(2, len(maps))] if len(maps) > 1 else [0]
    return maps[order]


def rolled_positions(original: Any) -> Any:
    """Maps are taken for those of the next image of their shard."""

    def maps(output: Any, positions: Any, lowest: Any) -> Any:
        return original(output, np.roll(positions, -1), lowest)

    return maps


def lower(_original: Any) -> Any:
    """The quantile is not interpolated: the value below it is taken."""

    def quantile(self: Any, share: float) -> Any:
        place = int(np.floor((self.count - 1) * (1 - share)))
        return self.values[:, self.count - 1 - place].double().numpy()

    return quantile


def one_value_later(_original: Any) -> Any:
    def quantile(self: Any, share: float) -> Any:
        place = int(np.floor((self.count - 1) * (1 - share)))
        return self.values[:, max(0, self.count - 3 - place)].double().numpy()

    return quantile


def own_labels(_original: Any) -> Any:
    """Labels are not shuffled: every image keeps its own."""
    return lambda count, seed: np.arange(count)


def same_shuffle(original: Any) -> Any:
    return lambda count, seed: original(count, 7)


def over_images(original: Any) -> Any:
    """The softmax runs over images, not over words."""

    def of(values: Any, a: float) -> Any:
        peaks = np.broadcast_to(values.max(axis=0, keepdims=True), values.shape).max(axis=1, keepdims=True)
        shares = np.full((len(values), 1), 1 / len(values), dtype=np.float32)
        return dataclasses.replace(original(values, a), peaks=peaks, shares=shares, whole=None)

    return staticmethod(of)


def mean_of_imagenet(original: Any) -> Any:
    def call(self: Any, image: Any) -> Any:
        changed = dataclasses.replace(self.config, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        return open_clip.transform.image_transform_v2(changed, is_train=False)(image)

    return call


def quick_gelu(_original: Any) -> Any:
    return lambda self, x: x * torch.sigmoid(1.702 * x)


def without_mask(original: Any) -> Any:
    def forward(self: Any, x: Any, attn_mask: Any = None, **options: Any) -> Any:
        return original(self, x, attn_mask=None, **options)

    return forward


def column(name: str, change: Any) -> Any:
    """Change one column of a frame."""
    return lambda frame: frame.assign(**{name: change(frame[name])}) if name in frame else frame


def one_more(values: Any) -> Any:
    found = values.copy()
    found.iloc[0] += 1
    return found


def of_next(values: Any) -> Any:
    return np.roll(values.to_numpy(), 1)


def row_with(**changes: Any) -> Any:
    def make(original: Any) -> Any:
        def row(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            return {**found, **{name: change(found[name]) for name, change in changes.items() if name in found}}

        return row

    return make


def tally_with(name: str) -> Any:
    return lambda original: lambda *args: column(name, one_more)(original(*args))


def turned_strips(original: Any) -> Any:
    return lambda pass_, layer, top: original(pass_, layer, top[:, ::-1])


def interpretation_of(change: Any) -> Any:
    def make(original: Any) -> Any:
        def fields(*args: Any) -> Any:
            found = original(*args)
            tally = found["interpretation"]
            return {**found, "interpretation": reframed(tally, change(tally.frame))}

        return fields

    return replaced(dissection_results, "_interpretation", make)


def of_another_image(original: Any) -> Any:
    def fields(request: Any, *rest: Any) -> Any:
        return original(dataclasses.replace(request, image=3), *rest)

    return fields


def unit(name: str, stage: Any, inject: Any, kind: str = "maps", **given: Any) -> Fault:
    return Fault(name, kind, ("dissection",), stage, inject, **given)


def read(name: str, inject: Any, kind: str = "reading", **given: Any) -> Fault:
    return Fault(name, kind, ("dissection",), StageKind.MEASURES, inject, **given)


FAULTS = (
    unit("maps are a cell lower", UNIT_MAPS, outputs(lambda maps: maps.roll(1, 2))),
    unit("maps are transposed", UNIT_MAPS, outputs(lambda maps: maps.transpose(2, 3))),
    unit("maps are upside down", UNIT_MAPS, outputs(lambda maps: maps.flip(2))),
    unit("maps of two images change places", Stage(StageKind.ACTIVATIONS, "layer4"), outputs(first_two_swapped)),
    unit("maps belong to the next image", OVERLAP, replaced(observe_shard, "_maps", rolled_positions)),
    unit("the threshold is not interpolated", OVERLAP, replaced(TopValues, "quantile", lower), kind="counts"),
    unit("the threshold is a value higher", OVERLAP, replaced(TopValues, "quantile", one_value_later), kind="counts"),
    unit(
        "a pixel more of every label",
        OVERLAP,
        replaced(
            by_pixels.Counts,
            "iou",
            lambda o: lambda self: o(dataclasses.replace(self, label=self.label + 1)),
        ),
        kind="counts",
    ),
    unit(
        "a pixel less in every intersection",
        OVERLAP,
        replaced(
            by_pixels.Counts,
            "iou",
            lambda o: lambda self: o(dataclasses.replace(self, both=np.maximum(self.both - 1, 0))),
        ),
        kind="counts",
    ),
    unit(
        "labels are not shuffled",
        Stage(StageKind.OVERLAP_BY_CHANCE, "layer4"),
        replaced(by_pixels, "other_images", own_labels),
        kind="dissection",
    ),
    unit(
        "labels are shuffled by another seed",
        Stage(StageKind.OVERLAP_BY_CHANCE, "layer4"),
        replaced(by_pixels, "other_images", same_shuffle),
        kind="seeds",
    ),
    unit(
        "the softmax runs over images",
        Stage(StageKind.SIMILARITY, "layer4"),
        replaced(sums_of_logs._Softmax, "of", over_images),
        kind="dissection",
    ),
    unit(
        "the first top image counts most",
        Stage(StageKind.SIMILARITY, "layer4"),
        replaced(similarity, "_LAST", lambda _: 0.98),
        kind="dissection",
    ),
    unit(
        "CLIP's images have the mean of ImageNet",
        StageKind.EMBEDDINGS,
        replaced(clip.ClipPreprocessing, "__call__", mean_of_imagenet),
        kind="dissection",
    ),
    unit(
        "CLIP has another GELU",
        StageKind.WORD_EMBEDDINGS,
        replaced(nn.GELU, "forward", quick_gelu),
        kind="dissection",
    ),
    unit(
        "words see what follows them",
        StageKind.WORD_EMBEDDINGS,
        replaced(open_clip.transformer.Transformer, "forward", without_mask),
        kind="dissection",
    ),
    unit(
        "embeddings of the next image",
        StageKind.EMBEDDINGS,
        replaced(
            observe_shard,
            "_embeddings",
            scaled(lambda found: None if found is None else np.roll(found, 1, axis=0)),
        ),
        kind="dissection",
    ),
    unit(
        "the means of units leave out the border",
        Stage(StageKind.ACTIVATIONS, "layer4"),
        replaced(observe_shard, "pool_positions", without_border),
    ),
    read(
        "a unit more is interpretable",
        replaced(label_tables, "_by_pixels", row_with(interpretable=lambda n: n + 1)),
        kind="counts",
    ),
    read("a dead unit more", replaced(label_tables, "_layer", row_with(dead=lambda n: n + 1)), kind="counts"),
    read(
        "a concept less is found by CLIP",
        replaced(label_tables, "_layer", row_with(clip_concepts=lambda n: n - 1)),
        kind="counts",
    ),
    read(
        "a unit more beyond chance",
        replaced(label_tables, "_by_pixels", row_with(beyond_chance=lambda n: n + 1)),
        kind="counts",
    ),
    read(
        "a unit never exceeds its threshold",
        replaced(label_tables, "_by_pixels", row_with(never_above_threshold=lambda n: n + 1)),
        kind="counts",
    ),
    read("a unit more of the first concept", replaced(label_tables, "_by_layer", tally_with("layer4")), kind="counts"),
    read("the total of a concept is one more", replaced(label_tables, "_by_layer", tally_with("total")), kind="counts"),
    read("a unit more of a category", replaced(label_tables, "_categories", tally_with("units")), kind="counts"),
    read(
        "a unique object more",
        replaced(label_tables, "unique_concepts", scaled(lambda found: [*found, "nothing"])),
        kind="counts",
    ),
    read(
        "the five best concepts have a unit more",
        replaced(label_tables, "top_concepts", scaled(column("units", lambda values: values + 1))),
        kind="counts",
    ),
    read(
        "the kind of a concept is always object",
        replaced(label_tables, "_kind", lambda _: lambda request, concept: "object"),
    ),
    read(
        "categories of the next unit",
        replaced(dissection_results, "pixel_frame", scaled(column("category", of_next))),
    ),
    read(
        "names of the top images are those of the next unit",
        replaced(unit_frames, "_frame", scaled(column("top_images", of_next))),
    ),
    read("top images, the worst first", replaced(image_strips, "strips", turned_strips)),
    read(
        "no outline on the top images",
        replaced(image_strips, "_outlined", lambda _: lambda pixels, active: pixels),
    ),
    read(
        "an image less in the gallery",
        replaced(image_strips, "strips", lambda o: lambda p, layer, top: o(p, layer, top[:, :-1])),
    ),
    read("deviations are doubled", interpretation_of(column("deviations", lambda values: values * 2))),
    read("the units of the interpretation in reverse", interpretation_of(lambda frame: frame[::-1])),
    read("another image is interpreted", replaced(dissection_results, "_interpretation", of_another_image)),
    read(
        "mean quality over all labels",
        replaced(quality, "_quality_rows", lambda o: lambda f: [{**r, "units": r["units"] + 1} for r in o(f)]),
        kind="counts",
    ),
    read(
        "the mean overlap of all layers is half as large",
        replaced(label_tables, "_by_pixels", row_with(mean_iou=lambda mean: mean / 2)),
    ),
    read(
        "agreement by chance is left out",
        replaced(label_tables, "agreement", scaled(lambda found: dataclasses.replace(found, chance=0.0))),
    ),
    Fault(
        "p-values count no shuffle",
        "metric",
        ("dissection",),
        "metric pooled_p_values",
        everywhere(pooled_p_values, scaled(lambda p: p * 0.5)),
    ),
    Fault(
        "every unit is interpretable",
        "metric",
        ("dissection",),
        "metric interpretable",
        everywhere(interpretable, lambda _: lambda frame: frame),
    ),
    read(
        "a concept of one model is shared",
        replaced(label_tables, "_shared", scaled(column("shared", lambda values: values | True))),
        parameters=AGAINST,
    ),
    read(
        "models differ always",
        replaced(label_tables, "_difference", row_with(different=lambda _: "yes", p_value=lambda p: p / 2)),
        parameters=AGAINST,
    ),
)
