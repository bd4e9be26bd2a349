"""The options of `dissection`, checked before anything is computed or overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError, unknown_name
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.stage import Stage
from xai_eval.tasks.trials.trials import dissection_trials, model_trials, overlap_trials, unit_trials

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_clip import Similarity
    from xai_eval.explainers.dissection.dissection_plan import DissectedModel, DissectionPlan
    from xai_eval.explainers.dissection.probe_pass import Engine
    from xai_eval.inputs.clip.clip import Clip
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.concept_sets import ConceptSet
    from xai_eval.inputs.probes.probe_set import ProbeSet

# The layers of a ResNet that the published plan dissects.
_STAGES = ("layer2", "layer3", "layer4")
_COUNTERPARTS = {"scenes:objects": "scenes:places", "scenes:places": "scenes:objects"}
NOTHING = "none"
# Number of images per checkpoint. A run that was killed repeats at most this many images.
_IMAGES_PER_SHARD = 256
_BUNDLED, _STUDY_CLIP = "scenes", "ViT-B-16/openai"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A CLIP model and the words that it chooses labels from."""

    clip: Clip
    words: ConceptSet

    def describe(self) -> dict[str, str]:
        """Return the names of the model and of the word list, as JSON values."""
        return {"model": self.clip.name, "concepts": f"{self.words.name}, {len(self.words.concepts)} words"}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on words that were left out, and on words that CLIP does not know."""
        return (*self.words.notes, *self.clip.notes_on(self.words.concepts))


@dataclass(frozen=True, eq=False)
class Request:
    """The checked options of one run of `dissection`.

    Attributes:
        plan: probe set, models with their layers, and CLIP.
        vocabulary: CLIP and the words that it chooses from; None if only pixel labels are used.
        similarity: the function by which CLIP chooses a word.
        image: position of the image for which the most active units are listed.
        interpret: name of that image; None if none was given.
        shuffles: number of shuffles of the label maps.
        seed: seed of all random numbers.
        engine: computes the parts of the pass, in this process or on Ray.
        whole_probe: number of images of the probe set before `probe_size` was applied.
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

    @cached_property
    def trials(self) -> dict[Stage, Fingerprint]:
        """Steps tried on what never changes, once per run."""
        by_words = dissection_trials(self.similarity) if self.vocabulary else {}
        return {**model_trials(), **by_words, **overlap_trials(), **unit_trials()}

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that identify the cases, as JSON values."""
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
        """Sentences that a reader of the results should know, such as how few images there are."""
        of_models = (note for model in self.plan.models for note in model.notes)
        return (*self.plan.probe.notes, *(self.similarity.notes if self.vocabulary else ()), *of_models)


def make_plan(
    probe: ProbeSet,
    models: Sequence[Classifier],
    layers: Sequence[str] | None,
    vocabulary: Vocabulary | None,
    batch_size: int,
) -> DissectionPlan:
    """Put together probe set, models, layers and CLIP. Raises UsageError if a model does not have a layer."""
    from xai_eval.explainers.dissection.dissection_plan import DissectionPlan

    dissected = tuple(_dissected(each, layers) for each in models)
    clip = vocabulary.clip if vocabulary else None
    return DissectionPlan(probe, dissected, clip, batch_size, max(1, _IMAGES_PER_SHARD // batch_size))


def choose_similarity_for(
    probe: ProbeSet, vocabulary: Vocabulary | None, name: str | None, top_k: int | None, seed: int
) -> Similarity:
    """Return the function by which CLIP chooses a word.

    If `name` is None, it is the published one, or another one if there are too few words for it.
    """
    from xai_eval.explainers.dissection.by_clip import choose_similarity, default_similarity

    words = len(vocabulary.words.concepts) if vocabulary else 0
    return choose_similarity(name or default_similarity(words), top_k, len(probe), seed)


def choose_engine() -> Engine:
    """Return what computes the parts of the pass: the cluster that is in use, or else this process."""
    from xai_eval.cluster.cluster import cluster_in_use
    from xai_eval.explainers.dissection.probe_pass import in_this_process
    from xai_eval.explainers.dissection.ray_engine import on_ray

    cluster = cluster_in_use()
    return in_this_process if cluster is None else partial(on_ray, cluster)


def choose_vocabulary(probe: ProbeSet, concepts: str | None, clip: str | None, device: str) -> Vocabulary | None:
    """Load CLIP and the words that it chooses labels from; return None if only pixel labels are used.

    Raises:
        UsageError: there is neither CLIP nor a pixel label, so that nothing could label a unit.
        InputUnavailable: CLIP or the words cannot be loaded.
    """
    from xai_eval.inputs.clip.clip import load_clip

    # Published CLIP models were trained on photographs. The bundled scenes are drawn and need the bundled CLIP model.
    named = clip or (_BUNDLED if probe.name == _BUNDLED else _STUDY_CLIP)
    if named == NOTHING:
        if not probe.concepts:
            raise UsageError(
                f"probe set {probe.name} labels no pixels, so without CLIP nothing could label a unit. Leave out "
                "--clip none, or give a probe set that has a folder labels/."
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
            "Give a text file with --concepts, with one concept per line."
        )
    scenes = frozenset(concept.name for concept in probe.concepts if concept.category == "scene")
    return ConceptSet(f"labels of {probe.name}", names, scenes)


def second_model(classifier: Classifier, against: str | Classifier | None) -> list[Classifier]:
    """Load the second model, if there is one. Raises UsageError if it has the same name as the first."""
    from xai_eval.inputs.models.models import load_model

    named = _COUNTERPARTS.get(classifier.name, NOTHING) if against is None else against
    if named == NOTHING:
        return []
    second = load_model(named, device=str(classifier.device))
    if second.name == classifier.name:
        raise UsageError(
            f"both models are named {second.name}: a model would be compared with itself, or the results could not be "
            "told apart. Give another model, rename the file of one of them, or add --against none."
        )
    return [second]


def _dissected(classifier: Classifier, layers: Sequence[str] | None) -> DissectedModel:
    from xai_eval.explainers.dissection.dissection_plan import DissectedModel

    if isinstance(layers, str) or (layers is not None and not layers):
        raise UsageError(f"layers is {layers!r}; expected the names of at least one layer.")
    given = _default_layers(classifier) if layers is None else layers
    names = tuple(dict.fromkeys(map(classifier.layer_name, given)))
    return DissectedModel.at_its_fastest(classifier, names)


def _default_layers(classifier: Classifier) -> tuple[str, ...]:
    """Return the stages of a ResNet, also of one that is a part of the model, such as its `backbone`."""
    names = set(classifier.layer_names)
    inside = (name.removesuffix(_STAGES[0]) for name in classifier.layer_names if name.endswith(f".{_STAGES[0]}"))
    for before in ("", *inside):
        stages = tuple(f"{before}{stage}" for stage in _STAGES)
        if names.issuperset(stages):
            return stages
    return (classifier.default_layer(),)


def position_of(probe: ProbeSet, image: str | None) -> int:
    """Return the position of an image; 0 if None. Raises UsageError if the probe set has no such image."""
    if image is None:
        return 0
    if image not in probe.names:
        raise unknown_name(f"image of {probe.name}", image, probe.names)
    position = probe.names.index(image)
    # The image is read now, because an image that was named must not be replaced by another one later.
    probe.read(position)
    return position
