"""What one shard of the probe set gave: the unit of saving, of losing, and of sending to another machine."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.explainers.dissection.batches import Skipped
from xai_eval.explainers.dissection.image_summary import ImageSummary, PackedLabels, Trace
from xai_eval.explainers.dissection.quantile import TopValues


@dataclass(frozen=True, eq=False)
class UnitMaps:
    """Maps of units on images, only those that can still reach above the unit's threshold.

    Attributes:
        units: index of the unit, int64 (q,).
        positions: of the image in the probe set, int64 (q,), ascending.
        maps: float32 (q, h, w).
    """

    units: NDArray[np.int64]
    positions: NDArray[np.int64]
    maps: NDArray[np.float32]

    def above(self, bounds: NDArray[np.floating[Any]]) -> UnitMaps:
        """Return the maps whose maximum exceeds their unit's bound, (J,)."""
        if not len(self.maps):
            return self
        kept = torch.from_numpy(self.maps).amax(dim=(1, 2)).numpy() > bounds[self.units]
        return self if kept.all() else UnitMaps(self.units[kept], self.positions[kept], self.maps[kept])

    def by_image(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """Go through the images: position, units (n,), maps (n, h, w)."""
        if not len(self.positions):
            return
        positions, starts = np.unique(self.positions, return_index=True)
        for position, start, stop in zip(positions, starts, [*starts[1:], len(self.positions)], strict=True):
            yield int(position), self.units[start:stop], self.maps[start:stop]

    @staticmethod
    def joined(parts: Sequence[UnitMaps]) -> UnitMaps:
        """Put parts with ascending positions one after another."""
        return UnitMaps(
            np.concatenate([part.units for part in parts]),
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.maps for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class LayerObservations:
    """One layer on the images of a shard.

    Attributes:
        activations: pooled, float32 (n, J).
        top: largest values over all positions, or None where the layer gives no maps.
        maps: those that are still needed; None likewise, or where they were left on disk.
    """

    activations: NDArray[np.float32]
    top: TopValues | None
    maps: UnitMaps | None

    @property
    def without_maps(self) -> LayerObservations:
        """The same less its maps, which are by far the largest part."""
        return replace(self, maps=None)

    @staticmethod
    def joined(parts: Sequence[LayerObservations]) -> LayerObservations:
        """Put the same layer on other images together; maps that have no chance any more are dropped."""
        tops = [part.top for part in parts if part.top is not None]
        top = TopValues.merged(tops) if tops else None
        maps = [part.maps for part in parts if part.maps is not None]
        return LayerObservations(
            activations=np.concatenate([part.activations for part in parts]),
            top=top,
            maps=UnitMaps.joined([each.above(top.bound) for each in maps]) if top is not None and maps else None,
        )


@dataclass(frozen=True, eq=False)
class Observations:
    """What some images of the probe set gave: one batch, one shard, or all of them.

    Attributes:
        positions: of the images that could be read, int64 (n,).
        skipped: the others.
        embeddings: of CLIP, float32 (n, D), or None.
        layers: in the order of `DissectionPlan.layers`; none where no image could be read.
        summaries: what is kept of the images themselves, by preparation and image.
    """

    positions: NDArray[np.int64]
    skipped: tuple[Skipped, ...]
    embeddings: NDArray[np.float32] | None
    layers: tuple[LayerObservations, ...]
    summaries: tuple[tuple[ImageSummary, ...], ...]

    @property
    def without_maps(self) -> Observations:
        """The same less the maps of all layers."""
        return replace(self, layers=tuple(layer.without_maps for layer in self.layers))

    @property
    def tops(self) -> tuple[TopValues | None, ...]:
        """Largest values of the units of every layer."""
        return tuple(layer.top for layer in self.layers)

    def with_tops(self, tops: Sequence[TopValues | None]) -> Observations:
        """The same with other largest values, one for every layer."""
        layers = (replace(layer, top=top) for layer, top in zip(self.layers, tops, strict=True))
        return replace(self, layers=tuple(layers))

    @staticmethod
    def joined(parts: Sequence[Observations]) -> Observations:
        """Put parts together whose positions follow each other."""
        read = [part for part in parts if len(part.positions)]
        embeddings = [part.embeddings for part in read if part.embeddings is not None]
        by_layer = zip(*(part.layers for part in read), strict=True)
        return Observations(
            positions=np.concatenate([part.positions for part in parts]),
            skipped=tuple(each for part in parts for each in part.skipped),
            embeddings=np.concatenate(embeddings) if embeddings else None,
            layers=tuple(LayerObservations.joined(same) for same in by_layer),
            summaries=tuple(
                tuple(itertools.chain.from_iterable(same))
                for same in zip(*(part.summaries for part in parts), strict=True)
            ),
        )


def to_document(observations: Observations) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Take a observations apart into arrays and JSON values."""
    arrays: dict[str, NDArray[Any]] = {"positions": observations.positions}
    if observations.embeddings is not None:
        arrays["embeddings"] = observations.embeddings
    for index, layer in enumerate(observations.layers):
        arrays.update({f"{index}.{name}": array for name, array in _layer_arrays(layer).items()})
    for index, seen in enumerate(observations.summaries):
        arrays[f"seen.{index}"] = np.frombuffer(b"".join(map(_bytes_of, seen)), dtype=np.uint8)
    return arrays, {
        "skipped": [[each.name, each.reason] for each in observations.skipped],
        "layers": [_layer_meta(layer) for layer in observations.layers],
        "seen": [[_sizes(each) for each in seen] for seen in observations.summaries],
    }


def from_document(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Observations:
    """Put together what `to_document` took apart."""
    return Observations(
        positions=arrays["positions"],
        skipped=tuple(Skipped(name, reason) for name, reason in meta["skipped"]),
        embeddings=arrays.get("embeddings"),
        layers=tuple(_layer(index, arrays, layer) for index, layer in enumerate(meta["layers"])),
        summaries=tuple(tuple(_seen(arrays[f"seen.{index}"], sizes)) for index, sizes in enumerate(meta["seen"])),
    )


def _layer_arrays(layer: LayerObservations) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"activations": layer.activations}
    if layer.top is not None:
        arrays["top"] = layer.top.values
    if layer.maps is not None:
        arrays |= {"units": layer.maps.units, "images": layer.maps.positions, "maps": layer.maps.maps}
    return arrays


def _layer_meta(layer: LayerObservations) -> dict[str, int] | None:
    return None if layer.top is None else {"m": layer.top.m, "count": layer.top.count}


def _layer(index: int, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, int] | None) -> LayerObservations:
    activations = arrays[f"{index}.activations"]
    if meta is None:
        return LayerObservations(activations, None, None)
    maps = UnitMaps(*(arrays[f"{index}.{name}"] for name in ("units", "images", "maps")))
    return LayerObservations(activations, TopValues(arrays[f"{index}.top"], meta["m"], meta["count"]), maps)


def _bytes_of(seen: ImageSummary) -> bytes:
    return seen.trace.pack() + seen.thumbnail + (b"" if seen.labels is None else seen.labels.data)


def _sizes(seen: ImageSummary) -> list[Any]:
    """Bytes of the trace and of the thumbnail, and bytes and shape of the label maps."""
    labels = [] if seen.labels is None else [len(seen.labels.data), list(seen.labels.shape)]
    return [len(seen.trace.pack()), len(seen.thumbnail), *labels]


def _seen(joined: NDArray[np.uint8], sizes: Sequence[Sequence[Any]]) -> Iterator[ImageSummary]:
    data = io.BytesIO(joined.tobytes())
    for length, thumbnail, *labels in sizes:
        trace, drawn = Trace.unpack(data.read(length)), data.read(thumbnail)
        yield ImageSummary(trace, drawn, PackedLabels(tuple(labels[1]), data.read(labels[0])) if labels else None)
