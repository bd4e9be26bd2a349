"""Names of the classes of timm's models that were trained on more of ImageNet than its thousand classes."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from torch import nn

from xai_eval.inputs.models.attributes import attribute


@dataclass(frozen=True)
class TimmClasses:
    """Names and WordNet ids of classes, in the order of the outputs, and how they are known."""

    names: tuple[str, ...]
    ids: tuple[str, ...]
    known_from: str


def timm_classes(module: nn.Module, classes: int) -> TimmClasses | None:
    """Return the classes of a model of timm with 11,221, 11,821, 21,841 or 21,843 outputs; None for any other.

    Args:
        module: the model.
        classes: the number of its outputs.
    """
    # The number of outputs alone could belong to anything.
    if attribute(module, "pretrained_cfg") is None or "timm" not in sys.modules:
        return None
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    # A description lists synonyms. As in ImageNet-1k, the first one is the name.
    names = tuple(info.index_to_description(index).partition(",")[0] for index in range(classes))
    known_from = f"timm, {subset}, because the model has {classes} outputs"
    return TimmClasses(names, tuple(info.label_names()), known_from)
