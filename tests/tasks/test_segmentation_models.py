"""A segmentation is explained as pytorch-grad-cam explains it: a class inside the region that the model gives to it."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import nn

from xai_eval import Classifier, evaluate, load_images
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.stage import Stage, StageKind

PREPROCESS = fixed_size_preprocessing(64, (0.5,) * 3, (0.25,) * 3)
IMAGES = "scenes:1"


class Segmenting(nn.Module):
    """A fully convolutional network with `classes` maps at half the resolution, in a mapping as in torchvision."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.backbone = nn.Sequential(nn.Conv2d(3, 12, 5, 2, 2), nn.ReLU(), nn.Conv2d(12, 12, 3, 2, 1), nn.ReLU())
        self.head = nn.Conv2d(12, classes, 1)

    def forward(self, batch):
        maps = self.head(self.backbone(batch))
        return OrderedDict(out=nn.functional.interpolate(maps, scale_factor=2, mode="bilinear"))


def model(classes=5, names=None) -> Classifier:
    module = Segmenting(classes).eval()
    if names:
        module.class_names = names
    return wrap_module(module, "segmenting", PREPROCESS)


class Out(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, batch):
        return self.module(batch)["out"]


@pytest.mark.parametrize(("method", "stock"), [("gradcam", GradCAM), ("hirescam", HiResCAM)])
def test_the_map_is_that_of_the_library_for_the_region_of_the_class(method, stock):
    classifier = model()
    (result,) = evaluate("cams", model=classifier, images=IMAGES, methods=[method], device="cpu")
    assert result.case.params["layer"] == "backbone"
    batch = PREPROCESS(Image.fromarray(load_images(IMAGES).images[0].pixels))[None]
    plain, target = Out(Segmenting(5).eval()), result["explained"].index
    region = (plain(batch)[0].argmax(dim=0) == target).numpy()
    cam = stock(plain, [plain.module.backbone])
    expected = cam(batch, [SemanticSegmentationTarget(target, np.float32(region))])[0]
    np.testing.assert_allclose(result[method].array, expected, rtol=0, atol=1e-6)
    assert result.stages[Stage(StageKind.REGION)].digest == fingerprint_array(region).digest
    assert result["region"].array.shape == (64, 64)
    assert result["region"].array.mean() == pytest.approx(region.mean(), abs=0.01)


def test_shown_are_the_shares_of_the_image():
    classifier = model()
    (result,) = evaluate("cams", model=classifier, images=IMAGES, methods=["gradcam"], device="cpu")
    batch = PREPROCESS(Image.fromarray(load_images(IMAGES).images[0].pixels))[None]
    shares = Segmenting(5).eval()(batch)["out"].double().softmax(dim=1).mean(dim=(2, 3))[0]
    assert result["top5"].values == pytest.approx(sorted(shares.tolist(), reverse=True), abs=1e-6)
    assert result["explained"].index == int(shares.argmax())


def test_the_background_is_not_what_a_segmentation_predicts():
    classifier = model(3, ["__background__", "cat", "dog"])
    assert classifier.predicted(np.array([0.9, 0.02, 0.08], np.float32)) == 2
    assert classifier.predicted(np.array([0.995, 0.002, 0.003], np.float32)) == 0
    assert classifier.predicted(np.array([0.3, 0.5, 0.2], np.float32)) == 1


def test_a_single_map_has_two_classes():
    classifier = model(1, ["lesion"])
    assert classifier.class_names == ("not lesion", "lesion")
    batch = torch.rand(2, 3, 64, 64)
    shares = Segmenting(1).eval()(batch)["out"].sigmoid().mean(dim=(1, 2, 3))
    torch.testing.assert_close(classifier.scoring(batch)[:, 1], shares)
    torch.testing.assert_close(classifier.scoring(batch).sum(dim=1), torch.ones(2))


def test_other_tasks_explain_a_segmentation_too():
    for task in ("lime", "attributions"):
        few = {"num_samples": 30} if task == "lime" else {"methods": ["saliency"]}
        (result,) = evaluate(task, model=model(), images=IMAGES, device="cpu", **few)
        assert result["region"].array.any()


def test_a_class_that_is_nowhere_is_explained_everywhere():
    (result,) = evaluate("cams", model=model(40), images=IMAGES, methods=["gradcam"], target="39", device="cpu")
    shown = result["region"].array
    assert shown.all() or 0 < shown.mean() < 1


def test_the_reading_is_found():
    assert model().reading.kind is OutputKind.SEGMENTATION
