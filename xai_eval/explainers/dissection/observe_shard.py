"""Run the models on the images of one shard. What they give stays on their device until the shard is finished.

To read a value back means to wait until the device has done all that it was given, and meanwhile it gets nothing new.
So values are read back once per shard, not once per layer and batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xai_eval.explainers.dissection.batches import Batch
from xai_eval.explainers.dissection.dissection_plan import DissectedLayer, DissectionPlan
from xai_eval.explainers.dissection.map_sketch import sketch_of_places
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.observations import LayerObservations, Observations, UnitMaps
from xai_eval.explainers.dissection.observe import has_maps, layer_outputs, pool_positions, require_finite
from xai_eval.explainers.dissection.peaks import Peaks
from xai_eval.explainers.dissection.quantile import top_values, values_to_keep
from xai_eval.explainers.dissection.read_ahead import batches_of, read_by_threads
from xai_eval.explainers.dissection.strongest_maps import StrongestMaps
from xai_eval.inputs.models.later_checks import checked_at_the_end

# For each layer, lower bounds of the thresholds of its units, (J,), or None without maps; empty while none is known.
Bounds = Sequence[Tensor | None]


def observe_images(plan: DissectionPlan, positions: range, bounds: Bounds) -> Observations:
    """Decode and prepare the images at `positions`, and run the models on them batch by batch.

    Args:
        plan: probe set, models and layers.
        positions: positions in the probe set; the first is the beginning of a batch.
        bounds: lower bounds of the thresholds; maps that do not exceed them are dropped.

    Raises:
        ModelMisbehaves: a model raises, or returns values that are not finite.
        UsageError: a layer returns nothing that can be dissected.
    """
    with closing(read_by_threads(plan, batches_of(plan, positions))) as batches:
        return observe_batches(plan, batches, bounds)


def observe_batches(plan: DissectionPlan, batches: Iterable[Batch], bounds: Bounds) -> Observations:
    """Run the models on the batches of a shard, in order. Arguments and errors are those of `observe_images`."""
    gathered = _Gathered(plan, [_GatheredLayer(plan, layer) for layer in plan.layers])
    # Whether logits and embeddings are finite is looked at after the last batch, together.
    with checked_at_the_end():
        for batch in batches:
            gathered.add(batch)
    return gathered.observations(bounds)


@dataclass(frozen=True, eq=False)
class _Gathered:
    """What the batches of a shard gave so far."""

    plan: DissectionPlan
    layers: list[_GatheredLayer]
    batches: list[Batch] = field(default_factory=list)
    embeddings: list[Tensor] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        """Run the models on a batch."""
        if batch.positions:
            layers = iter(self.layers)
            for model in self.plan.models:
                given = batch.inputs[self.plan.preparation_of(model)]
                for output in layer_outputs(model, given).values():
                    next(layers).add(output)
            if self.plan.clip is not None and batch.clip_input is not None:
                self.embeddings.append(self.plan.clip.embed_images(batch.clip_input))
        self.batches.append(replace(batch, inputs=(), clip_input=None))

    def observations(self, bounds: Bounds) -> Observations:
        """Read everything back."""
        positions = np.array([each for batch in self.batches for each in batch.positions], dtype=np.int64)
        known = bounds or [None] * len(self.layers)
        pairs = zip(self.layers, known, strict=True) if len(positions) else ()
        return Observations(
            positions=positions,
            skipped=tuple(each for batch in self.batches for each in batch.skipped),
            embeddings=_embeddings(self.embeddings),
            layers=tuple(layer.observations(positions, bound) for layer, bound in pairs),
            summaries=tuple(
                tuple(chain.from_iterable(same))
                for same in zip(*(batch.summaries for batch in self.batches), strict=True)
            ),
        )


def _embeddings(parts: Sequence[Tensor]) -> NDArray[np.float32] | None:
    return torch.cat(list(parts)).cpu().numpy() if parts else None


@dataclass(frozen=True, eq=False)
class _GatheredLayer:
    """What one layer gave so far, on its device.

    Attributes:
        plan: probe set, models and layers.
        layer: the layer.
        pooled: one number per image and unit, (n, J) for each batch.
        places: sketches of places, (n, 8); empty if the layer has no places.
        finite: whether all values of a batch are finite, ().
        maps: maps (n, J, h, w); empty if the layer gives none.
    """

    plan: DissectionPlan
    layer: DissectedLayer
    pooled: list[Tensor] = field(default_factory=list)
    places: list[Tensor] = field(default_factory=list)
    finite: list[Tensor] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)

    def add(self, output: Tensor) -> None:
        """Take the output for one batch."""
        self.finite.append(torch.isfinite(output).all())
        self.pooled.append(pool_positions(output))
        places = sketch_of_places(output)
        if places is not None:
            self.places.append(places)
        if has_maps(output):
            self.maps.append(output)

    def observations(self, positions: NDArray[np.int64], bound: Tensor | None) -> LayerObservations:
        """Read back what is kept of the shard's images, whose positions are given, (n,)."""
        require_finite(torch.stack(self.finite), self.plan.models[self.layer.model].classifier.name, self.layer.name)
        pooled = torch.cat(self.pooled)
        peaks, maps = self._peaks(pooled, positions, bound) if self.maps else (None, None)
        places = torch.cat(self.places).cpu().numpy() if self.places else None
        return LayerObservations(pooled.cpu().numpy(), peaks, maps, places)

    def _peaks(
        self, pooled: Tensor, positions: NDArray[np.int64], bound: Tensor | None
    ) -> tuple[Peaks, UnitMaps | None]:
        output = torch.cat(self.maps)
        self.maps.clear()
        top = top_values(output, values_to_keep(len(self.plan.probe) * output[0, 0].numel(), SHARE), bound)
        lowest = top.bound if bound is None else torch.maximum(top.bound, bound.to(output.device))
        maps = _maps(output, positions, lowest) if self.plan.probe.concepts else None
        return Peaks(top, StrongestMaps.of(pooled, output, positions)), maps


def _maps(output: Tensor, positions: NDArray[np.int64], lowest: Tensor) -> UnitMaps:
    """Return the maps that exceed the lower bounds of the thresholds of their units, (J,)."""
    images, units = torch.nonzero(output.amax(dim=(2, 3)) > lowest, as_tuple=True)
    return UnitMaps(
        units=units.cpu().numpy(),
        positions=positions[images.cpu().numpy()],
        maps=output[images, units].cpu().numpy(),
    )
