"""Models of the table that Grad-CAM cannot explain, and LIME can: the weights are those of the plain library.

The reference shares nothing with xai_eval but the superpixels: the library itself perturbs the image, and asks the
network for probabilities that are computed here, in double precision.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from model_row import Row, Told
from model_rows import ROWS
from numpy.typing import NDArray
from stock_lime import stock_lime, stock_weights
from torch import nn
from torchvision.transforms.functional import normalize, to_tensor

from xai_eval import Classifier, evaluate, load_images
from xai_eval.errors import XaiEvalError
from xai_eval.inputs.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, fixed_size_preprocessing

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SCENES = load_images("scenes:2")
IMAGES = dataclasses.replace(SCENES, images=SCENES.images[:1])
PREPROCESS = fixed_size_preprocessing(64, IMAGENET_MEAN, IMAGENET_STD)
BY_LIME = [row for row in ROWS if row.lime]
# The samples are asked for in batches of another size, and the network answers in single precision.
ROUNDING = 2e-6
SAMPLES = 40


def test_models_that_grad_cam_cannot_explain_are_among_them() -> None:
    assert len(BY_LIME) >= 10 and all(row.refused for row in BY_LIME)


QUICK = 3  # of them in every run; the rest has the same reasons


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if place < QUICK else pytest.mark.slow)
        for place, row in enumerate(BY_LIME)
    ],
)
def test_a_model_without_grad_cam_is_explained_as_lime_does(row: Row, tell: Callable[[Told], None]) -> None:
    network = row.make().eval()
    untouched = copy.deepcopy(network)
    (result,) = evaluate("lime", model=_classifier(network), images=IMAGES, device="cpu", **_FEW)
    assert "gradcam" not in result.fields and "layer" not in result.case.params
    assert not [each for each in map(str, result.stages) if "gradcam" in each or "layer activations" in each]
    assert list(result["table"].frame["method"]) == ["lime"]
    remark = result["remarks"].text
    assert "there is no Grad-CAM beside LIME" in remark and row.refused.casefold() in remark.casefold()
    view = result["image"].array
    stock = stock_lime(
        view,
        lambda views: _probabilities(untouched, views),
        segmentation_fn=lambda _: result["segments"].array,
        num_samples=SAMPLES,
    )
    expected = stock_weights(stock, result["explained"].index)
    found = result["weights"].of(str(result["explained"]))
    assert np.ptp(expected) > 1e-4, "the reference itself is empty, so that it shows nothing"
    assert result["explained"].index == int(np.argmax(_probabilities(untouched, view[None])))
    np.testing.assert_allclose(found, expected, atol=ROUNDING)
    output = str(result["model"].content["output"]).partition(" (")[0]
    tell(Told(f"{row.name}, by lime", "-", "-", output, "right: the weights are those of lime"))


@pytest.mark.parametrize("task", ["comparison", "hybrid", "lime_search"])
@pytest.mark.parametrize("name", ["flips", "without grad"])
def test_tasks_about_both_recommend_lime(task: str, name: str) -> None:
    (row,) = (each for each in BY_LIME if each.name == name)
    with pytest.raises(XaiEvalError) as refusal:
        evaluate(task, model=_classifier(row.make().eval()), images=IMAGES, device="cpu")
    assert "lime" in str(refusal.value) and "scorecam" not in str(refusal.value)


_FEW = {"num_samples": SAMPLES, "seeds": 1, "segmentation": "slic", "segmentation_parameters": {"n_segments": 20}}


def _classifier(network: nn.Module) -> Classifier:
    with torch.no_grad():
        classes = network(torch.zeros(1, 3, 64, 64)).shape[1]
    return Classifier("mine", network, PREPROCESS, tuple(f"class {index}" for index in range(classes)))


def _probabilities(network: nn.Module, views: NDArray[np.uint8]) -> NDArray[np.float64]:
    tensors = [to_tensor(np.ascontiguousarray(view)) for view in views]
    batch = torch.stack([normalize(each, IMAGENET_MEAN, IMAGENET_STD) for each in tensors])
    with torch.no_grad():
        return network(batch).double().softmax(1).numpy()
