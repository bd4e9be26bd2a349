"""What the models computed for some images of a probe set, and how that is merged.

Observations of one shard are saved together, sent between machines together, and at worst lost together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.explainers.dissection.batches import Skipped
from xai_eval.explainers.dissection.image_summary import ImageSummary
from xai_eval.explainers.dissection.peaks import LayerPeaks, Peaks
from xai_eval.explainers.dissection.quantile import TopValues


@dataclass(frozen=True, eq=False)
class UnitMaps:
    """Activation maps of units on images, only those that may still exceed the threshold of the unit.

    Attributes:
        units: for each of q maps, the index of the unit, int64 (q,).
        positions: for each map, the position of the image in the probe set, ascending, int64 (q,).
        maps: the maps, float32 (q, h, w).
    """

    units: NDArray[np.int64]
    positions: NDArray[np.int64]
    maps: NDArray[np.float32]

    def above(self, bounds: NDArray[np.floating[Any]]) -> UnitMaps:
        """Return the maps whose maximum exceeds the bound of their unit; `bounds` is (J,)."""
        if not len(self.maps):
            return self
        kept = torch.from_numpy(self.maps).amax(dim=(1, 2)).numpy() > bounds[self.units]
        return self if kept.all() else UnitMaps(self.units[kept], self.positions[kept], self.maps[kept])

    def by_image(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """Yield for each image its position, its units (n,) and their maps (n, h, w)."""
        if not len(self.positions):
            return
        positions, starts = np.unique(self.positions, return_index=True)
        for position, start, stop in zip(positions, starts, [*starts[1:], len(self.positions)], strict=True):
            yield int(position), self.units[start:stop], self.maps[start:stop]


@dataclass(frozen=True, eq=False)
class LayerObservations:
    """What one layer with J units gave for n images.

    Attributes:
        activations: one number per image and unit (see `pool_positions`), float32 (n, J).
        peaks: largest values of each unit, and its strongest maps; None if the layer gives no maps.
        maps: maps that may exceed the threshold; None if the layer gives no maps, if no pixels are labelled, or if they
            were left on disk.
        places: sketches that tell where the units are active, float32 (n, 8); None if the layer has no places.
    """

    activations: NDArray[np.float32]
    peaks: Peaks | None
    maps: UnitMaps | None
    places: NDArray[np.float32] | None = None

    @property
    def top(self) -> TopValues | None:
        """Largest values of each unit over all positions; None if the layer gives no maps."""
        return None if self.peaks is None else self.peaks.top

    @property
    def without_maps(self) -> LayerObservations:
        """The same without its maps, which are by far the largest part."""
        return replace(self, maps=None)

    @staticmethod
    def joined(parts: Sequence[LayerObservations]) -> LayerObservations:
        """Merge what the same layer gave for other images; their maps are left on disk."""
        peaks = [part.peaks for part in parts if part.peaks is not None]
        places = [part.places for part in parts if part.places is not None]
        return LayerObservations(
            activations=np.concatenate([part.activations for part in parts]),
            peaks=Peaks.merged(peaks) if peaks else None,
            maps=None,
            places=np.concatenate(places) if places else None,
        )


@dataclass(frozen=True, eq=False)
class Observations:
    """What all models gave for some images: those of a batch, of a shard, or of the whole probe set.

    Attributes:
        positions: positions of the n images that could be read, int64 (n,).
        skipped: the images that could not be read.
        embeddings: CLIP's embeddings of the images, float32 (n, D); None without CLIP.
        layers: in the order of `DissectionPlan.layers`; empty if no image could be read.
        summaries: one `ImageSummary` per preparation and image.
    """

    positions: NDArray[np.int64]
    skipped: tuple[Skipped, ...]
    embeddings: NDArray[np.float32] | None
    layers: tuple[LayerObservations, ...]
    summaries: tuple[tuple[ImageSummary, ...], ...]

    @property
    def without_maps(self) -> Observations:
        """The same without the maps of all layers."""
        return replace(self, layers=tuple(layer.without_maps for layer in self.layers))

    @property
    def peaks(self) -> LayerPeaks:
        """Peaks of the units of each layer."""
        return tuple(layer.peaks for layer in self.layers)

    def with_peaks(self, peaks: LayerPeaks) -> Observations:
        """Return the same with other peaks, one entry per layer."""
        layers = (replace(layer, peaks=each) for layer, each in zip(self.layers, peaks, strict=True))
        return replace(self, layers=tuple(layers))

    @property
    def without_peaks(self) -> Observations:
        """The same without the peaks of all layers."""
        return self.with_peaks((None,) * len(self.layers))

    @property
    def on_cpu(self) -> Observations:
        """The same in the memory of the processor, so that another process can have it."""
        return self.with_peaks(tuple(None if each is None else each.on_cpu for each in self.peaks))

    @staticmethod
    def joined(parts: Sequence[Observations]) -> Observations:
        """Merge parts whose positions follow each other."""
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
