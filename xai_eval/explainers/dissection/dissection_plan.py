"""What a dissection looks at, how its images are cut into shards, and the key under which it may be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.model.memory_format import best_memory_format
from xai_eval.inputs.clip.clip import Clip
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.outputs import logits
from xai_eval.inputs.models.preprocessing import Preprocessing, prepared_shape
from xai_eval.inputs.probes.probe_set import ProbeSet


@dataclass(frozen=True, eq=False)
class DissectedModel:
    """A model and the layers of it whose units are to be labelled.

    Attributes:
        classifier: the model.
        layers: by name.
        memory_format: in which it gets its images, on every machine that shares the pass.
    """

    classifier: Classifier
    layers: tuple[str, ...]
    memory_format: torch.memory_format = torch.contiguous_format

    @classmethod
    def at_its_fastest(cls, classifier: Classifier, layers: tuple[str, ...]) -> DissectedModel:
        """Return the model in the memory format that suits it best.

        Raises:
            ModelMisbehaves: the model raises, or returns no logits.
        """
        shape = prepared_shape(classifier.preprocess)
        # Noise, because a plain image would hide axes that are mixed up.
        example = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).to(classifier.device)
        with torch.no_grad(), as_model_error(classifier.name, example.shape):
            logits(classifier, example)
            return cls(classifier, layers, best_memory_format(classifier.module, example))


@dataclass(frozen=True)
class DissectedLayer:
    """A layer of a study: index of its model, and its name there."""

    model: int
    name: str


@dataclass(frozen=True, eq=False)
class DissectionPlan:
    """Everything that one pass over a probe set serves.

    Attributes:
        probe: the images, with pixel labels or without.
        models: the models that share the pass.
        clip: embeds every image, unless it is None.
        batch_size: images a forward pass. Batches begin at multiples of it whatever the shards are, because
            arithmetic rounds differently in batches of other sizes.
        batches_per_shard: a shard is what is saved at once, and what a killed run has to repeat.
    """

    probe: ProbeSet
    models: tuple[DissectedModel, ...]
    clip: Clip | None
    batch_size: int = 32
    batches_per_shard: int = 8

    @cached_property
    def shards(self) -> tuple[range, ...]:
        """Positions of the images of every shard: whole batches, in order."""
        size, count = self.batch_size * self.batches_per_shard, len(self.probe)
        return tuple(range(start, min(start + size, count)) for start in range(0, count, size))

    @property
    def layers(self) -> tuple[DissectedLayer, ...]:
        """All layers of all models."""
        return tuple(DissectedLayer(m, name) for m, model in enumerate(self.models) for name in model.layers)

    @cached_property
    def preparations(self) -> tuple[Preprocessing, ...]:
        """The preprocessings that differ, so that models which share one share its tensors and label maps."""
        found: dict[str, Preprocessing] = {}
        for model in self.models:
            found.setdefault(_described(model.classifier.preprocess), model.classifier.preprocess)
        return tuple(found.values())

    def preparation_of(self, model: DissectedModel) -> int:
        """Index into `preparations` of a model's own."""
        described = [_described(each) for each in self.preparations]
        return described.index(_described(model.classifier.preprocess))

    def key(self, surroundings: Mapping[str, Any]) -> str:
        """SHA-256 over what the shards depend on: contents and parameters, never names alone.

        Args:
            surroundings: versions, device, precision flags, and what a few images gave just now, as JSON values: so
                that nothing computed by other code is taken for an answer of this one.
        """
        document = {
            "probe": self.probe.digest,
            "images": list(self.probe.names),
            "concepts": [[concept.name, concept.category] for concept in self.probe.concepts],
            "models": [
                [
                    model.classifier.weights_digest,
                    _described(model.classifier.preprocess),
                    list(model.layers),
                    str(model.memory_format),
                ]
                for model in self.models
            ],
            "clip": None if self.clip is None else [self.clip.weights_digest, self.clip.describe()],
            "batches": [self.batch_size, self.batches_per_shard, SHARE],
            "surroundings": surroundings,
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _described(preprocess: Preprocessing) -> str:
    return json.dumps(preprocess.describe(), sort_keys=True)
