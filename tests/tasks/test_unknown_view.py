"""A preprocessing of which no view can be derived: class activation maps are explained, LIME and masks say why not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from PIL import Image

from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.images.labelled import ImageSet
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.derived.called import ViewUnknown
from xai_eval.inputs.models.models import load_model
from xai_eval.tasks import find_task


def darkened() -> Classifier:
    """The bundled model, with a gamma correction before its own preprocessing."""
    scenes = load_model("scenes:objects")

    def prepare(image: Image.Image) -> torch.Tensor:
        return scenes.preprocess(image.point([round(255 * (level / 255) ** 1.2) for level in range(256)] * 3))

    return dataclasses.replace(scenes, preprocess=prepare)


def one_image(*, mask: bool) -> ImageSet:
    (image,) = load_images("scenes:1").images
    return ImageSet("scenes", (image if mask else dataclasses.replace(image, mask=None, concepts={}),))


def test_class_activation_maps_are_computed_and_the_tensor_is_shown() -> None:
    (result,) = find_task("cams")(darkened(), one_image(mask=False), methods=("gradcam",))
    assert result.fields["image"].array.shape == (96, 96, 3)
    assert result.fields["gradcam"].array.shape == (96, 96)
    assert "not proportional to the colours" in result.provenance.parameters["preprocessing"]["view unknown"]


def test_a_mask_and_lime_need_the_view() -> None:
    with pytest.raises(ViewUnknown, match="after a gamma correction"):
        list(find_task("cams")(darkened(), one_image(mask=True), methods=("gradcam",)))
    with pytest.raises(ViewUnknown, match="after a gamma correction"):
        list(find_task("lime")(darkened(), one_image(mask=False), num_samples=20))
