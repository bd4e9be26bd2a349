"""The table of all kinds of stages: the steps that make each kind, its limits, its meaning, and its box on the page."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xai_eval.result.stage import OwnKind, Stage
from xai_eval.result.stage import StageKind as K

# Relative changes. Threads, batch size, memory format, mkldnn, float64 and torch versions move activations and logits
# by up to 2e-5 on CPU; TF32 on a GPU by about 1e-3. What lime predicts, the weights it fits, maps and similarities of
# units move by less than that (3e-6 on MobileNetV2).
STAGE_TOLERANCE = 2e-3
ON_CPU = 2e-4
# Half precision changes an input by ten times as much; rounding in the normalisation, by a thousandth of this.
OF_INPUTS = 5e-5
# Counts of pixels above a threshold, and logarithms, change by more than the rounding error that causes the change.
OF_SCORES = 1e-2
# On a GPU, TF32 and other kernels change the output of a whole network by more than rounding on a CPU does. What is
# computed from it (maps, weights, scores) is judged by the tolerances of fields alone.
OFF_CPU = 2e-2


# Stages of one kind and model; of one part, or of all parts if that is None.
Group = tuple[K | OwnKind, str, str | None]


def groups_of(stage: Stage) -> tuple[Group, Group]:
    """Return the groups that a stage belongs to."""
    return (stage.kind, stage.model, None), (stage.kind, stage.model, stage.of)


@dataclass(frozen=True)
class Before:
    """Stages that a step starts from: those of the same model, and those that belong to no particular model.

    Attributes:
        words: the name for all of them together.
        kinds: the kinds of these stages.
        same_part: whether only stages of the same part count, such as of the same layer.
    """

    words: str
    kinds: tuple[K, ...]
    same_part: bool = False

    def named(self, made: Stage) -> str:
        """Return the name for these stages if the step makes the stage `made`."""
        return str(Stage(self.kinds[0], made.of, made.model)) if self.same_part else self.words

    def groups(self, made: Stage) -> list[Group]:
        """Return the groups that hold these stages if the step makes the stage `made`."""
        part, models = made.of if self.same_part else None, ("", made.model) if made.model else ("",)
        return [(kind, model, part) for kind in self.kinds for model in models]

    def among(self, recorded: Iterable[Stage], made: Stage) -> list[Stage]:
        """Return which of the recorded stages these are if the step makes the stage `made`."""
        return [
            each
            for each in recorded
            if each.kind in self.kinds and each.model in ("", made.model) and (each.of == made.of or not self.same_part)
        ]


@dataclass(frozen=True)
class Step:
    """A step of the computation, which makes a stage.

    Attributes:
        words: the step in words.
        after: the stages that it starts from.
        given: a sentence for people if it starts from no stage.
    """

    words: str
    after: tuple[Before, ...] = ()
    given: str = ""


@dataclass(frozen=True)
class Limits:
    """Largest relative changes up to which a stage counts as unchanged.

    Attributes:
        on_cpu: the limit if both results were computed on a CPU; a larger change there is drift.
        elsewhere: the limit otherwise.
        alarm_elsewhere: the change above which a stage is drift otherwise; infinite if only the tolerances of fields
            decide.
    """

    on_cpu: float
    elsewhere: float
    alarm_elsewhere: float


@dataclass(frozen=True)
class StageRules:
    """One row of the table.

    Attributes:
        steps: the steps that may make the stage. The first one whose earlier stages are all recorded is used, or else
            the last.
        limits: by how much the stage may change.
        alarms: whether a larger change is drift by itself. For a class or a label it is not: two of them can be tied,
            and a swap between them is reported but never fails a case.
        drawn: whether the stage depends on random numbers, so that another seed changes it. Whether that excuses it,
            the user's settings say.
        family: name of the box that it shares with neighbouring stages on the page; empty for a box of its own kind.
        box_per_part: whether it shares a box with all stages of the same part instead, such as of the same layer.
        counted: whether it is made of whole numbers, so that it is exactly the same if the stages before it are. Its
            limits are for stages before it that moved by rounding.
        follows: whether nothing but the stages before it goes into it, so that if they are the same in every bit, it
            moves by rounding alone, however much more its limits allow.
    """

    steps: tuple[Step, ...]
    limits: Limits
    alarms: bool = True
    drawn: bool = False
    family: str = ""
    box_per_part: bool = False
    counted: bool = False
    follows: bool = False

    @property
    def same_everywhere(self) -> bool:
        """Whether no device, and no precision of the model, moves the stage by more than another."""
        return self.limits.on_cpu == self.limits.alarm_elsewhere

    def limit(self, *, on_cpu: bool) -> float:
        """Return the relative change up to which the stage counts as unchanged."""
        return self.limits.on_cpu if on_cpu else self.limits.elsewhere

    def alarm(self, *, on_cpu: bool) -> float:
        """Return the relative change above which the stage alone is drift; infinite if it never is."""
        if not self.alarms:
            return math.inf
        return self.limits.on_cpu if on_cpu else self.limits.alarm_elsewhere


def _everywhere(limit: float) -> Limits:
    return Limits(limit, limit, limit)


# Only another image, another model or other code can change these at all.
_EXACT = _everywhere(0.0)
_INPUTS = _everywhere(OF_INPUTS)
_NETWORK = Limits(ON_CPU, STAGE_TOLERANCE, OFF_CPU)
# The same processor repeats these to a few digits of single precision.
_REPEATED = Limits(ON_CPU, STAGE_TOLERANCE, math.inf)
# On a GPU only the tolerances of fields judge what follows from the network.
_SIMILARITY = Limits(ON_CPU, OF_SCORES, math.inf)
_SCORES = Limits(OF_SCORES, OF_SCORES, math.inf)
# Where two classes are nearly equal, rounding moves a place from one to the other: TF32 one place in a thousand.
_REGION = Limits(OF_SCORES, 5e-2, math.inf)
_LOOSE = Limits(STAGE_TOLERANCE, STAGE_TOLERANCE, math.inf)


def _step(words: str, *after: K | Before) -> Step:
    return Step(words, tuple(each if isinstance(each, Before) else Before(str(each), (each,)) for each in after))


def _own(kind: K) -> Before:
    return Before(str(kind), (kind,), same_part=True)


_MODEL_STATE, _CLIP_STATE = "model state", "model state of CLIP"
_MODEL = Before(_MODEL_STATE, (K.MODULE_TYPES, K.TRAINING_FLAGS, K.HOOKS, K.MODEL_WEIGHTS))
_CLIP = Before(_CLIP_STATE, (K.CLIP_MODULE_TYPES, K.CLIP_TRAINING_FLAGS, K.CLIP_HOOKS, K.CLIP_WEIGHTS))
_NOTHING = "Nothing comes before it."
_TRIALS = "trials"


def _state(words: str, after: K, family: str) -> StageRules:
    return StageRules((_step(words, after),), _EXACT, family=family)


def _of_layer(step: Step, limits: Limits, *, alarms: bool = True) -> StageRules:
    return StageRules((step,), limits, alarms=alarms, box_per_part=True)


def _overlap(words: str) -> StageRules:
    after = (_step(words, _own(known), K.LABEL_MAPS) for known in (K.UNIT_MAPS, K.ACTIVATIONS))
    return StageRules(tuple(after), _SCORES, box_per_part=True, counted=True)


_STATE_OF_MODEL = _state("state of the model", K.INPUT_TENSOR, _MODEL_STATE)
_STATE_OF_CLIP = _state("state of CLIP", K.CONCEPTS, _CLIP_STATE)
# The class, and where it is if the model gives it a place.
_TARGET = Before("target", (K.TARGET, K.REGION))
_OF_EXPLAINER = (_MODEL, K.LAYER_ACTIVATIONS, _TARGET)
# The second step is for tasks that explain no layer: they start from the input tensor.
_RAW_MAP = StageRules(
    (_step("explainer", *_OF_EXPLAINER), _step("explainer", _MODEL, K.INPUT_TENSOR, _TARGET)), _REPEATED, drawn=True
)
_FINAL_MAP = StageRules(
    (
        _step("scaling of the map to the size of the image", _own(K.LAYER_MAP)),
        _step("post-processing of the map", _own(K.RAW_MAP)),
        _step("explainer or post-processing", *_OF_EXPLAINER),
    ),
    _REPEATED,
    drawn=True,
)

_KINDS: Mapping[str, StageRules] = {
    # Of one image.
    K.IMAGE_BYTES: StageRules((Step("the file of the image", given=_NOTHING),), _LOOSE, alarms=False),
    K.DECODED_PIXELS: StageRules((_step("decoding", K.IMAGE_BYTES),), _EXACT),
    K.INPUT_TENSOR: StageRules(
        (
            _step("preprocessing", K.PROBE_SET, K.PROBE_IMAGES),
            _step("preprocessing", K.IMAGE_BYTES, K.DECODED_PIXELS),
        ),
        _INPUTS,
    ),
    K.VIEW: StageRules((_step("preprocessing", K.IMAGE_BYTES, K.DECODED_PIXELS),), _INPUTS),
    K.OBJECT_MASK: StageRules((_step("preprocessing of the object's mask", K.DECODED_PIXELS, K.VIEW),), _EXACT),
    K.CONCEPT_MASKS: StageRules((_step("preprocessing of the concepts' masks", K.DECODED_PIXELS, K.VIEW),), _EXACT),
    # Of the explained model.
    K.MODULE_TYPES: _STATE_OF_MODEL,
    K.TRAINING_FLAGS: _STATE_OF_MODEL,
    K.HOOKS: _STATE_OF_MODEL,
    K.MODEL_WEIGHTS: _state("weights of the model", K.INPUT_TENSOR, _MODEL_STATE),
    K.REFERENCES: StageRules((_step("features of the references", _MODEL),), _NETWORK),
    K.LAYER_ACTIVATIONS: StageRules((_step("forward pass of the model", K.INPUT_TENSOR, _MODEL),), _NETWORK),
    K.LOGITS: StageRules(
        (
            _step("forward pass of the model", K.LAYER_ACTIVATIONS, _MODEL),
            _step("forward pass of the model", K.INPUT_TENSOR, _MODEL),
        ),
        _NETWORK,
    ),
    # Where the model is sure, the softmax makes of a small change of large logits one many times as large.
    K.PROBABILITIES: StageRules(
        (_step("what people read of the logits, such as the softmax", K.LOGITS),), _SCORES, follows=True
    ),
    K.TARGET: StageRules((_step("choice of the target", K.LOGITS),), _LOOSE, alarms=False),
    K.REGION: StageRules((_step("choice of the region or box", K.LOGITS, K.TARGET),), _REGION, alarms=False),
    # Of explanations of one image.
    K.RAW_MAP: _RAW_MAP,
    K.LAYER_MAP: StageRules(
        (_step("cutting and scaling of the map", _own(K.RAW_MAP)), _step("explainer", *_OF_EXPLAINER)),
        _REPEATED,
        drawn=True,
    ),
    K.FINAL_MAP: _FINAL_MAP,
    K.BASELINE: StageRules((_step("choice of the baseline", K.INPUT_TENSOR),), _INPUTS),
    # A gradient jumps where rounding moves an activation over the kink of a ReLU: on six scenes, what changed logits by
    # 1e-6 changed attributions by up to 5e-4.
    K.ATTRIBUTION: StageRules(
        (
            _step("explainer", _MODEL, K.INPUT_TENSOR, K.BASELINE, _TARGET),
            _step("explainer", _MODEL, K.INPUT_TENSOR, _TARGET),
        ),
        _SCORES,
        drawn=True,
    ),
    K.SIGNED_MAP: StageRules(
        (_step("sum over the channels, and size", _own(K.ATTRIBUTION)),), _SCORES, drawn=True, follows=True
    ),
    # The sum of the attribution, and the scores of image and baseline to which it should add up.
    K.COMPLETENESS: StageRules(
        (_step("sum of the attribution", _own(K.ATTRIBUTION), K.BASELINE),), _SCORES, drawn=True
    ),
    K.SEGMENTS: StageRules((_step("segmentation", K.VIEW),), _EXACT, drawn=True),
    K.SAMPLES: StageRules((_step("sampling", K.SEGMENTS),), _EXACT, drawn=True),
    K.PERTURBED_PREDICTIONS: StageRules(
        (_step("prediction of perturbed images", K.SEGMENTS, K.SAMPLES, _MODEL),), _REPEATED, drawn=True
    ),
    K.WEIGHTS: StageRules((_step("fit of the surrogate", K.SAMPLES, K.PERTURBED_PREDICTIONS),), _REPEATED, drawn=True),
    K.SURROGATES: StageRules(
        (_step("fit of the surrogate", K.SAMPLES, K.PERTURBED_PREDICTIONS),), _REPEATED, drawn=True
    ),
    # Of a dissection.
    K.PROBE_SET: StageRules((Step("choice of the probe set", given=_NOTHING),), _EXACT),
    K.PROBE_IMAGES: StageRules((_step("reading and decoding of the images", K.PROBE_SET),), _EXACT),
    K.LABEL_MAPS: StageRules((_step("reading and preprocessing of the pixel labels", K.PROBE_SET),), _EXACT),
    K.CONCEPTS: StageRules((_step("choice of the concepts", K.PROBE_SET),), _EXACT),
    K.CLIP_MODULE_TYPES: _STATE_OF_CLIP,
    K.CLIP_TRAINING_FLAGS: _STATE_OF_CLIP,
    K.CLIP_HOOKS: _STATE_OF_CLIP,
    K.CLIP_WEIGHTS: _state("weights of CLIP", K.CONCEPTS, _CLIP_STATE),
    K.WORD_EMBEDDINGS: StageRules((_step("CLIP embeddings of the words", K.CONCEPTS, _CLIP),), _NETWORK),
    K.EMBEDDINGS: StageRules((_step("CLIP embeddings of the images", K.PROBE_IMAGES, _CLIP),), _NETWORK),
    K.ACTIVATIONS: _of_layer(_step("forward pass of the model, pooled over places", K.INPUT_TENSOR, _MODEL), _NETWORK),
    K.UNIT_MAPS: _of_layer(_step("forward pass of the model, place by place", K.INPUT_TENSOR, _MODEL), _NETWORK),
    K.TOP_K: _of_layer(_step("choice of the top-k", _own(K.ACTIVATIONS)), _LOOSE),
    K.TOP_IMAGES: _of_layer(_step("choice of the top-k", _own(K.ACTIVATIONS), _own(K.TOP_K)), _LOOSE, alarms=False),
    K.SIMILARITY: _of_layer(
        _step("similarity of units to words", _own(K.ACTIVATIONS), K.WORD_EMBEDDINGS, K.EMBEDDINGS), _SIMILARITY
    ),
    K.OVERLAP: _overlap("thresholds of units, and overlap with pixel labels"),
    K.OVERLAP_BY_CHANCE: _overlap("overlap with shuffled pixel labels"),
    K.LABELS_BY_CLIP: StageRules((_step("choice of the labels", K.SIMILARITY),), _LOOSE, alarms=False, family="labels"),
    K.LABELS_BY_PIXELS: StageRules((_step("choice of the labels", K.OVERLAP),), _LOOSE, alarms=False, family="labels"),
    # It is computed on the CPU, whatever device the run uses.
    K.TRIAL: StageRules(
        (Step("this step, as a library or xai_eval computes it", given="What it is tried on never changes."),),
        _INPUTS,
        family=_TRIALS,
    ),
    # Only the tolerance of the field decides, because nothing is known of how the value came about.
    K.VALUE: StageRules(
        (Step("the code of the test", given="The test computes it; nothing before it is recorded."),),
        _LOOSE,
        alarms=False,
    ),
    # No task records this stage. It stands for all steps after the last recorded stage, if only fields changed.
    K.MEASURES: StageRules(
        (Step("metrics, or how the result is put together", given="No recorded stage changed."),), _LOOSE
    ),
}

# What each kind holds, in words for people who read the page; without a full stop. The last ones are names of boxes.
_MEANINGS: Mapping[str, str] = {
    K.IMAGE_BYTES: "the file of the image as it is on disk",
    K.DECODED_PIXELS: "the pixels of the image after its file was decoded",
    K.INPUT_TENSOR: "what the model gets: the image after the preprocessing",
    K.VIEW: "the part of the image that the model sees, at the model's size, as pixels",
    K.OBJECT_MASK: "which pixels of the view belong to the labelled object",
    K.CONCEPT_MASKS: "which pixels of the view show each concept",
    K.MODULE_TYPES: "the types of the model's modules, and settings such as a stride",
    K.TRAINING_FLAGS: "which modules are in training mode",
    K.HOOKS: "hooks on the model's modules, and methods replaced on a single module",
    K.MODEL_WEIGHTS: "the weights of the model, block by block",
    K.REFERENCES: "the features that those of this image are compared with",
    K.LAYER_ACTIVATIONS: "the output of the explained layer for this image",
    K.LOGITS: "what the model returns for this image",
    K.PROBABILITIES: "the numbers that people read of what the model returns, such as probabilities",
    K.TARGET: "the class, or another output, that is explained",
    K.REGION: "where it is explained: the places that a segmentation gives to the class, or the box of a detector",
    K.RAW_MAP: "the map as the method computes it, before it is scaled to the size of the image",
    K.LAYER_MAP: "the map at the size of the layer, without its negative part and scaled to at most 1",
    K.FINAL_MAP: "the map as it is shown and measured",
    K.BASELINE: "the input that the image is compared with, such as a black image",
    K.ATTRIBUTION: "how much each number of the input tensor speaks for the explained output, or against it",
    K.SIGNED_MAP: "the attribution summed over the colours, per pixel: positive for, negative against",
    K.COMPLETENESS: "the sum of the attribution, and what it should add up to",
    K.SEGMENTS: "the superpixels: which pixel belongs to which patch of similar pixels",
    K.SAMPLES: "which superpixels are hidden in which sample of LIME",
    K.PERTURBED_PREDICTIONS: "what the model says of the samples, in which some superpixels are hidden",
    K.WEIGHTS: "how much each superpixel speaks for the explained class, as LIME fits it",
    K.SURROGATES: "how well LIME's linear model follows the explained model",
    K.PROBE_SET: "which images a dissection looks at",
    K.PROBE_IMAGES: "the pixels of these images",
    K.LABEL_MAPS: "which concept each pixel of these images shows",
    K.CONCEPTS: "the words that units may be labelled with",
    K.CLIP_MODULE_TYPES: "the types of CLIP's modules, and settings such as a stride",
    K.CLIP_TRAINING_FLAGS: "which modules of CLIP are in training mode",
    K.CLIP_HOOKS: "hooks on CLIP's modules, and methods replaced on a single module",
    K.CLIP_WEIGHTS: "the weights of CLIP, block by block",
    K.WORD_EMBEDDINGS: "the vectors that CLIP gives to the words",
    K.EMBEDDINGS: "the vectors that CLIP gives to the images",
    K.ACTIVATIONS: "how strongly each unit of the layer responds to each image",
    K.UNIT_MAPS: "where on each image the units of the layer are active",
    K.TOP_K: "how strongly each unit responds to the images that it responds to most",
    K.TOP_IMAGES: "the images that each unit responds to most",
    K.SIMILARITY: "how well each word fits each unit, by CLIP",
    K.OVERLAP: "how much the places where a unit is active overlap with each concept",
    K.OVERLAP_BY_CHANCE: "how much they overlap with the labels of other images, as chance makes it",
    K.LABELS_BY_CLIP: "the word that fits each unit best, by CLIP",
    K.LABELS_BY_PIXELS: "the concept that overlaps most with each unit",
    K.TRIAL: "a step of the explanation, tried on a small network, an image and data that never change",
    K.VALUE: "the value that a test computed and checked",
    K.MEASURES: "the measures computed from all of this",
    _MODEL_STATE: "what the model consists of: its modules, their modes, hooks and weights",
    _CLIP_STATE: "what CLIP consists of: its modules, their modes, hooks and weights",
    _TRIALS: "steps tried on what never changes, so that a changed library shows even behind changed weights",
    "labels": "the words and concepts that were chosen for the units",
}
_OF_A_PART = "all that was computed of the units of this layer"

# Methods whose stages have other rules than the rest of their kind.
_PARTS: Mapping[tuple[str, str], StageRules] = {
    # The weights of AblationCAM are small differences of scores. On three photographs, what changed logits by 2e-6
    # changed these weights by 6e-5.
    (K.RAW_MAP, "ablationcam"): dataclasses.replace(_RAW_MAP, limits=_LOOSE),
    (K.FINAL_MAP, "ablationcam"): dataclasses.replace(_FINAL_MAP, limits=_LOOSE),
    # LIME's map is painted from its weights, so that it has no raw map before it.
    (K.FINAL_MAP, "lime"): dataclasses.replace(
        _FINAL_MAP, steps=(_step("post-processing of the map", K.WEIGHTS), _FINAL_MAP.steps[-1])
    ),
}

# For kinds that only a task of a user has: on a GPU they may change by as much as the output of a whole network.
_OWN_KIND = StageRules(
    (Step("a step of the task's own", given="The task does not say what comes before it."),),
    Limits(STAGE_TOLERANCE, STAGE_TOLERANCE, OFF_CPU),
)


def rules_of(stage: Stage) -> StageRules:
    """Return the row of a stage, or default rules for a kind that only a task of a user has."""
    return _PARTS.get((stage.kind, stage.of)) or _KINDS.get(stage.kind, _OWN_KIND)


def meaning_of(stage: Stage) -> str:
    """Return what a stage holds, in words without a full stop; empty for a kind that only a task of a user has."""
    return _MEANINGS.get(stage.kind, "")


def meanings() -> Mapping[str, str]:
    """Return what each kind of stage, and each box of several, holds, in words without a full stop."""
    return {str(name): meaning for name, meaning in _MEANINGS.items()}


def meaning_of_box(stage: Stage) -> str:
    """Return what the box on the page holds that a stage shares with similar ones."""
    rules = rules_of(stage)
    return _OF_A_PART if rules.box_per_part else _MEANINGS.get(rules.family or stage.kind, "")
