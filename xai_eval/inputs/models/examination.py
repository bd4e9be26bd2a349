"""Examine a model on one image before it is explained: what it takes, what it returns, and whether it can be trusted.

Every task begins with this. What cannot be explained honestly is refused, with the remedy; what is assumed is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.classifier import GIVEN, Classifier
from xai_eval.inputs.models.explained_layer import ExplainedLayer, advice_on, explained_layer
from xai_eval.inputs.models.layers import evaluating, layout_of, noise_image
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent, preserved
from xai_eval.inputs.models.outputs import logits
from xai_eval.inputs.models.precision import allowed_difference
from xai_eval.inputs.models.python_state import python_state
from xai_eval.inputs.models.same_answer import FirstAnswer
from xai_eval.inputs.models.traced_pass import differentiable_pass

# Answers to the same image may differ by this share of the spread of the scores. Rounding differs by about 1e-6, half
# precision by 1e-3; a model that draws random numbers, or mixes the images of a batch, by more than 1e-2.
LARGEST_DIFFERENCE = 5e-3
# The same pass again takes the same steps in the same order, so that hardly anything differs.
LARGEST_REPETITION = 1e-4


@dataclass(frozen=True)
class Examination:
    """What one model did with one image.

    Attributes:
        findings: what was found, by what was asked, as text. The same model gives the same text for every image.
        facts: by what was asked, the facts behind a finding that is a sentence, as JSON values. Goldens compare these.
        layout: how the output of the explained layer lies over the image; None if no layer is explained.
        assumptions: what was assumed because it cannot be found out, with the option that changes it; a sentence each.
        reached: whether a gradient gets from the scores through the layer to the image.
        remarks: what people should know of every result; a sentence or two each.
        answer: what the model answered, to be asked for again when images were explained.
    """

    findings: Mapping[str, str]
    facts: Mapping[str, Any]
    layout: Layout | None
    assumptions: tuple[str, ...]
    reached: bool = False
    remarks: tuple[str, ...] = ()
    answer: FirstAnswer | None = field(default=None, compare=False)


def examine(
    classifier: Classifier, layer: str | None, batch: Tensor, methods: Collection[str] | None = None
) -> Examination:
    """Examine a model on a prepared image. It is restored afterwards.

    Args:
        classifier: the model.
        layer: name of the explained layer, or None.
        batch: the image, (1, channels, H, W).
        methods: the methods that were chosen to explain the layer; None if the task offers no choice.

    Raises:
        ModelMisbehaves: the model raises, its output cannot be read, two passes give different answers, or an answer
            depends on the other images of the batch, or on whether gradients are computed.
        UsageError: the layer is not reached, is called more than once, or its output does not lie over the image.
    """
    module = classifier.scoring
    with evaluating(module), lent(module), torch.no_grad():
        before = _state(classifier)
        first = logits(classifier, batch)
        # What is made in the first pass, such as a cache for inputs of this size, is no change.
        attributes = python_state(classifier.module)
        # Another image between the two shows what is kept from one pass to the next. A dropout of few features may by
        # chance do the same twice. So the answer is asked for two times more.
        other = _of_another_image(classifier, batch)
        repeated = [logits(classifier, batch) for _ in range(2)]
        again = max(repeated, key=lambda each: float((each - first).abs().max()))
        changed = _changed(before, _state(classifier))
        now = python_state(classifier.module)
        kept = [name for name, value in now.items() if attributes.get(name, value) != value]
        stuck = [name or "the model" for name, part in classifier.module.named_modules() if part.training]
        what = f"{classifier.name} answers the same image differently from pass to pass"
        twice = _same(first, again, LARGEST_REPETITION, what, _unsteady((*changed, *kept)), stuck)
        together = _in_a_batch(classifier, batch)
        what = f"{classifier.name} answers an image differently if another one is in the batch"
        alike = (
            "takes single images only"
            if together is None
            else _same(first, together, allowed_difference(LARGEST_DIFFERENCE), what, _BATCH, stuck)
        )
        with_gradients = _with_gradients(classifier, batch)
        if with_gradients is not None:
            what = f"{classifier.name} answers differently while gradients are computed"
            _same(first, with_gradients, allowed_difference(LARGEST_DIFFERENCE), what, _GRADIENTS, stuck)
        layout = None if layer is None else _layout(classifier, layer, tuple(batch.shape[1:]))
        told = None if layer is None or layout is None else _explained_layer(classifier, layer, batch, layout)
    writes = classifier.first_answers.writes_into_input
    return Examination(
        {
            "input": " x ".join(map(str, batch.shape[1:])),
            "preprocessing": classifier.preprocessing_from,
            "output": str(classifier.reading),
            "classes": f"{len(classifier.class_names)}; {classifier.classes_from}",
            "same answer twice": twice,
            "same answer alone and in a batch": alike,
            "writes into its input": "yes, so it is given a copy" if writes else "no",
            "changed by a pass": ", ".join((*changed, *kept)) or "nothing",
            **({"changed by loading, and set back": ", ".join(classifier.restored)} if classifier.restored else {}),
            **({} if layout is None else {f"layer {layer}": f"{layout}; {told}"}),
        },
        {
            "output": classifier.reading.facts,
            "same answer twice": _fact(twice),
            "same answer alone and in a batch": _fact(alike),
            "writes into its input": "yes" if writes else "no",
            **({} if layout is None or told is None else {f"layer {layer}": {**layout.facts, **told.facts}}),
        },
        layout,
        (
            *_assumptions(classifier),
            *_in_training(classifier, stuck),
            *_changing(classifier, kept),
            *_full_name(classifier, layer),
            *(advice_on(layer, told, classifier.name, methods) if layer and told else ()),
        ),
        told is not None and told.reached,
        (
            *((_misplaced(classifier, layer, layout.misplaced),) if layout is not None and layout.misplaced else ()),
            *_of_no_input(classifier, batch, first, other),
        ),
        FirstAnswer(batch, first, LARGEST_REPETITION if twice == _STEADY else None, bool(changed)),
    )


def _fact(answer: str) -> str:
    """Return an answer without its reason."""
    return answer.partition(",")[0]


_STEADY = "yes"
_RANDOM = (
    "Its explanations would differ as well, and could not be compared. Switch off what is random in evaluation mode "
    "(dropout, noise), or seed it inside the forward pass."
)
_ADAPTS = (
    "Its explanations would differ as well, and could not be compared. Every pass changes {} of it: switch off what "
    "adapts in evaluation mode (observers of quantisation, running statistics, counters, memories), or what is random."
)
_GRADIENTS = (
    "A map would explain another answer than the one that is shown. Let the forward pass compute the same, whether "
    "gradients are computed or not."
)
_BATCH = (
    "Methods that alter an image many times would explain the batch, not the image. Use statistics that do not "
    "depend on the batch (evaluation mode, no normalisation over the batch)."
)


def _same(first: Tensor, again: Tensor, allowed: float, what: str, remedy: str, stuck: Sequence[str]) -> str:
    """Say whether two answers are the same; raise ModelMisbehaves if they are not, and the mode of no module is why."""
    difference, spread = float((first - again).abs().max()), float(first.max() - first.min())
    if difference <= allowed * max(spread, float(first.abs().max()), 1e-6):
        return _STEADY
    if stuck:
        # The stage of training flags watches this, and names it as the cause.
        return "no, because modules are in training mode"
    raise ModelMisbehaves(f"{what}, by up to {difference:.3g} where its scores reach {_largest(first)}. {remedy}")


def _unsteady(changed: Sequence[str]) -> str:
    """Say what to do about a model that answers differently from pass to pass, and changes some parts of itself."""
    return _ADAPTS.format(", ".join(map(repr, changed[:3]))) if changed else _RANDOM


def _in_training(classifier: Classifier, stuck: Sequence[str]) -> tuple[str, ...]:
    if not stuck:
        return ()
    return (
        f"{classifier.name}: {len(stuck)} of its modules stay in training mode although they were switched to "
        f"evaluation mode (first {stuck[0]}), so that answers may depend on the batch or on chance.",
    )


def _changing(classifier: Classifier, changed: Sequence[str]) -> tuple[str, ...]:
    if not changed:
        return ()
    return (
        f"{classifier.name}: every pass changes {', '.join(map(repr, changed[:5]))} of it. That may change its answers "
        "in the end, or keep answers to other inputs. So it is asked about the first image again after each image, and "
        "the run fails if the answer is another one.",
    )


def _full_name(classifier: Classifier, layer: str | None) -> tuple[str, ...]:
    """Tell the name by which the module itself knows a layer, if that is longer."""
    if layer is None or classifier.place_of(layer) == layer:
        return ()
    return (
        f"{classifier.name}: layer {layer!r} is {classifier.place_of(layer)!r} in the module. Names of modules that do "
        "nothing but hold another one are left out, so that a layer is called alike with and without them.",
    )


def _of_another_image(classifier: Classifier, batch: Tensor) -> Tensor | None:
    """Return the scores of an image of noise; None if the model has none for it, such as NaN."""
    try:
        return logits(classifier, noise_image(classifier.module, tuple(batch.shape[1:]), seed=2).to(batch))
    except ModelMisbehaves:
        return None


def _of_no_input(classifier: Classifier, batch: Tensor, first: Tensor, other: Tensor | None) -> tuple[str, ...]:
    """Say that all scores, or that of the predicted class, are the same for noise as for the image."""
    said = (_alike(classifier),) if _answers_alike(first, other) else _constant(classifier, first, other)
    # In half precision, scores of few digits may be the same by chance.
    return () if said and _has_gradient(classifier, batch, int(first[0].argmax())) else said


def _has_gradient(classifier: Classifier, batch: Tensor, index: int) -> bool:
    """Whether a gradient other than 0 gets from a score to the image."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            given = batch.detach().clone().requires_grad_()
            score = logits(classifier, given.clone())[0, index]
            (gradient,) = torch.autograd.grad(score, given, allow_unused=True)
    except (ModelMisbehaves, RuntimeError):  # it passes no gradient
        return False
    return gradient is not None and bool(gradient.any())


