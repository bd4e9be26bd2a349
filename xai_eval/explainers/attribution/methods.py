"""The methods of the task `attributions` by name, and how one of them is called."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.attribution.method import Method
from xai_eval.explainers.attribution.own_method import PREFIX, own_method
from xai_eval.explainers.attribution.question import Question
from xai_eval.explainers.model.full_precision import full_precision
from xai_eval.explainers.model.random_state import all_seeded
from xai_eval.inputs.models.model_state import handed_over, lent
from xai_eval.inputs.models.precision import asked_precision, check_not_lost
from xai_eval.inputs.models.same_answer import check_same_answer

# Names and settings are known without captum, so that a missing library is reported by name.
_CAPTUM = {
    "saliency": (),
    "input_x_gradient": (),
    "integrated_gradients": ("steps", "baseline", "batch_size"),
    "smoothgrad": ("samples", "noise", "batch_size"),
    "occlusion": ("window", "baseline", "batch_size"),
    "gradient_shap": ("samples", "baseline"),
}
_COMPLETE = ("integrated_gradients", "gradient_shap")
_OF_ATTENTION = ("attention_rollout", "generic_attention")
METHOD_NAMES = (*_CAPTUM, *_OF_ATTENTION)
# A map is a field with the name of its method, and the result has these fields besides.
_OTHER_FIELDS = ("audit", "explained", "image", "intended", "mask", "predicted", "stage", "table", "top5")


def find_methods(names: Sequence[str]) -> tuple[Method, ...]:
    """Return the methods with these names; `file:PATH.py:FUNCTION` is one of the user.

    Raises:
        UsageError: a name is unknown (the error lists the nearest names) or occurs twice, there is no name, or a method
            needs captum and it is not installed.
        InputUnavailable: the file of a method is missing, or raises an error.
    """
    if not names or len(set(names)) < len(names):
        raise UsageError(f"methods is {list(names)}; expected at least one method. Name each once.")
    found = tuple(map(_find, names))
    for place, method in enumerate(found):
        taken = {*METHOD_NAMES, *_OTHER_FIELDS, *(each.name for each in found[:place])}
        if method.spec and method.name in taken:
            raise UsageError(
                f"{method.spec}: the name {method.name!r} is taken by another method or another part of the result. "
                "Rename the function."
            )
    return found


def _find(name: str) -> Method:
    if name.startswith(PREFIX):
        return own_method(name)
    if name not in METHOD_NAMES:
        raise unknown_name("method", name, METHOD_NAMES, hint="A method of your own is file:PATH.py:FUNCTION.")
    if name in _OF_ATTENTION:
        from xai_eval.explainers.attribution import rollout

        return Method(name, getattr(rollout, name), may_refuse=True)
    if importlib.util.find_spec("captum") is None:
        raise UsageError(
            f"method {name!r} is computed by captum, which is not installed. Run: pip install 'xai-eval[captum]'."
        )
    from xai_eval.explainers.attribution import captum_methods

    compute = getattr(captum_methods, name)
    return Method(name, compute, _CAPTUM[name], complete=name in _COMPLETE, libraries=("captum",))


def explain(method: Method, question: Question, seed: int) -> NDArray[np.float32]:
    """Explain by one method, and return the attribution (C, H, W) or the map (h, w) that it gives.

    The method may change the model and its input: both are protected from it. The global random generators are seeded,
    and have their state back afterwards. A gradient jumps where rounding moves an activation over the kink of a ReLU,
    so that TF32 would change single pixels by 20 % of the largest value: it is switched off.

    Raises:
        ModelMisbehaves: the model answers otherwise after the method than before it, or half precision left nothing.
    """
    with (
        torch.inference_mode(False),
        handed_over(question.module) if method.spec else lent(question.module),
        all_seeded(seed),
        torch.enable_grad(),
        full_precision(),
    ):
        batch = question.batch.detach().clone().requires_grad_(True)
        found = method.attribute(replace(question, batch=batch, baseline=question.baseline.detach().clone()))
        # While what the method did to the model still counts; a function of the user may do anything to it.
        if question.answer is not None and not method.spec:
            check_same_answer(question.module, question.answer, "the model", f"{method.name} ran")
    values = np.asarray(found[0].detach().float().cpu().numpy())
    check_not_lost(values, method.name, asked_precision())
    return values


def score(question: Question, batch: Tensor) -> float:
    """Return the score of the explained class for a batch of one input, (1, C, H, W)."""
    with torch.inference_mode(False), torch.no_grad(), full_precision():
        return float(question.module(batch.detach().clone())[0, question.target])


def signed_map(attribution: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return what `explain` gives as a map of the pixels, (H, W) = `shape`.

    The channels are summed up. A coarser map is enlarged bilinearly, as OpenCV does for class activation maps in
    pytorch-grad-cam: the centres of its cells keep their values.
    """
    summed = attribution.sum(axis=0) if attribution.ndim == 3 else attribution
    if summed.shape == shape:
        return summed
    found = torch.nn.functional.interpolate(torch.from_numpy(summed)[None, None], shape, mode="bilinear")
    return np.asarray(found[0, 0].numpy())
