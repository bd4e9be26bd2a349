"""What is said of odd models that are explained all the same, in each result and once aloud."""

from __future__ import annotations

from collections.abc import Callable

import head_nets
import odder_nets as odder
import oddest_nets as oddest
import pytest
import timm_nets
import torch
import torchvision_nets
from torch import nn

from xai_eval import Classifier, evaluate, load_images, load_model
from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, fixed_size_preprocessing
from xai_eval.result.result import Result

IMAGES = load_images("scenes:1")
FEW = {"num_samples": 20, "seeds": 1, "segmentation": "slic", "segmentation_parameters": {"n_segments": 9}}


def _classifier(make: Callable[[], nn.Module], side: int = 224) -> Classifier:
    return wrap_module(make().eval(), "mine", fixed_size_preprocessing(side, IMAGENET_MEAN, IMAGENET_STD))


def _remarks(result: Result) -> str:
    return result["remarks"].text if "remarks" in result.fields else ""


@pytest.mark.parametrize(
    ("make", "before", "after"),
    [
        pytest.param(odder.pruned_tokens, 50, 35, id="pruned"),
        pytest.param(odder.merged_tokens, 49, 40, id="merged", marks=pytest.mark.slow),
    ],
)
def test_it_is_said_that_later_layers_have_fewer_tokens(make: Callable[[], nn.Module], before: int, after: int) -> None:
    (result,) = evaluate("cams", model=_classifier(make), images=IMAGES, device="cpu", methods=["hirescam"])
    said = (
        f"behind layer 'blocks.0', the model prunes or merges its tokens ({before} become {after} at 'blocks.1.norm1')"
    )
    assert said in _remarks(result) and "--layer names another one" in _remarks(result)
    (named,) = evaluate(
        "cams", model=_classifier(make), images=IMAGES, device="cpu", methods=["hirescam"], layer="patches"
    )
    assert not _remarks(named)


@pytest.mark.parametrize("make", [odder.tokens_behind, odder.flat_patches, odder.experts])
def test_nothing_is_said_of_models_that_keep_their_tokens(make: Callable[[], nn.Module]) -> None:
    assert _classifier(make).found_layer().remark("mine") == ""


def test_it_is_said_that_a_model_does_not_look_at_its_input() -> None:
    (result,) = evaluate("lime", model=_classifier(odder.keeping), images=IMAGES, device="cpu", **FEW)
    assert "an image of noise has the same scores as the first image, in every digit" in _remarks(result)


def test_it_is_said_that_the_predicted_class_has_a_constant_score() -> None:
    make = head_nets.ending_in(lambda y: torch.cat([y[:, :1] * 0 + 9, y[:, 1:]], 1), 5)
    (result,) = evaluate("lime", model=_classifier(make, 64), images=IMAGES, device="cpu", **FEW)
    assert "the score of class 'ant' is the same for an image of noise" in _remarks(result)


def test_it_is_said_what_to_do_about_a_tensor_that_passes_no_gradient() -> None:
    with pytest.raises(ModelMisbehaves, match=r"torch\.inference_mode, .* Make it in torch\.no_grad instead"):
        evaluate(
            "attributions",
            model=_classifier(oddest.keeps_inference_tensor),
            images=IMAGES,
            device="cpu",
            methods=["saliency"],
        )


def test_it_is_said_how_few_images_at_once_are_explained() -> None:
    with pytest.raises(
        ModelMisbehaves, match=r"too many\. If it takes fewer images at once, give a smaller --batch-size"
    ):
        evaluate("lime", model=_classifier(oddest.pairs_alone), images=IMAGES, device="cpu", **FEW)


def test_it_is_said_that_a_model_is_no_factory() -> None:
    with pytest.raises(UsageError, match="a_model is a model; expected a function that returns one"):
        load_model(f"file:{oddest.__file__}:a_model")


def test_it_is_said_that_maps_may_be_an_image() -> None:
    classifier = _classifier(odder.autoencoder)
    assert "such as an autoencoder, has no classes" in classifier.reading.why
    assert classifier.reading.why.startswith("assumed, ")


def test_it_is_said_that_tokens_are_in_another_order() -> None:
    (result,) = evaluate("cams", model=_classifier(odder.as_a_snake), images=IMAGES, device="cpu", methods=["hirescam"])
    assert "of its places show another part of the image, far away" in _remarks(result)


@pytest.mark.slow
def test_it_is_said_that_a_later_stage_has_fewer_places_than_can_be_laid_out() -> None:
    remark = _classifier(timm_nets.levit(256), 256).found_layer().remark("mine")
    assert "behind layer 'stages.1.blocks.0', the model prunes or merges its tokens (64 become 16 at" in remark


@pytest.mark.slow
@pytest.mark.parametrize("side", [64, 224])
def test_dilated_convolutions_are_not_taken_for_a_crop(side: int) -> None:
    (result,) = evaluate(
        "cams", model=_classifier(torchvision_nets.lraspp, side), images=IMAGES, device="cpu", methods=["gradcam"]
    )
    assert "do not lie where maps are drawn" not in _remarks(result)
