"""What a dissection computes: probe set, models and layers, the division into shards, and the key of checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.model.memory_format import best_memory_format
from xai_eval.inputs.clip.clip import Clip
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.layers import has_channels_last, layout_of, noise_image
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.outputs import logits
from xai_eval.inputs.models.preprocessing import Preprocessing, prepared_shape
from xai_eval.inputs.probes.probe_set import ProbeSet


@dataclass(frozen=True, eq=False)
class DissectedModel:
    """A model and those of its layers whose units are to be labelled.

    Attributes:
        classifier: the model.
        layers: names of the layers.
        memory_format: memory format of its input, the same on every machine that takes part.
    """

    classifier: Classifier
    layers: tuple[str, ...]
    memory_format: torch.memory_format = torch.contiguous_format

    @cached_property
    def with_units_last(self) -> frozenset[str]:
        """Those layers that return maps (n, h, w, units), as some transformers do. It is measured on noise."""
        module, example = self.classifier.scoring, noise_image(self.classifier.module, self.classifier.input_shape)
        return frozenset(
            layer for layer in self.layers if has_channels_last(module, self.classifier.layer(layer), example)
        )

    def places_of_tokens(self, layer: str) -> Layout | None:
        """Return how the tokens of a layer lie over the image if none stands in front of them; measured on noise.

        None if a class token comes first, which then speaks for the image, or if it is not known what lies where.
        """
        if layer not in self._layouts:
            self._layouts[layer] = self._layout_of(layer)
        found = self._layouts[layer]
        return None if found is None or found.before else found

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence on each layer, of those that ran, of whose tokens it could not be measured what lies where."""
        return tuple(
            f"it could not be measured where the tokens of layer {layer!r} of {self.classifier.name} lie in the image: "
            "the first one is taken for a class token, which speaks for all"
            for layer, found in self._layouts.items()
            if found is None
        )

    @cached_property
    def _layouts(self) -> dict[str, Layout | None]:
        return {}

    def _layout_of(self, layer: str) -> Layout | None:
        classifier = self.classifier
        noise = noise_image(classifier.module, classifier.input_shape)
        place, grid = classifier.place_of(layer), classifier.reshape
        try:
            return layout_of(classifier.scoring, classifier.module, classifier.name, place, noise, grid)
        except UsageError:
            return None

    @classmethod
    def at_its_fastest(cls, classifier: Classifier, layers: tuple[str, ...]) -> DissectedModel:
        """Return the model with the memory format in which it runs fastest.

        Raises:
            ModelMisbehaves: the model raises, or returns no logits.
        """
        shape = prepared_shape(classifier.preprocess)
        # The example is noise, because an image of one colour would hide that a model mixes up axes.
        noise = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0), device="cpu")
        example = noise.to(classifier.device)
        with torch.no_grad(), as_model_error(classifier.name, example.shape):
            logits(classifier, example)
            return cls(classifier, layers, best_memory_format(classifier.scoring, example))


@dataclass(frozen=True)
class DissectedLayer:
    """A layer of a plan.

    Attributes:
        model: index of its model in `DissectionPlan.models`.
        name: its name in that model.
    """

    model: int
    name: str


@dataclass(frozen=True, eq=False)
class DissectionPlan:
    """Everything that one pass over a probe set computes.

    Attributes:
        probe: the images, with or without pixel labels.
        models: the models that share the pass.
        clip: the CLIP model that embeds every image, or None.
        batch_size: images per forward pass. Batches begin at multiples of it for every division into shards, because
            results are rounded differently in batches of other sizes.
        batches_per_shard: batches per shard. A shard is saved at once, and a killed run repeats at most one shard.
    """

    probe: ProbeSet
    models: tuple[DissectedModel, ...]
    clip: Clip | None
    batch_size: int = 32
    batches_per_shard: int = 8

    @cached_property
    def shards(self) -> tuple[range, ...]:
        """The positions of the images of each shard: whole batches, in order."""
        size, count = self.batch_size * self.batches_per_shard, len(self.probe)
        return tuple(range(start, min(start + size, count)) for start in range(0, count, size))

    @property
    def layers(self) -> tuple[DissectedLayer, ...]:
        """All layers of all models, model by model."""
        return tuple(DissectedLayer(m, name) for m, model in enumerate(self.models) for name in model.layers)

    @cached_property
    def preparations(self) -> tuple[Preprocessing, ...]:
        """The different preprocessings of the models. Models with the same one share its tensors and label maps."""
        found: dict[str, Preprocessing] = {}
        for model in self.models:
            found.setdefault(_described(model.classifier.preprocess), model.classifier.preprocess)
        return tuple(found.values())

    def preparation_of(self, model: DissectedModel) -> int:
        """Return the index in `preparations` of the preprocessing of a model."""
        described = [_described(each) for each in self.preparations]
        return described.index(_described(model.classifier.preprocess))

    def key(self, surroundings: Mapping[str, Any]) -> str:
        """Return the SHA-256 over everything that the shards depend on: contents and parameters, not names alone.

        Args:
            surroundings: versions, device, precision flags, and the digest of the spot check, as JSON values, so that
                checkpoints of other code are not used.
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
