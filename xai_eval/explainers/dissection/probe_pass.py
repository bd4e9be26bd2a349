"""Run the models over a probe set; each image is decoded once for all models, all layers and both methods."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable, StorageError
from xai_eval.explainers.dissection.batches import Batch, Skipped, read_batch
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.image_summary import ImageSummary
from xai_eval.explainers.dissection.map_sketch import sketch_of_places
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.observations import LayerObservations, Observations, UnitMaps
from xai_eval.explainers.dissection.observe import has_maps, layer_outputs, pool_positions
from xai_eval.explainers.dissection.quantile import TopValues, top_values, values_to_keep

# Largest share of the images that may be unreadable.
MOST_UNREADABLE = 0.01
_MOST_READERS = 8
# For each layer, lower bounds of the thresholds of its units, (J,), or None without maps; empty while none is known.
Bounds = Sequence[NDArray[np.float32] | None]
Advance = Callable[[int], None]


class Engine(Protocol):
    """A function that computes the shards, in this process or on a cluster."""

    def __call__(self, plan: DissectionPlan, checkpoints: Checkpoints, advance: Advance) -> Observations:
        """Compute and save every shard that is not saved yet; return all shards merged, without their maps.

        Args:
            plan: probe set, models and layers.
            checkpoints: where shards are loaded from and saved to.
            advance: called with the number of images that were finished.
        """
        ...


@dataclass(frozen=True, eq=False)
class ProbePass:
    """The result of a pass over a probe set. The maps stay on disk until they are asked for.

    Attributes:
        plan: probe set, models and layers.
        whole: the observations of all images, without maps.
        checkpoints: where the maps are.
    """

    plan: DissectionPlan
    whole: Observations
    checkpoints: Checkpoints

    @cached_property
    def rows(self) -> Mapping[int, int]:
        """By position in the probe set, the row of each image that could be read in arrays over all images."""
        return {int(position): row for row, position in enumerate(self.whole.positions)}

    def summaries(self, layer: int) -> tuple[ImageSummary, ...]:
        """Return the summaries of the images, as the model of a layer sees them, by row."""
        plan = self.plan
        return self.whole.summaries[plan.preparation_of(plan.models[plan.layers[layer].model])]

    def maps(self, layer: int) -> Iterator[UnitMaps]:
        """Yield, shard by shard, the maps of one layer that may exceed their thresholds.

        Each shard is read once for all layers: what belongs to the others is laid beside it, layer by layer.
        """
        top = self.whole.layers[layer].top
        if top is None:
            return
        for index, positions in enumerate(self.plan.shards):
            maps = self.checkpoints.load_maps(index, layer, positions, len(top.values))
            if maps is None:
                maps = self._laid_out(index).get(layer)
            if maps is not None:
                yield maps

    def _laid_out(self, index: int) -> Mapping[int, UnitMaps]:
        """Save the maps of a shard layer by layer, without those that cannot exceed their thresholds; return them."""
        bounds = bounds_of(self.whole.tops)
        shard = saved_shard(self.plan, self.checkpoints, index, self.whole.tops)
        if shard is None:
            # Another run of the same plan has removed the checkpoint.
            shard = observe_images(self.plan, self.plan.shards[index], bounds)
            self.checkpoints.save(index, shard)
        pairs = enumerate(zip(shard.layers, bounds, strict=False))  # a shard of which nothing was read has no layers
        found = {
            layer: part.maps.above(bound)
            for layer, (part, bound) in pairs
            if part.maps is not None and bound is not None
        }
        self.checkpoints.save_maps(index, found)
        return found


def run_probe_pass(
    plan: DissectionPlan, checkpoints: Checkpoints, *, engine: Engine, advance: Advance = lambda _count: None
) -> ProbePass:
    """Run the models over every image of the probe set.

    Args:
        plan: probe set, models and layers.
        checkpoints: where shards are saved, and loaded from if an earlier run was killed.
        engine: computes the shards.
        advance: called with the number of images that were finished.

    Raises:
        InputUnavailable: no image, or fewer than 99 % of the images, can be read.
        ModelMisbehaves: a model raises, or returns values that are not finite.
        UsageError: a layer returns nothing that can be dissected.
        StorageError: a shard cannot be saved.
    """
    whole = engine(plan, checkpoints, advance)
    check_readable(plan, whole.skipped)
    if not len(whole.positions):
        raise InputUnavailable(
            f"{plan.probe.name} holds no image that can be read; expected at least one. Check its files."
        )
    return ProbePass(plan, whole, checkpoints)


def in_this_process(plan: DissectionPlan, checkpoints: Checkpoints, advance: Advance) -> Observations:
    """Compute one shard after the other in this process (an `Engine`)."""
    finished: list[Observations] = []
    tops: tuple[TopValues | None, ...] = ()
    for index, positions in enumerate(plan.shards):
        shard = saved_shard(plan, checkpoints, index, tops)
        if shard is None:
            shard = observe_images(plan, positions, bounds_of(tops))
            checkpoints.save(index, shard)
        tops = merged_tops(tops, shard.tops)
        finished.append(shard.without_maps.with_tops([None] * len(shard.layers)))
        # Checked after every shard, before hours are spent on the rest.
        check_readable(plan, [each for part in finished for each in part.skipped])
        advance(len(positions))
    return joined_shards(finished).with_tops(tops)


def joined_shards(shards: Sequence[Observations]) -> Observations:
    """Merge shards whose positions follow each other.

    Raises:
        StorageError: they have other numbers of units, or other embeddings: a saved one is not of this plan.
    """
    try:
        return Observations.joined(shards)
    except ValueError as error:
        raise StorageError(
            f"saved parts of this dissection do not fit the others ({error}). Delete the folder dissection in the "
            "cache folder of xai_eval, and run again."
        ) from error


def saved_shard(
    plan: DissectionPlan, checkpoints: Checkpoints, index: int, tops: tuple[TopValues | None, ...]
) -> Observations | None:
    """Return a shard that was saved, or None if it was not, or is not one of this plan: it is then computed again.

    Args:
        plan: probe set, models and layers.
        checkpoints: where the shard may be.
        index: of the shard.
        tops: the largest values of shards before it; empty while there are none.
    """
    shard = checkpoints.load(index)
    return shard if shard is not None and _fits(plan, plan.shards[index], shard, tops) else None


def _fits(plan: DissectionPlan, positions: range, shard: Observations, tops: tuple[TopValues | None, ...]) -> bool:
    read = len(shard.positions)
    if not read:
        return len(shard.skipped) == len(positions) and not shard.layers
    whole = read + len(shard.skipped) == len(positions) and set(shard.positions.tolist()) <= set(positions)
    layers = len(shard.layers) == len(plan.layers) and len(shard.summaries) == len(plan.preparations)
    return whole and layers and (not tops or list(map(_size, shard.tops)) == list(map(_size, tops)))


def _size(top: TopValues | None) -> tuple[int, int] | None:
    return None if top is None else (top.m, len(top.values))


def merged_tops(
    tops: tuple[TopValues | None, ...], others: tuple[TopValues | None, ...]
) -> tuple[TopValues | None, ...]:
    """Merge the largest values of each layer over two sets of images; an empty tuple stands for no images."""
    if not tops or not others:
        return tops or others
    return tuple(
        None if one is None or other is None else TopValues.merged([one, other])
        for one, other in zip(tops, others, strict=True)
    )


def observe_images(plan: DissectionPlan, positions: range, bounds: Bounds) -> Observations:
    """Decode and prepare the images at `positions`, run the models on them batch by batch, and merge the results.

    Args:
        plan: probe set, models and layers.
        positions: positions in the probe set; the first is the beginning of a batch.
        bounds: lower bounds of the thresholds; maps that do not exceed them are dropped.
    """
    return Observations.joined([_observe_batch(plan, batch, bounds) for batch in _read_ahead(plan, positions)])


def _read_ahead(plan: DissectionPlan, positions: range) -> Iterator[Batch]:
    """Yield the batches of a shard in order; threads read the next ones while the models compute."""
    starts = range(positions.start, positions.stop, plan.batch_size)
    batches = iter([positions[each - positions.start :][: plan.batch_size] for each in starts])
    readers = reading_threads(plan)
    with ThreadPoolExecutor(max_workers=readers) as pool:
        coming = deque(pool.submit(read_batch, plan, batch) for batch in islice(batches, readers))
        while coming:
            batch = coming.popleft().result()
            coming.extend(pool.submit(read_batch, plan, following) for following in islice(batches, 1))
            yield batch


def reading_threads(plan: DissectionPlan) -> int:
    """Return how many threads read images: the cores that the models leave, at least 1 and at most 8.

    Decoding and resizing leave Python's lock to others; more than 8 threads wait for it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_cpu = any(model.classifier.device.type == "cpu" for model in plan.models)
    return max(1, min(_MOST_READERS, cores - (torch.get_num_threads() if on_cpu else 1)))


