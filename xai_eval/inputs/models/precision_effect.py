"""Whether a precision changes anything of what a model answers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from xai_eval.errors import UsageError
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.layers import evaluating, noise_image
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent
from xai_eval.inputs.models.precision import computing_in
from xai_eval.result.precisions import DEFAULT, HIGHEST


def check_effect(precision: str, classifier: Classifier) -> None:
    """Refuse a precision that changes nothing of what a model answers.

    Raises:
        UsageError: the answer to noise is the same in every bit; or its output cannot be read.
        ModelMisbehaves: the model fails.
    """
    if precision in (DEFAULT, HIGHEST):
        return
    with computing_in(DEFAULT, classifier.device):
        _ = classifier.reading  # what cannot be explained in any precision is refused for that, lazy layers take shape
        usual = _answer(classifier)
    with computing_in(precision, classifier.device):
        now = _answer(classifier)
    if len(now) == len(usual) and all(_same(*each) for each in zip(now, usual, strict=True)):
        raise UsageError(
            f"{classifier.name} answers the same in every bit with --precision {precision} and without. It computes in "
            "float64 or in half precision of its own, has no product or convolution, or switches autocast off in "
            "itself. Leave --precision out."
        )


def _answer(classifier: Classifier) -> list[Tensor]:
    """Return all tensors of what a model answers to noise."""
    module, shape = classifier.module, classifier.input_shape
    with evaluating(module), lent(module), torch.no_grad(), as_model_error(classifier.name, (1, *shape)):
        return [each.clone() for each in tree_leaves(module(noise_image(module, shape))) if isinstance(each, Tensor)]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)
