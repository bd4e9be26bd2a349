"""torchvision's architectures with few channels: the same blocks, layer names and graph at a hundredth of the cost.

AblationCAM and ScoreCAM run the model once per channel. What may break their fast paths is the graph of the model, not
its width. `NETWORKS` builds each by the name that torchvision gives the wide one, untrained, with ten classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torchvision.models import VGG, ConvNeXt, DenseNet, MobileNetV2, ShuffleNetV2, SwinTransformer
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.vgg import cfgs, make_layers
from torchvision.ops import Conv2dNormActivation

CLASSES, NARROWER = 10, 8


class NarrowResNet(ResNet):
    """A ResNet whose stages have an eighth of their channels; the stem keeps its 64."""

    def __init__(self, block: type[BasicBlock | Bottleneck], layers: list[int]) -> None:
        super().__init__(block, layers, num_classes=CLASSES)
        self.fc = nn.Linear(512 // NARROWER * block.expansion, CLASSES)

    def _make_layer(self, block: Any, planes: int, *args: Any, **options: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // NARROWER, *args, **options)


def narrow_vgg16() -> VGG:
    channels = [size if size == "M" else size // NARROWER for size in cfgs["D"]]
    net = VGG(make_layers(channels), num_classes=CLASSES)
    wide, hidden = 512 // NARROWER * 7 * 7, 64
    net.classifier = nn.Sequential(
        *(nn.Linear(wide, hidden), nn.ReLU(True), nn.Dropout()),
        *(nn.Linear(hidden, hidden), nn.ReLU(True), nn.Dropout(), nn.Linear(hidden, CLASSES)),
    )
    return net


def narrow_mobilenet_v2() -> MobileNetV2:
    """The last convolution has 1,280 channels at any width; here it has an eighth."""
    net, last = MobileNetV2(CLASSES, 0.25), 1280 // NARROWER
    net.features[-1] = Conv2dNormActivation(
        net.features[-1][0].in_channels, last, kernel_size=1, activation_layer=nn.ReLU6
    )
    net.classifier[1] = nn.Linear(last, CLASSES)
    return net


def narrow_convnext_tiny() -> ConvNeXt:
    sizes = ((12, 24, 3), (24, 48, 3), (48, 96, 9), (96, None, 3))
    return ConvNeXt([CNBlockConfig(*size) for size in sizes], stochastic_depth_prob=0.1, num_classes=CLASSES)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": partial(NarrowResNet, BasicBlock, [2, 2, 2, 2]),
    "resnet50": partial(NarrowResNet, Bottleneck, [3, 4, 6, 3]),
    "densenet121": partial(DenseNet, 8, (6, 12, 24, 16), 16, num_classes=CLASSES),
    "mobilenet_v2": narrow_mobilenet_v2,
    "vgg16": narrow_vgg16,
    "shufflenet_v2": partial(ShuffleNetV2, [4, 8, 4], [24, 16, 32, 64, 128], num_classes=CLASSES),
    "convnext_tiny": narrow_convnext_tiny,
    "swin_t": partial(
        SwinTransformer,
        [4, 4],
        24,
        [2, 2, 6, 2],
        [3, 6, 12, 24],
        [7, 7],
        stochastic_depth_prob=0.2,
        num_classes=CLASSES,
    ),
}