def _answers_alike(first: Tensor, other: Tensor | None) -> bool:
    """Whether an image and noise have the same scores in every digit, and these are no certain 0 and 1."""
    certain = bool(((first == 0) | (first == 1)).all()) and bool(first.any())
    return other is not None and torch.equal(first, other) and not certain


def _alike(classifier: Classifier) -> str:
    return (
        f"{classifier.name}: an image of noise has the same scores as the first image, in every digit. So the model "
        "does not look at its input (untrained zeros in its last layer, a dead ReLU), or it returns an answer that it "
        "kept from an earlier pass, and nothing explains its answers."
    )


def _constant(classifier: Classifier, first: Tensor, other: Tensor | None) -> tuple[str, ...]:
    """Say that the score of the predicted class is constant, as where those of all others are relative to it."""
    best = int(first[0].argmax())
    if other is None or float(first[0, best]) == 1 or not torch.equal(first[0, best], other[0, best]):
        return ()
    return (
        f"{classifier.name}: the score of class {classifier.class_names[best]!r} is the same for an image of noise as "
        "for the first image, in every digit. So nothing in an image counts for it, and its maps are empty. --target "
        "names another class, whose score is relative to it.",
    )


def _in_a_batch(classifier: Classifier, batch: Tensor) -> Tensor | None:
    """Return the scores of an image beside one of noise; None if the model takes single images only."""
    if not classifier.first_answers.takes_batches:
        return None
    noise = noise_image(classifier.module, tuple(batch.shape[1:])).to(batch)
    try:
        return logits(classifier, torch.cat([batch, noise]))[:1]
    except ModelMisbehaves:
        return None


