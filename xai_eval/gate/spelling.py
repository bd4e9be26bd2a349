"""Tells when a model is written otherwise than before and computes the same, which is no change of its state."""

from __future__ import annotations

from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.naming import plain
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage
from xai_eval.result.stage import StageKind as K

_OF_BLOCKS = (K.MODEL_WEIGHTS, K.CLIP_WEIGHTS)


def counterpart(obtained: Result, stage: Stage, was: Fingerprint) -> Fingerprint | None:
    """Return what a result has in place of a stage of its golden; None if it has nothing.

    It is the stage of this name. Weights of a block are also found under another name, such as `conv1.0` for `conv1`
    that was put into an `nn.Sequential`, if they are the same.
    """
    named = obtained.stages.get(stage)
    if named is not None or stage.kind not in _OF_BLOCKS:
        return named
    blocks = (each for other, each in obtained.stages.items() if (other.kind, other.model) == (stage.kind, stage.model))
    return next((each for each in blocks if each.distance(was) == 0.0), None)


def written_otherwise(obtained: Result, golden: Result) -> str:
    """Return a sentence, with a space before it, on stages that are the same but written otherwise; empty if none is.

    It is for reading: names of classes, wrappers, and the form of settings fail nothing.
    """
    pairs = [(stage, was, counterpart(obtained, stage, was)) for stage, was in golden.stages.items()]
    stages = [
        stage
        for stage, was, now in pairs
        if now is not None and (now.written_otherwise(was) or stage not in obtained.stages)
    ]
    if not stages:
        return ""
    named = ", ".join(plain(str(stage)) for stage in stages[:2])
    more = f" and {len(stages) - 2} more" if len(stages) > 2 else ""
    return (
        " The model is written otherwise than when the golden was accepted (names of classes, wrappers, or the form of "
        f"settings: {named}{more}), but computes the same."
    )