def _observe_batch(plan: DissectionPlan, batch: Batch, bounds: Bounds) -> Observations:
    return Observations(
        positions=np.array(batch.positions, dtype=np.int64),
        skipped=batch.skipped,
        embeddings=_embeddings(plan, batch),
        layers=tuple(_observe_layers(plan, batch, bounds)) if batch.positions else (),
        summaries=batch.summaries,
    )


def _embeddings(plan: DissectionPlan, batch: Batch) -> NDArray[np.float32] | None:
    if plan.clip is None or batch.clip_input is None:
        return None
    return plan.clip.embed_images(batch.clip_input).cpu().numpy()


def _observe_layers(plan: DissectionPlan, batch: Batch, bounds: Bounds) -> Iterator[LayerObservations]:
    known = iter(bounds or [None] * len(plan.layers))
    for model in plan.models:
        outputs = layer_outputs(model, batch.inputs[plan.preparation_of(model)])
        for output in outputs.values():
            bound = next(known)
            yield _layer(plan, batch, output, bound)


def _layer(
    plan: DissectionPlan, batch: Batch, output: torch.Tensor, bound: NDArray[np.float32] | None
) -> LayerObservations:
    activations, places = pool_positions(output), sketch_of_places(output)
    if not has_maps(output):
        return LayerObservations(activations, None, None, places)
    kept = values_to_keep(len(plan.probe) * output.shape[2] * output.shape[3], SHARE)
    maps = _maps(output, batch.positions, bound)
    return LayerObservations(activations, top_values(output, kept, bound), maps, places)


