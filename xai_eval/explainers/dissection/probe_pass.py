"""The pass over a probe set: every image decoded once, for all models, all layers and both methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import InputUnavailable
from xai_eval.explainers.dissection.batches import Batch, Skipped, read_batch
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectionPlan
from xai_eval.explainers.dissection.image_summary import ImageSummary
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.observations import LayerObservations, Observations, UnitMaps
from xai_eval.explainers.dissection.observe import has_maps, layer_outputs, pool_positions
from xai_eval.explainers.dissection.quantile import TopValues, top_values, values_to_keep

MOST_UNREADABLE = 0.01
# Lower bounds of the thresholds of every layer's units, (J,); empty while nothing is known.
Bounds = Sequence[NDArray[np.float32] | None]
Advance = Callable[[int], None]


class Engine(Protocol):
    """Where shards are computed: in this process, or on a cluster."""

    def __call__(self, plan: DissectionPlan, checkpoints: Checkpoints, advance: Advance) -> Observations:
        """Compute and save every shard that is not there yet, and return all of them joined, without their maps.

        Args:
            plan: what to look at.
            checkpoints: where shards are taken from and saved to.
            advance: is told how many images were dealt with.
        """
        ...


@dataclass(frozen=True, eq=False)
class ProbePass:
    """What a pass gave: everything but the maps, which stay on disk until they are asked for."""

    plan: DissectionPlan
    whole: Observations
    checkpoints: Checkpoints

    @cached_property
    def rows(self) -> Mapping[int, int]:
        """Row of the image at each position that could be read."""
        return {int(position): row for row, position in enumerate(self.whole.positions)}

    def summaries(self, layer: int) -> tuple[ImageSummary, ...]:
        """The images as the model of a layer sees them, by row."""
        plan = self.plan
        return self.whole.summaries[plan.preparation_of(plan.models[plan.layers[layer].model])]

    def maps(self, layer: int) -> Iterator[UnitMaps]:
        """Go through the shards' maps of one layer: those that can reach above its thresholds."""
        bounds = bounds_of(self.whole.tops)
        for index, positions in enumerate(self.plan.shards):
            shard = self.checkpoints.load(index)
            if shard is None:
                # Another run of the same study removed it.
                shard = observe_images(self.plan, positions, bounds)
                self.checkpoints.save(index, shard)
            for part in shard.layers[layer : layer + 1]:
                if part.maps is not None:
                    yield part.maps


def run_probe_pass(
    plan: DissectionPlan, checkpoints: Checkpoints, *, engine: Engine, advance: Advance = lambda _count: None
) -> ProbePass:
    """Look at every image of the probe set once.

    Args:
        plan: what to look at.
        checkpoints: where shards are kept, and taken from if an earlier run was killed.
        engine: where they are computed.
        advance: is told how many images were dealt with.

    Raises:
        InputUnavailable: more than 1 % of the images cannot be read.
        ModelMisbehaves: a model raises, or returns what cannot be ranked.
        UsageError: a layer gives nothing that can be dissected.
        StorageError: a shard cannot be saved.
    """
    whole = engine(plan, checkpoints, advance)
    check_readable(plan, whole.skipped)
    if not len(whole.positions):
        raise InputUnavailable(f"{plan.probe.name} holds no image that can be read: nothing would be measured.")
    return ProbePass(plan, whole, checkpoints)


def in_this_process(plan: DissectionPlan, checkpoints: Checkpoints, advance: Advance) -> Observations:
    """Compute one shard after the other: the plain `Engine`."""
    finished: list[Observations] = []
    tops: tuple[TopValues | None, ...] = ()
    for index, positions in enumerate(plan.shards):
        shard = checkpoints.load(index)
        if shard is None:
            shard = observe_images(plan, positions, bounds_of(tops))
            checkpoints.save(index, shard)
        tops = merged_tops(tops, shard.tops)
        finished.append(shard.without_maps.with_tops([None] * len(shard.layers)))
        # Before hours are spent on the rest.
        check_readable(plan, [each for part in finished for each in part.skipped])
        advance(len(positions))
    return Observations.joined(finished).with_tops(tops)


def merged_tops(
    tops: tuple[TopValues | None, ...], others: tuple[TopValues | None, ...]
) -> tuple[TopValues | None, ...]:
    """Largest values of the same layers on other images together; a part without images has no layers."""
    if not tops or not others:
        return tops or others
    return tuple(
        None if one is None or other is None else TopValues.merged([one, other])
        for one, other in zip(tops, others, strict=True)
    )


def observe_images(plan: DissectionPlan, positions: range, bounds: Bounds) -> Observations:
    """Decode, prepare and run the images at `positions`, batch by batch."""
    return Observations.joined([_observe_batch(plan, batch, bounds) for batch in _read_ahead(plan, positions)])


def _read_ahead(plan: DissectionPlan, positions: range) -> Iterator[Batch]:
    """Go through the batches of a shard, the next of which is read while the models are at one."""
    batches = [positions[start : start + plan.batch_size] for start in range(0, len(positions), plan.batch_size)]
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(read_batch, plan, batches[0])
        for following in batches[1:]:
            batch, coming = coming.result(), reader.submit(read_batch, plan, following)
            yield batch
        yield coming.result()


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
    activations = pool_positions(output)
    if not has_maps(output):
        return LayerObservations(activations, None, None)
    kept = values_to_keep(len(plan.probe) * output.shape[2] * output.shape[3], SHARE)
    maps = _maps(output, batch.positions, bound)
    return LayerObservations(activations, top_values(output, kept, bound), maps)


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
    """What the thresholds of all layers cannot fall below any more."""
    return [None if top is None else top.bound for top in tops]


def check_readable(plan: DissectionPlan, skipped: Sequence[Skipped]) -> None:
    """Refuse to go on with too few images.

    Raises:
        InputUnavailable: more than 1 % cannot be read.
    """
    if len(skipped) > MOST_UNREADABLE * len(plan.probe):
        raise InputUnavailable(
            f"{len(skipped)} of {len(plan.probe)} images of {plan.probe.name} cannot be read, first "
            f"{skipped[0].name} ({skipped[0].reason}); more than {MOST_UNREADABLE:.0%} is too many to go on without "
            "them. Repair or remove them."
        )
