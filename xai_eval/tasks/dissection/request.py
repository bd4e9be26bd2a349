"""What a dissection is asked for, checked before anything is computed or overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_clip import Similarity
    from xai_eval.explainers.dissection.dissection_plan import DissectedModel, DissectionPlan
    from xai_eval.explainers.dissection.probe_pass import Engine
    from xai_eval.inputs.clip.clip import Clip
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.concept_sets import ConceptSet
    from xai_eval.inputs.probes.probe_set import ProbeSet

# The layers of a ResNet that the study dissects.
_STAGES = ("layer2", "layer3", "layer4")
_COUNTERPARTS = {"scenes:objects": "scenes:places", "scenes:places": "scenes:objects"}
NOTHING = "none"
# What is saved at once, and what a killed run repeats at most.
_IMAGES_PER_SHARD = 256
_BUNDLED, _STUDY_CLIP = "scenes", "ViT-B-16/openai"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A CLIP model and the words that it may choose from."""

    clip: Clip
    words: ConceptSet

    def describe(self) -> dict[str, str]:
        """Name both, as JSON values."""
        return {"model": self.clip.name, "concepts": f"{self.words.name}, {len(self.words.concepts)} words"}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the words, and which of them CLIP does not know."""
        return (*self.words.notes, *self.clip.notes_on(self.words.concepts))


@dataclass(frozen=True, eq=False)
class Request:
    """A dissection that can begin.

    Attributes:
        plan: probe set, models with their layers, and CLIP.
        vocabulary: what CLIP may choose from; None where pixel labels are used alone.
        similarity: how it chooses.
        image: position of the image that is interpreted.
        interpret: its name; None where none was asked for.
        shuffles: of label maps.
        seed: of whatever draws random numbers.
        engine: where shards are computed.
        whole_probe: number of images that the probe set was chosen from.
    """

    plan: DissectionPlan
    vocabulary: Vocabulary | None
    similarity: Similarity
    image: int
    interpret: str | None
    shuffles: int
    seed: int
    engine: Engine
    whole_probe: int

    @property
    def params(self) -> dict[str, Any]:
        """What names the cases, as JSON values."""
        probe, by = self.plan.probe, self.similarity
        return {
            "probe": [probe.name, len(probe), self.seed if len(probe) < self.whole_probe else None],
            "clip": self.vocabulary.describe() if self.vocabulary else NOTHING,
            "similarity": {"name": by.name, "top_k": by.top_k} if self.vocabulary else NOTHING,
            "shuffles": self.shuffles if probe.concepts else 0,
            "interpret": self.interpret,
            "seed": self.seed,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know about how they came about."""
        return (*self.plan.probe.notes, *(self.similarity.notes if self.vocabulary else ()))


def make_plan(
    probe: ProbeSet,
    models: Sequence[Classifier],
    layers: Sequence[str] | None,
    vocabulary: Vocabulary | None,
    batch_size: int,
) -> DissectionPlan:
    """Say what is looked at with what. Raises UsageError for a layer that a model does not have."""
    from xai_eval.explainers.dissection.dissection_plan import DissectionPlan

    dissected = tuple(_dissected(each, layers) for each in models)
    clip = vocabulary.clip if vocabulary else None
    return DissectionPlan(probe, dissected, clip, batch_size, max(1, _IMAGES_PER_SHARD // batch_size))


def choose_similarity_for(
    probe: ProbeSet, vocabulary: Vocabulary | None, name: str | None, top_k: int | None, seed: int
) -> Similarity:
    """Return how CLIP chooses among its words; the published way if None, where the words are many enough for it."""
    from xai_eval.explainers.dissection.by_clip import choose_similarity, default_similarity

    words = len(vocabulary.words.concepts) if vocabulary else 0
    return choose_similarity(name or default_similarity(words), top_k, len(probe), seed)


def choose_engine(name: str, classifier: Classifier) -> Engine:
    """Return where shards are computed. Raises UsageError if that cannot compute on the model's device."""
    from xai_eval.explainers.dissection.probe_pass import in_this_process
    from xai_eval.explainers.dissection.ray_engine import on_ray

    if name == "ray" and classifier.device.type != "cpu":
        raise UsageError("the engine ray computes on CPUs only. Add --device cpu, or leave out --engine ray.")
    return {"local": in_this_process, "ray": on_ray}[name]


def choose_vocabulary(probe: ProbeSet, concepts: str | None, clip: str | None, device: str) -> Vocabulary | None:
    """Load CLIP and the words that it may choose from; None where pixel labels are used alone.

    Raises:
        UsageError: nothing could label a unit.
        InputUnavailable: CLIP or the words cannot be had.
    """
    from xai_eval.inputs.clip.clip import load_clip

    # Published CLIPs learned photographs; the bundled scenes are drawn, and have one of their own.
    named = clip or (_BUNDLED if probe.name == _BUNDLED else _STUDY_CLIP)
    if named == NOTHING:
        if not probe.concepts:
            raise UsageError(
                f"probe set {probe.name} labels no pixels, so without CLIP nothing could label a unit. Leave out "
                "--clip none, or name a probe set with labels/."
            )
        return None
    words = _words(probe, concepts)
    return Vocabulary(load_clip(named, device=device), words)


def _words(probe: ProbeSet, concepts: str | None) -> ConceptSet:
    from xai_eval.inputs.probes.concept_sets import ConceptSet, load_concepts

    if concepts is not None or probe.name == _BUNDLED:
        return load_concepts(concepts or _BUNDLED)
    names = tuple(dict.fromkeys(concept.name for concept in probe.concepts))
    if len(names) < 2:
        raise UsageError(
            f"probe set {probe.name} names {len(names)} concepts of its own; CLIP needs at least two to choose from. "
            "Name a text file with --concepts, one concept a line."
        )
    scenes = frozenset(concept.name for concept in probe.concepts if concept.category == "scene")
    return ConceptSet(f"labels of {probe.name}", names, scenes)


def second_model(classifier: Classifier, against: str | Classifier | None) -> list[Classifier]:
    """Load the model to compare with, if there is one. Raises UsageError if it is called as the first."""
    from xai_eval.inputs.models.models import load_model

    named = _COUNTERPARTS.get(classifier.name, NOTHING) if against is None else against
    if named == NOTHING:
        return []
    second = load_model(named, device=str(classifier.device))
    if second.name == classifier.name:
        raise UsageError(
            f"both models are called {second.name}: it would be compared with itself, or their results could not be "
            "told apart. Name another model, give the file of one another name, or say --against none."
        )
    return [second]


def _dissected(classifier: Classifier, layers: Sequence[str] | None) -> DissectedModel:
    from xai_eval.explainers.dissection.dissection_plan import DissectedModel

    names = tuple(dict.fromkeys(_default_layers(classifier) if layers is None else layers))
    if not names or isinstance(layers, str):
        raise UsageError(f"layers is {layers!r}; expected the names of at least one layer.")
    for name in names:
        classifier.layer(name)
    return DissectedModel.at_its_fastest(classifier, names)


def _default_layers(classifier: Classifier) -> tuple[str, ...]:
    return _STAGES if set(_STAGES) <= set(classifier.layer_names) else (classifier.default_layer(),)


def position_of(probe: ProbeSet, image: str | None) -> int:
    """Return the position of an image, the first if None. Raises UsageError for a name that the probe set lacks."""
    if image is None:
        return 0
    if image not in probe.names:
        raise unknown_name(f"image of {probe.name}", image, probe.names)
    position = probe.names.index(image)
    # Whoever names it wants this one and no other.
    probe.read(position)
    return position