def _maps(output: torch.Tensor, positions: Sequence[int], bound: NDArray[np.float32] | None) -> UnitMaps:
    maxima = output.amax(dim=(2, 3))
    lowest = torch.full_like(maxima[0], -torch.inf) if bound is None else torch.from_numpy(bound).to(output.device)
    images, units = torch.nonzero(maxima > lowest, as_tuple=True)
    return UnitMaps(
        units=units.cpu().numpy(),
        positions=np.array(positions, dtype=np.int64)[images.cpu().numpy()],
        maps=output[images, units].cpu().numpy(),
    )


def bounds_of(tops: Sequence[TopValues | None]) -> Bounds:
    """Return lower bounds of the thresholds of all layers, from the largest values so far."""
    return [None if top is None else top.bound for top in tops]


def check_readable(plan: DissectionPlan, skipped: Sequence[Skipped]) -> None:
    """Check that enough images could be read.

    Raises:
        InputUnavailable: more than 1 % of the images of the probe set could not be read.
    """
    if len(skipped) > MOST_UNREADABLE * len(plan.probe):
        raise InputUnavailable(
            f"{len(skipped)} of {len(plan.probe)} images of {plan.probe.name} cannot be read, first "
            f"{skipped[0].name} ({skipped[0].reason}); expected at most {MOST_UNREADABLE:.0%}. Repair or remove them."
        )
