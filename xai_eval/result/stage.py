"""Names of stages, the steps of the computation from image to explanation, as records that need no parsing."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Mapping
from typing import Any

from xai_eval.errors import UsageError, unknown_name


class StageKind(enum.StrEnum):
    """The kind of a stage. `xai_eval/gate/stage_table.py` says how each kind is judged.

    Stages of the explained model and of CLIP are different kinds, because different stages come before them.
    """

    # Of one image.
    IMAGE_BYTES = "image bytes"
    DECODED_PIXELS = "decoded pixels"
    INPUT_TENSOR = "input tensor"
    VIEW = "view"
    OBJECT_MASK = "object mask"
    CONCEPT_MASKS = "concept masks"
    # Of the explained model.
    MODULE_TYPES = "module types"
    TRAINING_FLAGS = "training flags"
    HOOKS = "hooks"
    MODEL_WEIGHTS = "model weights"
    REFERENCES = "references"
    LAYER_ACTIVATIONS = "layer activations"
    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    TARGET = "target"
    REGION = "region"
    # Of explanations of one image.
    RAW_MAP = "raw map"
    LAYER_MAP = "layer map"
    FINAL_MAP = "final map"
    BASELINE = "baseline"
    ATTRIBUTION = "attribution"
    SIGNED_MAP = "signed map"
    COMPLETENESS = "completeness"
    SEGMENTS = "segments"
    SAMPLES = "samples"
    PERTURBED_PREDICTIONS = "perturbed predictions"
    WEIGHTS = "weights"
    SURROGATES = "surrogates"
    # Of a dissection.
    PROBE_SET = "probe set"
    PROBE_IMAGES = "probe images"
    LABEL_MAPS = "label maps"
    CONCEPTS = "concepts"
    CLIP_MODULE_TYPES = "CLIP module types"
    CLIP_TRAINING_FLAGS = "CLIP training flags"
    CLIP_HOOKS = "CLIP hooks"
    CLIP_WEIGHTS = "CLIP weights"
    WORD_EMBEDDINGS = "word embeddings"
    EMBEDDINGS = "embeddings"
    ACTIVATIONS = "activations"
    UNIT_MAPS = "unit maps"
    TOP_K = "top-k"
    TOP_IMAGES = "top images"
    SIMILARITY = "similarity"
    OVERLAP = "overlap"
    OVERLAP_BY_CHANCE = "overlap by chance"
    LABELS_BY_CLIP = "labels by CLIP"
    LABELS_BY_PIXELS = "labels by pixels"
    # Of steps that are tried on a network, an image and data that never change.
    TRIAL = "trial"
    # Of a value that a test computed itself.
    VALUE = "value"
    # Of the metrics at the end.
    MEASURES = "measures"


_KINDS: Mapping[str, StageKind] = {kind.value: kind for kind in StageKind}


class OwnKind(str):
    """A kind of stage that only a task of a user has: `Stage(OwnKind("attention rollout"), "layer4")`.

    All such kinds are judged by the same default limits.
    """

    __slots__ = ()


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage: the raw map of gradcam, the model weights of conv1, the activations of layer4 in scenes:objects.

    Attributes:
        kind: the kind of the stage.
        of: what the stage belongs to if a result has several of this kind: a method, a layer, a block, a segmentation,
            or a group of classes or metrics.
        model: the model that the stage belongs to if a result is about several.

    Raises:
        UsageError: the kind is a plain string, in which a typing error would go unnoticed.

    Example:
        >>> str(Stage(StageKind.RAW_MAP, "gradcam"))
        'raw map of gradcam'
    """

    kind: StageKind | OwnKind
    of: str = ""
    model: str = ""

    def __post_init__(self) -> None:
        _check_kind(self.kind)

    def __str__(self) -> str:
        return in_model(f"{self.kind} of {self.of}" if self.of else str(self.kind), self.model)

    @property
    def document(self) -> dict[str, str]:
        """The stage as JSON values, without empty ones."""
        return {name: str(value) for name, value in vars(self).items() if value}

    @staticmethod
    def restored(document: Mapping[str, Any]) -> Stage:
        """Rebuild a stage from `document`, whose other entries are ignored.

        An unknown kind is taken for one of the task that made the result, because judging loads no tasks.
        """
        return _known(str(document["kind"]), str(document.get("of", "")), str(document.get("model", "")))


@functools.lru_cache(maxsize=4096)
def _known(kind: str, of: str, model: str) -> Stage:
    """Return the stage; cached, because all cases of a run have the same stages."""
    return Stage(_KINDS.get(kind) or OwnKind(kind), of, model)


def _check_kind(kind: object) -> None:
    if not isinstance(kind, StageKind | OwnKind) or not kind:
        hint = "Use a member of StageKind, or OwnKind(...) for a kind that only your task has."
        raise unknown_name("kind of stage", str(kind), StageKind, hint=hint)


def in_model(words: str, model: str) -> str:
    """Return `words` with the model appended, if one is given."""
    return f"{words} in {model}" if model else words


def check_stages(case: str, stages: Mapping[Any, Any]) -> None:
    """Raise UsageError if a stage of a case is named by a plain string."""
    for stage in stages:
        if not isinstance(stage, Stage):
            raise UsageError(
                f"{case}: a stage is named {stage!r}; expected a Stage, such as Stage(StageKind.LOGITS), or "
                f"Stage(OwnKind({str(stage)!r})) for a kind that only this task has."
            )
