"""Detectors of torchvision on tiny backbones, with random weights."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from lively import lively
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, KeypointRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

NAMES = ("cat", "dog", "car", "tree")
CLASSES = len(NAMES) + 1  # torchvision counts the background
_SIZES = {"min_size": 64, "max_size": 64}
_ANCHORS = AnchorGenerator(((24, 40),), ((1.0,),))


class OneScale(nn.Module):
    out_channels = 32

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 5, 4, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)


class TwoScales(nn.Module):
    """Without a pyramid: the fine map does not depend on the coarse one."""

    out_channels = 32

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 5, 4, 2), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fine = self.stem(images)
        return OrderedDict([("0", fine), ("1", self.deep(fine))])


class Pyramid(TwoScales):
    """With a pyramid: both maps depend on the coarse one."""

    def __init__(self) -> None:
        super().__init__()
        self.fpn = FeaturePyramidNetwork([32, 32], 32)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.fpn(super().forward(images))


class OneScaleByName(OneScale):
    out_channels = (32,)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return OrderedDict([("0", self.body(images))])


def _faster_rcnn(backbone: nn.Module, scales: int = 1) -> nn.Module:
    return _named(FasterRCNN(backbone, CLASSES, **_two_stages(scales)))


def _two_stages(scales: int = 1) -> dict[str, Any]:
    return {
        "rpn_anchor_generator": AnchorGenerator(((24, 40),) * scales, ((1.0,),) * scales),
        "box_roi_pool": MultiScaleRoIAlign([str(scale) for scale in range(scales)], 4, 2),
        "rpn_post_nms_top_n_test": 20,
        "box_score_thresh": 0.01,
        "box_detections_per_img": 10,
        **_SIZES,
    }


def _named(network: nn.Module) -> nn.Module:
    network.class_names = NAMES
    return network


def faster_rcnn() -> nn.Module:
    return lively(lambda: _faster_rcnn(OneScale()), 64)


def faster_rcnn_on_two_scales() -> nn.Module:
    return lively(lambda: _faster_rcnn(TwoScales(), 2), 64)


def faster_rcnn_on_a_pyramid() -> nn.Module:
    return lively(lambda: _faster_rcnn(Pyramid(), 2), 64)


def retinanet() -> nn.Module:
    options = {"score_thresh": 0.001, "detections_per_img": 10}
    return lively(lambda: RetinaNet(OneScale(), CLASSES, anchor_generator=_ANCHORS, **options, **_SIZES), 64)


def fcos() -> nn.Module:
    anchors = AnchorGenerator(((16,),), ((1.0,),))
    options = {"score_thresh": 0.001, "detections_per_img": 10}
    return lively(lambda: FCOS(OneScale(), CLASSES, anchor_generator=anchors, **options, **_SIZES), 64)


def _of_regions() -> MultiScaleRoIAlign:
    return MultiScaleRoIAlign(["0"], 6, 2)


def mask_rcnn() -> nn.Module:
    return lively(lambda: _named(MaskRCNN(OneScale(), CLASSES, mask_roi_pool=_of_regions(), **_two_stages())), 64)


def keypoint_rcnn() -> nn.Module:
    options = {"num_keypoints": 3, "keypoint_roi_pool": _of_regions(), **_two_stages()}
    return lively(lambda: _named(KeypointRCNN(OneScale(), CLASSES, **options)), 64)


def ssd() -> nn.Module:
    boxes, options = DefaultBoxGenerator([[2]], scales=[0.3, 0.5]), {"score_thresh": 0.001, "detections_per_img": 10}
    return lively(lambda: _named(SSD(OneScaleByName(), boxes, (64, 64), CLASSES, **options)), 64)


class OwnDetector(nn.Module):
    """A detector that torchvision does not know: three fixed boxes, whose scores depend on the image."""

    class_names = ("background", *NAMES)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 12, 5, 4, 2), nn.ReLU(), nn.Conv2d(12, 3, 3, 2, 1))
        self.register_buffer("corners", torch.tensor([[4.0, 4, 40, 40], [20, 20, 60, 60], [0, 30, 30, 64]]))

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        scores = self.backbone(images).mean((2, 3)).sigmoid()
        labels = torch.tensor([2, 0, 3])
        return [{"boxes": self.corners, "labels": labels, "scores": each} for each in scores]


def own_detector() -> nn.Module:
    return lively(OwnDetector, 64)


class OwnWithoutBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = OwnDetector()
        self.class_names = OwnDetector.class_names

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        return self.inner(images.float())


def own_without_backbone() -> nn.Module:
    return lively(OwnWithoutBackbone, 64)


class StemBeforeBackbone(OwnDetector):
    """Its part `backbone` reads what another part makes of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 5, 4, 2)
        self.backbone = nn.Sequential(nn.ReLU(), nn.Conv2d(12, 3, 3, 2, 1))

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        return super().forward(self.stem(images))


def stem_before_backbone() -> nn.Module:
    return lively(StemBeforeBackbone, 64)
