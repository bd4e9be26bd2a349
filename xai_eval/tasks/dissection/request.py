"""What a dissection is asked for, checked before anything is computed or overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError, unknown_name
from xai_eval.tasks.image.asked import LARGEST_SEED

if TYPE_CHECKING:
    from xai_eval.explainers.dissection.by_clip import Similarity
    from xai_eval.explainers.dissection.study import Dissected, Study
    from xai_eval.explainers.dissection.sweep import Engine
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
        study: probe set, models with their layers, and CLIP.
        vocabulary: what CLIP may choose from; None where pixel labels are used alone.
        similarity: how it chooses.
        image: position of the image that is interpreted.
        shuffles: of label maps.
        seed: of whatever draws random numbers.
        engine: where shards are computed.
        params: what names the case, as JSON values.
    """

    study: Study
    vocabulary: Vocabulary | None
    similarity: Similarity
    image: int
    shuffles: int
    seed: int
    engine: Engine
    params: dict[str, Any]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know about how they came about."""
        return (*self.study.probe.notes, *(self.similarity.notes if self.vocabulary else ()))


def check_request(
    classifier: Classifier,
    probe: ProbeSet,
    *,
    against: str | Classifier | None,
    layers: Sequence[str] | None,
    concepts: str | None,
    clip: str | None,
    similarity: str | None,
    top_k: int | None,
    probe_size: int | None,
    interpret: str | None,
    shuffles: int,
    batch_size: int,
    seed: int,
    engine: str,
) -> Request:
    """Check everything that `dissection` was asked for, and load what it names.

    Raises:
        UsageError: an unknown name, or a number out of range.
        InputUnavailable: a model or the words cannot be had.
    """
    from xai_eval.explainers.dissection.by_clip import choose_similarity, default_similarity
    from xai_eval.explainers.dissection.study import Study

    _check_number("seed", seed, 0, LARGEST_SEED)
    _check_number("shuffles", shuffles, 0, 1000)
    _check_number("batch_size", batch_size, 1, 4096)
    if top_k is not None:
        _check_number("top_k", top_k, 1, 1_000_000)
    chosen = probe if probe_size is None else probe.subset(probe_size, seed)
    vocabulary = _vocabulary(chosen, concepts, clip, str(classifier.device))
    words = len(vocabulary.words.concepts) if vocabulary else 0
    by = choose_similarity(similarity or default_similarity(words), top_k, len(chosen), seed)
    models = [_dissected(each, layers) for each in (classifier, *_second(classifier, against))]
    clip_model = vocabulary.clip if vocabulary else None
    study = Study(chosen, tuple(models), clip_model, batch_size, max(1, _IMAGES_PER_SHARD // batch_size))
    if engine == "ray" and classifier.device.type != "cpu":
        raise UsageError("the engine ray computes on CPUs only. Add --device cpu, or leave out --engine ray.")
    params = {
        "probe": [chosen.name, len(chosen), seed if len(chosen) < len(probe) else None],
        "clip": vocabulary.describe() if vocabulary else NOTHING,
        "similarity": {"name": by.name, "top_k": by.top_k} if vocabulary else NOTHING,
        "shuffles": shuffles if chosen.concepts else 0,
        "interpret": interpret,
        "seed": seed,
    }
    return Request(study, vocabulary, by, _position(chosen, interpret), shuffles, seed, _engine(engine), params)


def _engine(name: str) -> Engine:
    from xai_eval.explainers.dissection.ray_engine import on_ray
    from xai_eval.explainers.dissection.sweep import in_this_process

    engines: dict[str, Engine] = {"local": in_this_process, "ray": on_ray}
    if name not in engines:
        raise unknown_name("engine", name, engines)
    return engines[name]


def _vocabulary(probe: ProbeSet, concepts: str | None, clip: str | None, device: str) -> Vocabulary | None:
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


def _second(classifier: Classifier, against: str | Classifier | None) -> list[Classifier]:
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


def _dissected(classifier: Classifier, layers: Sequence[str] | None) -> Dissected:
    from xai_eval.explainers.dissection.study import Dissected

    names = tuple(dict.fromkeys(_default_layers(classifier) if layers is None else layers))
    if not names or isinstance(layers, str):
        raise UsageError(f"layers is {layers!r}; expected the names of at least one layer.")
    for name in names:
        classifier.layer(name)
    return Dissected.at_its_fastest(classifier, names)


def _default_layers(classifier: Classifier) -> tuple[str, ...]:
    return _STAGES if set(_STAGES) <= set(classifier.layer_names) else (classifier.default_layer(),)


def _position(probe: ProbeSet, image: str | None) -> int:
    if image is None:
        return 0
    if image not in probe.names:
        raise unknown_name(f"image of {probe.name}", image, probe.names)
    position = probe.names.index(image)
    # Whoever names it wants this one and no other.
    probe.read(position)
    return position


def _check_number(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UsageError(f"{name} is {value!r}; expected a whole number from {least} to {most}.")
