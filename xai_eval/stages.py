"""Where a drift began: the first stage of the chain that moved, and by how much each stage may."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from xai_eval.fields import Finding, Severity
from xai_eval.result import Result
from xai_eval.steps import Responsible, responsible

# Relative changes. Threads, batch size, memory format, mkldnn, float64 and torch versions move activations and logits
# by up to 2e-5 on CPU; TF32 on a GPU by about 1e-3. What lime predicts, the weights it fits, maps and similarities of
# units move by less than that (3e-6 on MobileNetV2).
STAGE_TOLERANCE = 2e-3
ON_CPU = 2e-4
# A tenth of what half precision does to an input; rounding of the normalisation is a thousand times smaller.
OF_INPUTS = 5e-5
# Counts of pixels above a threshold, and logarithms: rounding of one activation moves them by more than itself.
OF_SCORES = 1e-2
# Metrics on maps that never change differ between libraries in the last digits.
OF_MEASURES = 1e-6
# TF32 and other kernels move a whole network by more than rounding on a CPU does; what follows from it (maps, weights,
# scores) is left to the tolerances of fields, which were made for that.
OFF_CPU = 2e-2

MEASURES = "measures"
# Nothing but a change of the picture, of the model or of code moves these at all.
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
    """Return the first stage that moved, the bytes of the picture among them: for cases that cannot be compared."""
    return _explained(next((shift for shift, _ in _moved(obtained, golden)), None), obtained, golden)


def stage_findings(obtained: Result, golden: Result) -> tuple[Finding, ...]:
    """Report the first stage that moved by more than anything harmless moves it.

    Fields have tolerances for what a reader would not notice. A stage in front of them that moved is a change of what
    is measured, and on other pictures it may well show.
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
    if name.startswith(MEASURES):
        return OF_MEASURES
    if on_cpu and _repeats(name):
        return ON_CPU
    return OF_SCORES if name.endswith(_SCORES) else STAGE_TOLERANCE


def _is_named_only(name: str) -> bool:
    return name.endswith(_NAMED_ONLY) and not name.startswith(MEASURES)


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
