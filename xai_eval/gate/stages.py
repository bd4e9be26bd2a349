"""Where a drift began: the first stage of the chain that moved, and by how much each stage may."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Result


@dataclass(frozen=True)
class Step:
    """What makes a stage.

    Attributes:
        stages: pattern of the names of the stages that it makes.
        words: the step in words.
        after: the stages that it begins with; `{0}` is what the pattern's group holds. `model state` stands for all
            stages of that name.
        given: what it begins with instead, in words, where that is no stage.
    """

    stages: str
    words: str
    after: tuple[str, ...] = ()
    given: str = ""


# Of several steps that may make a stage the first counts of which all is recorded, or else the last.
STEPS = (
    Step("image bytes", "the file of the image", given="nothing comes before it"),
    Step("decoded pixels", "decoding", ("image bytes",)),
    Step("input tensor", "preprocessing", ("probe set", "probe images")),
    Step("input tensor", "preprocessing", ("image bytes", "decoded pixels")),
    Step("view", "preprocessing", ("image bytes", "decoded pixels")),
    Step("object mask", "preprocessing of the object's mask", ("decoded pixels", "view")),
    Step("concept masks", "preprocessing of the concepts' masks", ("decoded pixels", "view")),
    Step("model state of CLIP: weights of .*", "weights of CLIP", ("concepts",)),
    Step("model state of CLIP: (?!weights of ).*", "state of CLIP", ("concepts",)),
    Step("model state(?! of CLIP).*: weights of .*", "weights of the model", ("input tensor",)),
    Step("model state(?! of CLIP).*: (?!weights of ).*", "state of the model", ("input tensor",)),
    Step("layer activations", "forward pass of the model", ("input tensor", "model state")),
    Step("logits", "forward pass of the model", ("layer activations", "model state")),
    Step("target", "choice of the target", ("logits",)),
    Step("raw map .*", "explainer", ("model state", "layer activations", "target")),
    Step("final map (.*)", "post-processing of the map", ("raw map {0}",)),
    Step("final map lime", "post-processing of the map", ("weights",)),
    Step("final map .*", "explainer or post-processing", ("model state", "layer activations", "target")),
    Step("segments(?: .*)?", "segmentation", ("view",)),
    Step("samples", "sampling", ("segments",)),
    Step("perturbed predictions(?: .*)?", "prediction of perturbed images", ("segments", "samples", "model state")),
    Step("weights(?: of other classes)?", "fit of the surrogate", ("samples", "perturbed predictions")),
    Step("surrogates", "fit of the surrogate", ("samples", "perturbed predictions")),
    Step("probe set", "choice of the probe set", given="nothing comes before it"),
    Step("probe images", "reading and decoding of the images", ("probe set",)),
    Step("label maps", "reading and preprocessing of the pixel labels", ("probe set",)),
    Step("concepts", "choice of the concepts", ("probe set",)),
    Step("word embeddings", "CLIP embeddings of the words", ("concepts", "model state of CLIP")),
    Step("embeddings", "CLIP embeddings of the images", ("probe images", "model state of CLIP")),
    Step(
        "(?!layer activations).* activations",
        "forward pass of the model, pooled over places",
        ("input tensor", "model state"),
    ),
    Step("(.*) top-k", "choice of the top-k", ("{0} activations",)),
    Step("(.*) top images", "choice of the top-k", ("{0} activations", "{0} top-k")),
    Step("(.*) similarity", "similarity of units to words", ("{0} activations", "word embeddings", "embeddings")),
    Step("(.*) overlap", "thresholds of units, and overlap with pixel labels", ("{0} activations", "label maps")),
    Step("(.*) overlap by chance", "overlap with shuffled pixel labels", ("{0} activations", "label maps")),
    Step("(?:.* )?clip_units labels", "choice of the labels", ("similarity",)),
    Step("(?:.* )?pixel_units labels", "choice of the labels", ("overlap",)),
    Step("measures", "metrics, or how the result is put together", given="every recorded stage held"),
)


@dataclass(frozen=True)
class Responsible:
    """The step that a drift began at.

    Attributes:
        step: in words, such as 'preprocessing'.
        held: the stages that it begins with and that are the same.
        other: those that are not, such as the bytes of an image that was compressed anew.
        unknown: those that nothing is recorded of.
        given: what it begins with instead, in words.
    """

    step: str
    held: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    given: str = ""

    def __str__(self) -> str:
        known = [*(f"other {name}" for name in self.other), *(f"same {name}" for name in self.held)]
        if not known:
            return f"{self.given or 'nothing that it begins with is recorded'}: {self.step}"
        return f"{', '.join([*known, *(f'{name} not recorded' for name in self.unknown)])}: {self.step}"


def responsible(stage: str, before: Mapping[str, bool]) -> Responsible | None:
    """Return the step that made a stage which moved; None for a stage that no task has.

    Args:
        stage: its name.
        before: for every stage in front of it that both results have, whether it is the same.
    """
    found = [_judged(step, match, before) for step in STEPS if (match := re.fullmatch(step.stages, stage))]
    return next((each for each in found if not each.unknown), found[-1] if found else None)


def _judged(step: Step, match: re.Match[str], before: Mapping[str, bool]) -> Responsible:
    names = [name.format(*match.groups()) for name in step.after]
    same = {name: [held for stage, held in before.items() if _belongs(stage, name)] for name in names}
    return Responsible(
        step.words,
        held=tuple(name for name in names if same[name] and all(same[name])),
        other=tuple(name for name in names if not all(same[name])),
        unknown=tuple(name for name in names if not same[name]),
        given=step.given,
    )


def _belongs(stage: str, name: str) -> bool:
    """Whether a stage is what a step calls by its name: `layer4 overlap` is an `overlap`."""
    return stage == name or stage.startswith((f"{name}:", f"{name} ")) or stage.endswith(f" {name}")


# Relative changes. Threads, batch size, memory format, mkldnn, float64 and torch versions move activations and logits
# by up to 2e-5 on CPU; TF32 on a GPU by about 1e-3. What lime predicts, the weights it fits, maps and similarities of
# units move by less than that (3e-6 on MobileNetV2).
STAGE_TOLERANCE = 2e-3
ON_CPU = 2e-4
# A tenth of what half precision does to an input; rounding of the normalisation is a thousand times smaller.
OF_INPUTS = 5e-5
# Counts of pixels above a threshold, and logarithms: rounding of one activation moves them by more than itself.
OF_SCORES = 1e-2
# TF32 and other kernels move a whole network by more than rounding on a CPU does; what follows from it (maps, weights,
# scores) is left to the tolerances of fields, which were made for that.
OFF_CPU = 2e-2

MEASURES = "measures"
# Nothing but a change of the image, of the model or of code moves these at all.
_EXACT = (
    "decoded pixels",
    "object mask",
    "concept masks",
    "probe",
    "label maps",
    "concepts",
    "model state",
    "segments",
    "samples",
)
_INPUTS = ("input tensor", "view")
_NETWORK = ("layer activations", "logits", "embeddings", "word embeddings")
_SURROGATE = ("perturbed predictions", "weights", "surrogates")
_MAPS = ("raw map", "final map")
_DRAWN = ("segments", "samples", *_SURROGATE, *_MAPS)
# Its weights are small differences of scores: what moves logits by 2e-6 moved them by 6e-5 on three photographs.
_CANCELLING = "ablationcam"
_SIMILARITY = "similarity"
_SCORES = (_SIMILARITY, "overlap", "overlap by chance")
# Fields judge these better: a class or a label may be as good as the next one.
_NAMED_ONLY = ("image bytes", "target", "labels", "top images")


@dataclass(frozen=True)
class StageShift:
    """The first stage of the chain that moved.

    Attributes:
        name: of the stage.
        change: relative, infinite where only equality can be told.
        responsible: the step that made it, and which stages in front of it held; None where it is not known.
    """

    name: str
    change: float
    responsible: Responsible | None = None

    def __str__(self) -> str:
        return f"{self.name}{self._amount}"

    @property
    def sentence(self) -> str:
        """Such as 'The input tensor moved first (relative 0.031)'."""
        return f"The {self.name} moved first{self._amount}"

    @property
    def _amount(self) -> str:
        return f" (relative {self.change:.2g})" if math.isfinite(self.change) else ""


def first_moved_stage(obtained: Result, golden: Result) -> StageShift | None:
    """Return the first stage, in the golden's order, that moved by more than rounding moves it."""
    moved = (shift for shift, _ in _moved(obtained, golden) if shift.name != "image bytes")
    return _explained(next(moved, None), obtained, golden)


