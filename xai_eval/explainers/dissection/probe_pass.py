"""Run the models over a probe set; each image is decoded once for all models, all layers and both methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import islice
from typing import Protocol

from xai_eval.errors import InputUnavailable, StorageError
from xai_eval.explainers.dissection.batches import Skipped
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.counts import ConceptIndex
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.image_summary import ImageSummary
from xai_eval.explainers.dissection.observations import Observations, UnitMaps
from xai_eval.explainers.dissection.observe_shard import Bounds, observe_batches, observe_images
from xai_eval.explainers.dissection.peaks import LayerPeaks, Peaks, merged_peaks
from xai_eval.explainers.dissection.read_ahead import batches_of, read_ahead
from xai_eval.explainers.dissection.shown_concepts import ShownConcepts

# Largest share of the images that may be unreadable.
MOST_UNREADABLE = 0.01
# Memory for label maps that stay unpacked.
_UNPACKED_BYTES = 2**28
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
        return self.whole.summaries[self.preparation_of(layer)]

    def preparation_of(self, layer: int) -> int:
        """Return the index in `DissectionPlan.preparations` of the preprocessing of the model of a layer."""
        return self.plan.preparation_of(self.plan.models[self.plan.layers[layer].model])

    @cached_property
    def vocabulary(self) -> ConceptIndex:
        """The concepts of the probe set."""
        return ConceptIndex.of([each.category for each in self.plan.probe.concepts])

    @cached_property
    def shown(self) -> Callable[[int, int], ShownConcepts | None]:
        """Takes a preparation and a row, and returns the concepts that the image shows; None without label maps.

        All layers and all shuffles ask for the same images, so those that were asked for last stay unpacked.
        """
        labels = [summary.labels for summaries in self.whole.summaries for summary in summaries if summary.labels]
        largest = max((math.prod(each.shape) for each in labels), default=1)

        def unpacked(preparation: int, row: int) -> ShownConcepts | None:
            packed = self.whole.summaries[preparation][row].labels
            return None if packed is None else ShownConcepts.of(packed.unpack(), self.vocabulary)

        return lru_cache(maxsize=_UNPACKED_BYTES // max(1, largest))(unpacked)

    def maps(self, layer: int) -> Iterator[UnitMaps]:
        """Yield, shard by shard, the maps of one layer that may exceed their thresholds; none without pixel labels."""
        top = self.whole.layers[layer].top
        if top is None or not self.plan.probe.concepts:
            return
        for index, positions in enumerate(self.plan.shards):
            if self.rows.keys().isdisjoint(positions):
                continue
            maps = self.checkpoints.load_maps(index, layer, positions, len(top.values))
            yield (self._computed_again(index, layer) if maps is None else maps).above(top.bound.cpu().numpy())

    def _computed_again(self, index: int, layer: int) -> UnitMaps:
        """Return the maps of a shard of which another run of the same plan has removed the checkpoint."""
        shard = observe_images(self.plan, self.plan.shards[index], ())
        self.checkpoints.save(index, shard)
        maps = shard.layers[layer].maps if shard.layers else None
        if maps is None:
            raise StorageError(
                f"the images of {self.plan.probe.name} cannot be read any more, or other layers return maps now than "
                "a moment ago. Leave images and models as they are, and run again."
            )
        return maps


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
    """Compute one shard after the other in this process (an `Engine`). Those to come are read meanwhile."""
    finished: list[Observations] = []
    peaks: LayerPeaks = ()
    with closing(_read_meanwhile(plan, checkpoints)) as shards:
        for index, (observe, is_saved) in enumerate(shards):
            shard = saved_shard(plan, checkpoints, index, peaks) if is_saved else None
            if shard is None:
                shard = observe(bounds_of(peaks))
                checkpoints.save(index, shard)
            peaks = merged_peaks(peaks, shard.peaks)
            finished.append(shard.without_maps.without_peaks)
            # Checked after every shard, before hours are spent on the rest.
            check_readable(plan, [each for part in finished for each in part.skipped])
            advance(len(plan.shards[index]))
    return joined_shards(finished).with_peaks(peaks)


def _read_meanwhile(
    plan: DissectionPlan, checkpoints: Checkpoints
) -> Generator[tuple[Callable[[Bounds], Observations], bool], None, None]:
    """Yield for each shard what observes it, and whether it seems to be saved.

    All that are not saved are read as one stream, so that nobody waits for images between two shards.
    """
    batches = {
        index: batches_of(plan, positions)
        for index, positions in enumerate(plan.shards)
        if not checkpoints.seems_saved(index)
    }
    with closing(read_ahead(plan, [each for part in batches.values() for each in part])) as coming:
        for index, positions in enumerate(plan.shards):
            if index in batches:
                yield partial(observe_batches, plan, islice(coming, len(batches[index]))), False
            else:
                yield partial(observe_images, plan, positions), True


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


def saved_shard(plan: DissectionPlan, checkpoints: Checkpoints, index: int, peaks: LayerPeaks) -> Observations | None:
    """Return a shard that was saved, or None if it was not, or is not one of this plan: it is then computed again.

    Args:
        plan: probe set, models and layers.
        checkpoints: where the shard may be.
        index: of the shard.
        peaks: those of shards before it; empty while there are none.
    """
    shard = checkpoints.load(index)
    return shard if shard is not None and _fits(plan, plan.shards[index], shard, peaks) else None


def _fits(plan: DissectionPlan, positions: range, shard: Observations, peaks: LayerPeaks) -> bool:
    read = len(shard.positions)
    if not read:
        return len(shard.skipped) == len(positions) and not shard.layers
    whole = read + len(shard.skipped) == len(positions) and set(shard.positions.tolist()) <= set(positions)
    layers = len(shard.layers) == len(plan.layers) and len(shard.summaries) == len(plan.preparations)
    return whole and layers and (not peaks or list(map(_size, shard.peaks)) == list(map(_size, peaks)))


def _size(peaks: Peaks | None) -> tuple[int, ...] | None:
    return None if peaks is None else (peaks.top.m, *peaks.strongest.maps.shape[::2], peaks.strongest.maps.shape[3])


def bounds_of(peaks: LayerPeaks) -> Bounds:
    """Return lower bounds of the thresholds of all layers, from the largest values so far."""
    return [None if each is None else each.top.bound for each in peaks]


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
