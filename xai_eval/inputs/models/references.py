"""What the features of an image are compared with: the features of reference images, or of texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
from xai_eval.inputs.models.layers import evaluating
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent
from xai_eval.inputs.models.own_methods import parameters_of
from xai_eval.inputs.models.preprocessing import Preprocessing
from xai_eval.inputs.models.reading import Reading

DIGITS = 12
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class References:
    """The references of an embedding; they take the place of classes.

    Attributes:
        names: K names, all different.
        digests: SHA-256 of the bytes of each image, or of each text.
        given: the images, or the features of the texts, (K, D).
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    given: ImageSet | Tensor

    @property
    def identity(self) -> dict[str, str]:
        """The beginnings of the digests, by name: what tells these references from others."""
        return {name: digest[:DIGITS] for name, digest in zip(self.names, self.digests, strict=True)}

    def __str__(self) -> str:
        """Describe the references in words."""
        shown = ", ".join(f"{name} ({digest})" for name, digest in list(self.identity.items())[:_SHOWN])
        more = f" and {len(self.names) - _SHOWN} more" if len(self.names) > _SHOWN else ""
        return f"{'reference' if len(self.names) == 1 else 'references'} {shown}{more}"


def image_references(images: ImageSet) -> References:
    """Return images as references."""
    names = tuple(image.name for image in images.images)
    return References(names, tuple(image.digest for image in images.images), images)


def text_references(texts: Sequence[str], features: Tensor) -> References:
    """Return texts with their features (K, D) as references.

    Raises:
        UsageError: a text occurs twice.
    """
    if len(set(texts)) < len(texts):
        raise UsageError(f"the references {', '.join(texts)} name one text twice. Give each once.")
    digests = tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts)
    return References(tuple(texts), digests, features)


def reference_features(
    references: References, module: nn.Module, reading: Reading, preprocess: Preprocessing, model: str
) -> Tensor:
    """Return the features of references, (K, D). An encoder is asked for those of images, one by one, and restored.

    Args:
        references: the references.
        module: the encoder.
        reading: how its output is read.
        preprocess: turns an image into its input.
        model: name of the encoder, for errors.

    Raises:
        ModelMisbehaves: the encoder raises, or returns features that are not finite or all 0.
    """
    if isinstance(references.given, Tensor):
        return references.given
    with evaluating(module), lent(module), torch.no_grad():
        return torch.cat([_features(module, reading, preprocess, each, model) for each in references.given.images])


def _features(
    module: nn.Module, reading: Reading, preprocess: Preprocessing, image: LabelledImage, model: str
) -> Tensor:
    parameter = next(iter(parameters_of(module)), torch.empty(0))
    with as_model_error(f"the preprocessing of {model}", image.pixels.shape):
        batch = preprocess(Image.fromarray(image.pixels))[None].to(parameter.device)
    with as_model_error(model, batch.shape):
        features = reading.rows(module(batch.to(parameter.dtype) if parameter.is_floating_point() else batch))
    if not bool(torch.isfinite(features).all()) or not bool(features.any()):
        raise ModelMisbehaves(
            f"{model} returned features of the reference {image.name} that are not finite, or all 0; nothing can be "
            "similar to them. Check its weights and its preprocessing, or choose another reference."
        )
    return features
