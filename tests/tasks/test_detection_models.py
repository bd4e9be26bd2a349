"""A detector is explained as pytorch-grad-cam explains it: by the score of one box of one class."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pytorch_grad_cam import AblationCAM, EigenCAM, GradCAM, HiResCAM, ScoreCAM
from pytorch_grad_cam.utils.model_targets import FasterRCNNBoxScoreTarget
from torch import nn
from torchvision.ops import box_iou

from xai_eval import evaluate, load_images, load_model
from xai_eval.cli.main import main
from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.models.detections import BoxScores, check_boxes, class_scores
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.models.shared_layer import shared_layer

PREPARED = fixed_size_preprocessing(64, (0.0,) * 3, (1.0,) * 3)
IMAGES = load_images("scenes:1")
NAMES = ("cat", "dog", "car", "tree")
LAYER = "backbone.body.2"

NETS = """
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign


class Backbone(nn.Module):
    out_channels = 16

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1))

    def forward(self, images):
        return self.body(images)


def detector():
    torch.manual_seed(2)
    network = FasterRCNN(
        Backbone(),
        5,
        rpn_anchor_generator=AnchorGenerator(((24, 40),), ((1.0,),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 4, 2),
        rpn_post_nms_top_n_test=12,
        box_score_thresh=0.01,
        box_detections_per_img=10,
        min_size=64,
        max_size=96,
    )
    network.class_names = ["cat", "dog", "car", "tree"]
    return network
"""
_made = {}
exec(NETS, _made)
network = _made["detector"]


def detector():
    return wrap_module(network().eval(), "mine", PREPARED)


def batch():
    return PREPARED(Image.fromarray(IMAGES.images[0].pixels))[None]


def found():
    with torch.no_grad():
        return network().eval()(batch())[0]


def cams(method="gradcam", model=None, **options):
    asked = {"methods": [method], "images": IMAGES, "device": "cpu", **options}
    (result,) = evaluate("cams", model=model or detector(), **asked)
    return result


STOCK = {
    "gradcam": GradCAM,
    "hirescam": HiResCAM,
    "eigencam": EigenCAM,
    "scorecam": ScoreCAM,
    "ablationcam": AblationCAM,
}


# The passes of a detector cannot be replayed for AblationCAM, which is said; the plain library computes the map.
@pytest.mark.filterwarnings("ignore:BoxScores:RuntimeWarning")
@pytest.mark.parametrize("method", STOCK)
@pytest.mark.parametrize("target", ["predicted", "car"])
def test_the_map_is_that_of_the_library_for_the_box(method, target):
    boxes = found()
    wanted = int(boxes["labels"][0]) if target == "predicted" else 3
    best = int(torch.where(boxes["labels"] == wanted, boxes["scores"], -1).argmax())
    result = cams(method, target=target)
    assert (result["explained"].index, result.case.params["layer"]) == (wanted, LAYER)
    plain = network().eval()
    cam = STOCK[method](plain, [plain.backbone.body[2]])
    expected = cam(batch(), [FasterRCNNBoxScoreTarget([wanted], boxes["boxes"][best].numpy()[None])])[0]
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(result[method].array, expected, rtol=0, atol=1e-6)


def test_the_result_says_which_box_is_explained():
    result, boxes = cams(), found()
    (row,) = result["box"].frame.to_dict("records")
    assert row.pop("class") == str(result["explained"])
    expected = [*boxes["boxes"][0].tolist(), float(boxes["scores"][0])]
    assert list(row) == ["x0", "y0", "x1", "y1", "score"]
    assert list(row.values()) == pytest.approx(expected, abs=1e-5)
    rows, columns = np.nonzero(result["region"].array)
    x0, y0, x1, y1 = expected[:4]
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == pytest.approx((x0, y0, x1, y1), abs=0.51)
    assert result["audit"].text.endswith('the maps explain "' + result["explained"].text + '"')


def test_shown_are_the_best_scores_of_the_classes():
    result, boxes = cams(), found()
    best = dict.fromkeys(range(5), 0.0)
    for label, score in zip(boxes["labels"].tolist(), boxes["scores"].tolist(), strict=True):
        best[label] = max(best[label], score)
    assert result["top5"].values == pytest.approx(sorted(best.values(), reverse=True), abs=1e-6)
    assert load_classes() == ("__background__", *NAMES)


def load_classes():
    return detector().class_names


def a_box_and_the_class_with_the_lower_score():
    """A box of `found` that is not the best, with the corners rounded, as a user would give it."""
    boxes = found()
    other = int((box_iou(boxes["boxes"][:1], boxes["boxes"])[0] < 0.3).nonzero()[0])
    return [round(each) for each in boxes["boxes"][other].tolist()], boxes


def test_a_box_can_be_given():
    corners, boxes = a_box_and_the_class_with_the_lower_score()
    result = cams(model=dataclasses.replace(detector(), box=tuple(corners)))
    best = int(box_iou(torch.tensor([corners]).float(), boxes["boxes"])[0].argmax())
    assert result["explained"].index == int(boxes["labels"][best])
    assert result["top5"].values[0] == pytest.approx(float(boxes["scores"][best]), abs=1e-6)
    assert list(result["box"].frame.iloc[0])[1:5] == corners
    plain = network().eval()
    target = FasterRCNNBoxScoreTarget([result["explained"].index], np.float32([corners]))
    expected = GradCAM(plain, [plain.backbone.body[2]])(batch(), [target])[0]
    np.testing.assert_allclose(result["gradcam"].array, expected, rtol=0, atol=1e-6)


def test_a_box_that_is_not_found_is_said_and_gives_empty_maps():
    result = cams(model=dataclasses.replace(detector(), box=(0.0, 0.0, 3.0, 3.0)), target="cat")
    assert "has another class, or overlaps it by less than half" in result["audit"].text
    assert result["gradcam"].degenerate


def test_a_detector_that_finds_nothing_says_so():
    blind = network().eval()
    blind.roi_heads.score_thresh = 1.1
    result = cams(model=wrap_module(blind, "blind", PREPARED), target="cat")
    assert "no box of this class is found" in result["audit"].text
    assert result["gradcam"].degenerate
    assert "box" not in result.fields and result["top5"].values == (0.0,) * 5


class TwoClassesInOneBox(nn.Module):
    """Finds one box twice, as a cat and, with a lower score, as a dog."""

    class_names = ("cat", "dog")

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 5, 8, 2), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def forward(self, images):
        boxes, labels = torch.tensor([[8.0, 8, 40, 40]] * 2), torch.tensor([0, 1])
        scores = self.backbone(images).mean((1, 2, 3)).sigmoid()
        return [{"boxes": boxes, "labels": labels, "scores": torch.stack([each, each / 2])} for each in scores]


def test_a_class_that_the_library_does_not_see_behind_another_is_said():
    model = wrap_module(TwoClassesInOneBox().eval(), "two", PREPARED)
    assert "a box of another class lies over this one" in cams(model=model, target="dog")["audit"].text
    assert "lies over" not in (cams(model=model, target="cat")["audit"].text or "")


@pytest.mark.parametrize(
    ("task", "few"),
    [
        ("lime", {"num_samples": 40, "seeds": 2}),
        ("hybrid", {"num_samples": 40}),
        ("attributions", {"methods": ["saliency"]}),
    ],
)
def test_other_tasks_explain_the_box_too(task, few):
    result, *_ = evaluate(task, model=detector(), images=IMAGES, device="cpu", **few)
    assert result["box"].frame["score"][0] == pytest.approx(float(found()["scores"][0]), abs=1e-5)


def test_lime_asks_for_the_score_at_the_box():
    corners, boxes = a_box_and_the_class_with_the_lower_score()
    model = dataclasses.replace(detector(), box=tuple(corners))
    (result,) = evaluate("lime", model=model, images=IMAGES, device="cpu", num_samples=40, seeds=1)
    best = box_iou(torch.tensor([corners]).float(), boxes["boxes"])[0].argmax()
    shown = result["surrogates"].frame["probability"][0]
    assert shown == pytest.approx(float(boxes["scores"][best]), abs=1e-5)


@st.composite
def detections(draw):
    """Boxes of one image, and one of them, moved a little."""
    count = draw(st.integers(1, 6))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    start = torch.rand(count, 2, generator=generator) * 40
    boxes = torch.cat([start, start + 4 + torch.rand(count, 2, generator=generator) * 20], dim=1)
    labels = torch.randint(0, 3, (count,), generator=generator)
    scores = torch.rand(count, generator=generator)
    moved = boxes[draw(st.integers(0, count - 1))] + draw(st.floats(-6, 6))
    return {"boxes": boxes, "labels": labels, "scores": scores}, moved


class Returns(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, images):
        return [self.answer] * len(images)


@given(detections())
@settings(max_examples=60)
def test_the_score_of_a_box_is_that_of_the_library(drawn):
    answer, box = drawn
    scores = BoxScores(Returns(answer), box, 3)(torch.zeros(2, 3, 8, 8))
    expected = [float(FasterRCNNBoxScoreTarget([label], box.numpy()[None])(answer)) for label in range(3)]
    assert scores.tolist() == [expected] * 2
    alone = class_scores([answer], 3, box.tolist())[0]
    overlap = float(box_iou(box[None], answer["boxes"]).max())
    assert alone.tolist() == pytest.approx([each - overlap if each else 0.0 for each in expected], abs=1e-6)


@given(detections())
@settings(max_examples=60)
def test_the_scores_of_classes_do_not_depend_on_the_order_of_boxes(drawn):
    answer, box = drawn
    turned = {name: values.flip(0) for name, values in answer.items()}
    for near in (None, box.tolist()):
        assert torch.equal(class_scores([answer], 3, near), class_scores([turned], 3, near))
    assert bool((class_scores([answer], 3, box.tolist()) <= class_scores([answer], 3)).all())


def test_a_label_that_is_no_class_is_refused():
    answer = {"boxes": torch.zeros(1, 4), "labels": torch.tensor([7]), "scores": torch.ones(1)}
    with pytest.raises(ModelMisbehaves, match=r"label 7, but 3 classes are named \(labels 0 to 2\)"):
        class_scores([answer], 3)


def test_a_box_of_a_classifier_is_refused():
    with pytest.raises(UsageError, match="returns no boxes"):
        evaluate("cams", model="scenes:objects?box=1,2,30,40", images=IMAGES, device="cpu")


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "30,2,1,40", "1,2,nan,4", "1,2,inf,4", ""])
def test_a_malformed_box_is_refused(text):
    with pytest.raises(UsageError, match=r"box is .*; expected X0,Y0,X1,Y1"):
        load_model(f"scenes:objects?box={text}")


def test_images_of_any_size_are_explained_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)
    Path("photos").mkdir()
    for name, size in {"wide": (96, 60), "high": (50, 70)}.items():
        Image.fromarray(IMAGES.images[0].pixels).resize(size).save(f"photos/{name}.png")
    command = ["run", "cams", "--methods", "gradcam", "--images", "photos", "--model", "file:nets.py:detector"]
    assert main([*command, "--box", "0,0,48,48", "--target", "cat", "--quiet"]) == 0
    results = [json.loads(each.read_text()) for each in Path("reports/results/cams").glob("*/result.json")]
    assert {each["case"]["model"] for each in results} == {"file:nets.py:detector?box=0,0,48,48"}
    shapes = {field["shape"][0] for each in results for field in each["fields"] if field["name"] == "region"}
    assert shapes == {60, 70}


@pytest.mark.parametrize(
    ("boxes", "labels", "scores", "message"),
    [
        (
            torch.tensor([[1.0, 2, 8, 9], [2, 3, 9, 9]]),
            torch.tensor([0]),
            torch.ones(2),
            r"labels \(1,\), scores \(2,\)",
        ),
        (torch.ones(1, 5), torch.tensor([0]), torch.ones(1), r"boxes \(1, 5\)"),
        ([[1.0, 2, 8, 9]], torch.tensor([0]), torch.ones(1), "boxes list"),
        (torch.tensor([[1.0, 2, 8, 9]]), ["car"], torch.ones(1), "labels list"),
        (torch.tensor([[8.0, 2, 1, 9]]), torch.tensor([0]), torch.ones(1), "left of the first"),
        (torch.tensor([[0.1, 0.2, 0.8, 1.0]]), torch.tensor([0]), torch.ones(1), "shares of the image"),
        (torch.tensor([[1, 2, torch.nan, 9]]), torch.tensor([0]), torch.ones(1), "corners are NaN or infinite"),
    ],
)
def test_boxes_of_another_form_are_refused(boxes, labels, scores, message):
    with pytest.raises(ModelMisbehaves, match=message):
        check_boxes([{"boxes": boxes, "labels": labels, "scores": scores}])


def test_a_backbone_that_returns_no_maps_is_not_blamed():
    net = nn.Module()
    net.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    with pytest.raises(UsageError, match=r"returns something else than maps.*--layer"):
        shared_layer(net, (3, 16, 16), "mine")


class FirstOnly(nn.Module):
    """A detector that answers the first image of a batch and forgets the others."""

    def __init__(self):
        super().__init__()
        self.net = network().eval()
        self.class_names = self.net.class_names

    def forward(self, images):
        return self.net(images)[:1]


def test_a_detector_that_takes_single_images_gets_them_one_by_one():
    alone = wrap_module(FirstOnly().eval(), "mine", PREPARED)
    with torch.no_grad():
        pair = alone.detector(torch.cat([batch(), batch().flip(3)]))
    assert len(pair) == 2
    assert torch.equal(pair[0]["boxes"], found()["boxes"])
    assert torch.equal(alone.scoring(batch().repeat(3, 1, 1, 1))[2], detector().scoring(batch())[0])
