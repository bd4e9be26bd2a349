"""A ResNet18 for small images, with torchvision's blocks and layer names, fewer channels and a larger last map."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock


class NarrowResNet18(nn.Module):
    """ResNet18 (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016) with fewer channels.

    It differs from `torchvision.models.resnet18` in two ways. Each stage has `width / 64` times as many channels. And
    `layer4` keeps the resolution of `layer3`, so an image of 96 px gives a map of 6 x 6 there instead of 3 x 3.

    Args:
        num_classes: number of classes.
        width: number of channels of the first stage; torchvision has 64.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=1)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, num_classes) of images (N, 3, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: torch.Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


def narrow_resnet18(num_classes: int, width: int = 16) -> NarrowResNet18:
    """Build an untrained narrow ResNet18 with torchvision's initialisation; width 16 has 0.7 million parameters."""
    model = NarrowResNet18(num_classes, width)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def _stage(inside: int, outside: int, stride: int) -> nn.Sequential:
    """Build two basic blocks. The first may change resolution and channels, and then has a projection."""
    projection = None
    if stride != 1 or inside != outside:
        convolution = nn.Conv2d(inside, outside, kernel_size=1, stride=stride, bias=False)
        projection = nn.Sequential(convolution, nn.BatchNorm2d(outside))
    return nn.Sequential(BasicBlock(inside, outside, stride, projection), BasicBlock(outside, outside))