def moved_input(obtained: Result, golden: Result) -> StageShift | None:
    """Return the first stage that moved, the bytes of the image among them: for cases that cannot be compared."""
    return _explained(next((shift for shift, _ in _moved(obtained, golden)), None), obtained, golden)


def stage_findings(obtained: Result, golden: Result) -> tuple[Finding, ...]:
    """Report the first stage that moved by more than anything harmless moves it.

    Fields have tolerances for what a reader would not notice. A stage in front of them that moved is a change of what
    is measured, and on other images it may well show.
    """
    for shift, limit in _moved(obtained, golden):
        most = _alarm(shift.name, limit, obtained, golden)
        if shift.change > most:
            sentence = f"{shift} moved (limit {most:g}), while every field is within its tolerance"
            return (Finding("stages", Severity.NUMBERS, shift.name, sentence, _finite(shift.change), most),)
    return ()


def _alarm(name: str, limit: float, obtained: Result, golden: Result) -> float:
    """By how much a stage may move before that alone is a drift; infinite where it never is."""
    reseeded = obtained.provenance.seed != golden.provenance.seed
    if _is_named_only(name) or (reseeded and name.startswith(_DRAWN)):
        return math.inf
    if _on_cpu(obtained, golden) or limit < STAGE_TOLERANCE:
        return limit
    return OFF_CPU if _of_network(name) else math.inf


