"""Networks that faults are tried on besides the bundled ones, as factories for `file:` specs."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import Tensor, nn

from xai_eval import Classifier, OutputKind, load_images, load_model

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent.parent / "models")]


def with_registers() -> nn.Module:
    """A transformer of timm with a class token and four register tokens, for images of 32 px; not trained."""
    from small_transformers import FAMILIES

    return FAMILIES["timm vit, registers"].made()


class _AtEachPlace(nn.Module):
    """The bundled network without the mean over the places: it names a class at each of them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        *body, _, head = net.children()
        self.body, self.head = nn.Sequential(*body), head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images).movedim(1, 3)).movedim(3, 1)


def segmenter() -> Classifier:
    known = load_model("scenes:objects", device="cpu")
    return Classifier("segmenter", _AtEachPlace(known.module), known.preprocess, known.class_names)


def detector() -> nn.Module:
    """A detector of torchvision on a tiny backbone; not trained."""
    import torch
    from detection_nets import faster_rcnn

    torch.manual_seed(0)
    return faster_rcnn()


def encoder() -> Classifier:
    """The features of the bundled network, compared with those of two scenes."""
    known = load_model("scenes:objects", device="cpu")
    known.module.fc = nn.Identity()
    found = Classifier("encoder", known.module, known.preprocess, output=OutputKind.EMBEDDING)
    return found.similar_to(load_images("scenes:2"))
