"""Faults of 27 November that a release of a library, or new code beside a new model, really brings.

137 were written down first and tried afterwards, alone and behind new weights. These taught something: behind new
weights, most of them were blamed on the weights before their step had a trial; the others are as small as still counts.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import lime.lime_base
import lime.lime_image
import numpy as np
import torch
import torch.nn.functional as F
from dissection_faults import scored
from fault import SWIN, VIT, Fault, both, changed, everywhere, module_changed, replaced, weights_changed
from input_faults import preset
from sklearn.linear_model import Ridge
from token_faults import transposed
from torch import nn
from unit_faults import outputs
from upgrade_faults import behind, trained_further

from xai_eval import Classifier
from xai_eval.explainers.attribution import rollout
from xai_eval.explainers.dissection.by_clip import most_active
from xai_eval.explainers.lime import lime as our_lime
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.inputs.models import preprocessing
from xai_eval.inputs.models.layout import Layout
from xai_eval.result.stage import Stage, StageKind

Change = Any
CAMS, LIME, UNITS = ("cams",), ("lime",), ("dissection",)
ONE_MAP = {"methods": ["gradcam"]}
# One image is left over after batches of ten.
LEFT_OVER = {"num_samples": 41, "seeds": 1}


def sharper(original: Change) -> Change:
    return lambda query, *args, **options: original(1.01 * query, *args, **options)


def larger_eps(original: Change) -> Change:
    return lambda x, shape, weight=None, bias=None, eps=1e-5: original(x, shape, weight, bias, 1e-3)


def joined_first(original: Change) -> Change:
    """Heads are averaged before attention is multiplied with its gradients."""
    return lambda *given: original(*([each.float().mean(0, keepdim=True) for each in many] for many in given))


def rounded_to_half(original: Change) -> Change:
    return lambda *args, **options: original(*args, **options).half().float()


class Adjusted(Ridge):
    """A regressor whose R2 counts the superpixels."""

    def score(self, samples: Any, values: Any, sample_weight: Any = None) -> float:
        count, superpixels = samples.shape
        found = super().score(samples, values, sample_weight)
        return 1 - (1 - found) * (count - 1) / max(count - superpixels - 1, 1)


def centred(original: Change) -> Change:
    def surrogate(*args: Any) -> Any:
        found = original(*args)
        return dataclasses.replace(found, intercept=found.intercept + found.weights.mean())

    return surrogate


def row_before(original: Change) -> Change:
    """What is left over after whole batches gets the answer for the row before."""

    def predicted(self: Any, loop: Any) -> Any:
        found = original(self, loop)
        whole = len(found) // self.batch_size * self.batch_size
        if 0 < whole < len(found):
            found[whole:] = found[whole - 1]
        return found

    return predicted


def farthest_from_the_mean(original: Change) -> Change:
    return lambda activations, count: original(np.abs(activations - activations.mean(axis=0)), count)


def next_number(module: nn.Module) -> None:
    """One weight is the next number of its precision."""
    weight = module.layer3[0].conv1.weight
    weight[0, 0, 0, 0] = torch.nextafter(weight[0, 0, 0, 0], torch.tensor(9.0))


def in_another_order(classifier: Classifier) -> Classifier:
    """Classes and their names have another order, so that every name is still right."""
    module, names = classifier.module, classifier.class_names
    with torch.no_grad():
        for each in (module.fc.weight, module.fc.bias):
            each.copy_(each.flip(0))
    ids = None if classifier.class_ids is None else classifier.class_ids[::-1]
    return dataclasses.replace(classifier, class_names=names[::-1], class_ids=ids)


def initialised(**changes: Any) -> Change:
    return lambda original: lambda self, *args, **options: original(self, *args, **{**options, **changes})


FAULTS = (
    Fault(
        "behind new weights, views are clamped before LIME's are normalised",
        "normalisation",
        (*LIME, "hybrid"),
        Stage(StageKind.INPUT_TENSOR, "views"),
        both(
            weights_changed(trained_further),
            replaced(preprocessing, "normalised", lambda original: lambda v, *rest: original(v.clamp(5, 250), *rest)),
        ),
    ),
    behind(
        "attention is 1 % sharper",
        "tokens",
        CAMS,
        "the attention of torch",
        replaced(F, "scaled_dot_product_attention", sharper),
        models=(VIT,),
        parameters=ONE_MAP,
    ),
    behind(
        "layer norm has another eps",
        "layer",
        CAMS,
        "the norms of torch",
        replaced(F, "layer_norm", larger_eps),
        models=(SWIN,),
        parameters=ONE_MAP,
    ),
    behind(
        "the softmax of windows has half precision",
        "layer",
        CAMS,
        "the layers of torch",
        replaced(F, "softmax", rounded_to_half),
        models=(SWIN,),
        parameters=ONE_MAP,
    ),
    behind(
        "tokens are laid out transposed",
        "tokens",
        CAMS,
        "the places of tokens",
        replaced(Layout, "_places", transposed),
        models=(VIT,),
        parameters=ONE_MAP,
    ),
    behind(
        "heads are joined before the product",
        "attribution",
        ("attributions",),
        "the map of generic_attention of two heads",
        replaced(rollout, "weighted_by_gradients", joined_first),
        models=(VIT,),
        parameters={"methods": ["generic_attention"]},
    ),
    behind(
        "R2 counts the superpixels",
        "lime",
        LIME,
        "what the surrogates explain",
        replaced(lime.lime_base, "Ridge", lambda _: Adjusted),
    ),
    behind(
        "the intercept is centred",
        "lime",
        LIME,
        "what the surrogates explain",
        replaced(our_lime, "_surrogate", centred),
    ),
    behind(
        "what is left over after batches repeats a row",
        "lime",
        LIME,
        "the batches of perturbed images",
        replaced(PerturbedImages, "_predicted", row_before),
        parameters=LEFT_OVER,
    ),
    behind(
        "maps of units are transposed",
        "maps",
        UNITS,
        "the maps of units",
        outputs(lambda each: each.transpose(2, 3) if each.dim() == 4 else each),
    ),
    behind("batches are reversed", "maps", UNITS, "the activations of units", outputs(lambda each: each.flip(0))),
    behind(
        "top images are far from the mean",
        "dissection",
        UNITS,
        "the top images of units",
        everywhere(most_active, farthest_from_the_mean),
    ),
    Fault(
        "a deviation has another last digit",
        "normalisation",
        CAMS,
        StageKind.INPUT_TENSOR,
        preset(std=(0.2289, 0.224, 0.225)),
    ),
    Fault(
        "one weight is the next number",
        "weights",
        CAMS,
        Stage(StageKind.MODEL_WEIGHTS, "layer3.0"),
        module_changed(next_number),
    ),
    Fault(
        "classes and their names have another order",
        "weights",
        CAMS,
        Stage(StageKind.MODEL_WEIGHTS, "fc"),
        changed(in_another_order),
    ),
    Fault(
        "the kernel is 4 % wider",
        "lime",
        LIME,
        StageKind.WEIGHTS,
        replaced(lime.lime_image.LimeImageExplainer, "__init__", initialised(kernel_width=0.26)),
    ),
    Fault(
        "the prior counts a hundredth less",
        "dissection",
        UNITS,
        Stage(StageKind.SIMILARITY, "layer4"),
        scored("soft_wpmi", lambda original: lambda s, a, **options: original(s, a, **{**options, "lam": 0.99})),
    ),
)