def origin_of(obtained: Result, golden: Result, *, drifted: bool) -> StageShift | None:
    """Return where a drift began.

    If every recorded stage held and fields moved all the same, what is measured from the last stage is computed in
    another way.
    """
    moved = first_moved_stage(obtained, golden)
    if moved is None and drifted and golden.stages:
        return StageShift(MEASURES, math.inf, responsible(MEASURES, {}))
    return moved


def _explained(shift: StageShift | None, obtained: Result, golden: Result) -> StageShift | None:
    """Name the step that is responsible for a shift."""
    if shift is None:
        return None
    before = list(itertools.takewhile(lambda name: name != shift.name, golden.stages))
    moved = {other.name for other, _ in itertools.takewhile(lambda each: each[0] != shift, _moved(obtained, golden))}
    same = {name: name not in moved for name in before if name in obtained.stages}
    return dataclasses.replace(shift, responsible=responsible(shift.name, same))


def _moved(obtained: Result, golden: Result) -> Iterator[tuple[StageShift, float]]:
    """All stages that moved, with what they may move."""
    on_cpu = _on_cpu(obtained, golden)
    for name, fingerprint in golden.stages.items():
        other = obtained.stages.get(name)
        change = math.inf if other is None else other.distance(fingerprint)
        limit = _limit(name, on_cpu)
        if change > limit:
            yield StageShift(name, change), limit


def _limit(name: str, on_cpu: bool) -> float:
    if name.startswith(_EXACT):
        return 0.0
    if name.startswith(_INPUTS):
        return OF_INPUTS
    if on_cpu and _repeats(name):
        return ON_CPU
    return OF_SCORES if name.endswith(_SCORES) else STAGE_TOLERANCE


def _is_named_only(name: str) -> bool:
    return name.endswith(_NAMED_ONLY)


def _repeats(name: str) -> bool:
    """Whether one processor gives it again to a few digits of single precision."""
    of_explainer = name.startswith((*_SURROGATE, *_MAPS)) and not name.endswith(_CANCELLING)
    return _of_network(name) or of_explainer or name.endswith(_SIMILARITY)


def _of_network(name: str) -> bool:
    return name.startswith(_NETWORK) or name.endswith("activations")


def _on_cpu(obtained: Result, golden: Result) -> bool:
    return obtained.provenance.device == golden.provenance.device == "cpu"


def _finite(change: float) -> float | None:
    return change if math.isfinite(change) else None