def _with_gradients(classifier: Classifier, batch: Tensor) -> Tensor | None:
    """Return the scores of an image while gradients are computed; None if the model cannot run so."""
    try:
        with torch.inference_mode(False), torch.enable_grad():
            # A clone of a leaf may be written into by the model.
            return logits(classifier, batch.detach().clone().requires_grad_().clone()).detach()
    except ModelMisbehaves:
        return None


def _largest(scores: Tensor) -> str:
    return f"{float(scores.abs().max()):.3g}"


def _state(classifier: Classifier) -> dict[str, Tensor]:
    module = classifier.module
    weights = (*nn.Module.named_parameters(module), *nn.Module.named_buffers(module))
    return {name: value.detach().clone() for name, value in weights}


def _changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    return [name for name in after if name not in before or not _equal(before[name], after[name])]


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


def _layout(classifier: Classifier, layer: str, shape: tuple[int, ...]) -> Layout:
    # Measured on noise: in a real image one part may matter so much that all places of a trained network answer to it.
    noise = noise_image(classifier.module, shape)
    place = classifier.place_of(layer)
    return layout_of(classifier.scoring, classifier.module, classifier.name, place, noise, classifier.reshape)


def _explained_layer(classifier: Classifier, layer: str, batch: Tensor, layout: Layout) -> ExplainedLayer:
    module = classifier.scoring
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        preserved(module),
        as_model_error(classifier.name, batch.shape),
    ):
        place = classifier.place_of(layer)
        return explained_layer(differentiable_pass(module, classifier.module, batch, place), place, layout)


def _misplaced(classifier: Classifier, layer: str | None, how: str) -> str:
    return (
        f"{classifier.name}: the places of layer {layer!r} do not lie where maps are drawn: {how}. If the "
        "model shifts, crops or mixes parts of the image, do that in the preprocessing, or name another --layer. The "
        "task lime needs none."
    )


def _assumptions(classifier: Classifier) -> tuple[str, ...]:
    reading, prepared = classifier.reading, classifier.preprocessing_from
    assumed = reading.why.startswith("assumed, ")  # what is usual begins with "assumed ("
    return (
        *([f"{classifier.name}: its output is taken for {reading}."] if assumed else []),
        *([f"{classifier.name}: {prepared}"] if prepared != GIVEN else []),
        *([f"{classifier.name}: {_restored(classifier)}"] if classifier.restored else []),
    )


def _restored(classifier: Classifier) -> str:
    return (
        f"loading it changes {', '.join(classifier.restored)} for the whole process. That was set back, because "
        "otherwise explanations would depend on which models were loaded before. If the model has to run so, set it "
        "before xai_eval runs (in a conftest.py), or in the forward of the model, and set it back there."
    )
