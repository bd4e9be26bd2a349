"""Which step of the computation makes which stage, and from what: so that a verdict names the step to look at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


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
    Step("image bytes", "the file of the picture", given="nothing comes before it"),
    Step("decoded pixels", "decoding", ("image bytes",)),
    Step("input tensor", "preprocessing", ("probe set", "probe pictures")),
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
    Step("perturbed predictions(?: .*)?", "prediction of perturbed pictures", ("segments", "samples", "model state")),
    Step("weights(?: of other classes)?", "fit of the surrogate", ("samples", "perturbed predictions")),
    Step("surrogates", "fit of the surrogate", ("samples", "perturbed predictions")),
    Step("probe set", "choice of the probe set", given="nothing comes before it"),
    Step("probe pictures", "reading and decoding of the pictures", ("probe set",)),
    Step("label maps", "reading and preprocessing of the pixel labels", ("probe set",)),
    Step("concepts", "choice of the concepts", ("probe set",)),
    Step("word embeddings", "CLIP embeddings of the words", ("concepts", "model state of CLIP")),
    Step("embeddings", "CLIP embeddings of the pictures", ("probe pictures", "model state of CLIP")),
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
    Step("measures: .*", "metrics", given="measured on maps that never change"),
    Step("measures", "metrics, or how the result is put together", given="every recorded stage held"),
)


@dataclass(frozen=True)
class Responsible:
    """The step that a drift began at.

    Attributes:
        step: in words, such as 'preprocessing'.
        held: the stages that it begins with and that are the same.
        other: those that are not, such as the bytes of a picture that was compressed anew.
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
