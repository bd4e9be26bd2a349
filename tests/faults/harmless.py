"""What a harmless change is: where it is tried, on which models, and how a model that is spelt otherwise is put in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from fault import Benign, Inject, changed
from torch import nn

from xai_eval import Classifier

SCENES, VIT, POOLED, SWIN, IMAGENET, LITE0 = "objects", "vit", "vit_pooled", "swin", "MobileNetV2", "EfficientNet-Lite0"
TRANSFORMERS = (VIT, POOLED, SWIN)
REAL = (IMAGENET, LITE0)
# Networks of `nets.py` that return no logits of classes.
OTHER_OUTPUTS = ("segmenter", "detector", "encoder")


@dataclass(frozen=True)
class Harmless(Benign):
    """A change that must raise no alarm, on one kind of model or several.

    Attributes:
        kind: spelling, weights, rounding, library, process, or set.
        models: short names of the models that it can be put into.
        device: what the results are said to come from, if it is no CPU.
    """

    kind: str = "spelling"
    models: tuple[str, ...] = (SCENES,)
    device: str = "cpu"


def spelt(change: Callable[[nn.Module], nn.Module | None]) -> Inject:
    """Write a model otherwise, as another file of code would: all that is known of it is found out again."""

    def apply(classifier: Classifier) -> Classifier:
        module = change(classifier.module)
        return dataclasses.replace(classifier, module=module or classifier.module, weights_digest="")

    return changed(apply)
