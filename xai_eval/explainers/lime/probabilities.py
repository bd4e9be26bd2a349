"""Ask a classifier for the probabilities of many altered views of one image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from xai_eval.errors import ModelMisbehaves
from xai_eval.explainers.model.memory_format import best_memory_format
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.later_checks import require
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.outputs import logits

# In single precision, the sum of thousands of probabilities can differ from 1 by up to this much.
_ROUNDING = 1e-3

Predict = Callable[[torch.Tensor], torch.Tensor]


def probabilities(classifier: Classifier) -> Predict:
    """Return a function that takes views, uint8 (N, H, W, 3), and returns probabilities (N, C) on the model's device.

    For a model of several labels, the probabilities of a row do not sum to 1; a regression gives its values. The
    function raises ModelMisbehaves if the model raises, or returns scores that are not finite.
    """
    layouts: list[torch.memory_format] = []

    def predict(views: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), as_model_error(classifier.name, views.shape):
            batch = classifier.preprocess.from_view(views.to(classifier.device))
            if not layouts:
                layouts.append(best_memory_format(classifier.scoring, batch[:1]))
            scores = logits(classifier, batch.contiguous(memory_format=layouts[0]))
        shown = classifier.reading.shown(scores)
        return check_probabilities(shown, classifier.name) if classifier.reading.exclusive else shown

    return predict


def check_probabilities(rows: torch.Tensor, name: str = "the prediction function") -> torch.Tensor:
    """Return `rows` (N, C) if each is a probability distribution.

    Raises:
        ModelMisbehaves: a row is not, most likely because the function returns logits. LIME would fit logits without
            a warning, and its weights and R2 would mean something else. See `checked_at_the_end` for when.
    """
    require(_are_probabilities(rows), partial(_complain, rows, name))
    return rows


def _complain(rows: torch.Tensor, name: str) -> None:
    least, most, sums = float(rows.min()), float(rows.max()), rows.sum(dim=1)
    furthest = float(sums[(sums - 1).abs().argmax()])
    raise ModelMisbehaves(
        f"{name} returned values from {least:.3g} to {most:.3g} whose rows sum to {furthest:.4g}; "
        "expected probabilities, in [0, 1] with the sum 1. If these are logits, apply a softmax."
    )


def _are_probabilities(rows: torch.Tensor) -> torch.Tensor:
    within = (rows >= 0).all() & (rows <= 1 + _ROUNDING).all()
    return within & ((rows.sum(dim=1) - 1).abs() < _ROUNDING).all()
