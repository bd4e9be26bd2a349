"""Call a model, and check that it returns logits that can be explained."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.later_checks import require
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.precision import remedy_of_precision


def logits(model: Classifier | nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Return the model's logits (N, C) for a batch (N, 3, H, W), with gradients if they are enabled.

    Args:
        model: a classifier, whose number of classes is checked, or a module.
        batch: prepared images, on the model's device.

    Raises:
        ModelMisbehaves: the model raises, or its output is not a tensor (N, C) of finite floating-point numbers.
    """
    if isinstance(model, Classifier):
        return _call(model.scoring, batch, len(model.class_names), model.name)
    return _call(model, batch, None, type(model).__name__)


def _call(module: nn.Module, batch: torch.Tensor, classes: int | None, name: str) -> torch.Tensor:
    with as_model_error(name, batch.shape):
        output = module(batch)
    return _check(output, len(batch), classes, name)


def _check(output: object, rows: int, classes: int | None, name: str) -> torch.Tensor:
    tensor = _check_shape(output, rows, classes, name)
    finite = torch.isfinite(tensor).all(dim=1)
    require(finite.all(), partial(_complain_not_finite, tensor, finite, name))
    return tensor


_MASKED = (
    "If it masks classes by -inf, let it mask them by a large negative number, such as -1e4; else check its weights "
    "and its preprocessing."
)


def _complain_not_finite(tensor: torch.Tensor, finite: torch.Tensor, name: str) -> None:
    only_masked = bool((torch.isfinite(tensor) | (tensor == -torch.inf)).all())
    bad = [index for index, ok in enumerate(finite.tolist()) if not ok]
    raise ModelMisbehaves(
        f"{name} returned NaN or infinity for image {bad[0]} of the batch ({len(bad)} of {len(finite)} "
        f"images); expected finite logits. {_MASKED if only_masked else 'Check its weights and its preprocessing.'}"
        f"{remedy_of_precision()}"
    )


def _check_shape(output: object, rows: int, classes: int | None, name: str) -> torch.Tensor:
    expected = f"a tensor ({rows}, {'C' if classes is None else classes})"
    if not isinstance(output, torch.Tensor):
        raise ModelMisbehaves(
            f"{name} returned a {type(output).__name__}; expected {expected} of logits. Wrap the model in a "
            "module that returns its logits alone."
        )
    if not output.is_floating_point():
        raise ModelMisbehaves(
            f"{name} returned a tensor of {output.dtype}; expected {expected} of logits, which are floating-point "
            "numbers. Return what the last layer computes, not the class."
        )
    shape = tuple(output.shape)
    if len(shape) != 2 or shape[0] != rows or shape[1] == 0 or classes not in (None, shape[1]):
        raise ModelMisbehaves(
            f"{name} returned a tensor of shape {shape}; expected {expected}: one row of logits per image "
            "and one column per class name. Check the last layer and the class names."
        )
    return output
