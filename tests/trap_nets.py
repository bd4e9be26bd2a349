"""Small networks, each with one property that can break the replay of what comes before a layer.

Every network names its `explained` layer and returns ten logits. The test that builds a network seeds its weights.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 9


def conv(inputs: int = CHANNELS, outputs: int = CHANNELS) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Net(nn.Module):
    """A stem, the explained layer, and a linear head over pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3)
        self.target = conv()
        self.head = nn.Linear(CHANNELS, 10)

    @property
    def explained(self) -> nn.Module:
        return self.target

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        return self.target(self.stem(x))

    def classify(self, features: Tensor) -> Tensor:
        return self.head(features.relu().mean((2, 3)))


class WritesIntoPrefixBeforeTheLayer(Net):
    def features(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x), inplace=True)
        return self.target(x) + x


class WritesIntoPrefixAfterTheLayer(Net):
    def features(self, x: Tensor) -> Tensor:
        kept = self.stem(x)
        kept += self.target(kept)
        return kept


class WritesIntoTheLayersOutput(Net):
    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.target(self.stem(x)), inplace=True)


class ResidualBlock(Net):
    """In-place ReLU and `+=` around a layer in the middle of a block; one ReLU called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.ModuleDict({"first": conv(), "bn": nn.BatchNorm2d(CHANNELS)})
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def features(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        out = self.relu(self.block["bn"](self.block["first"](x)))
        out = self.target(out)
        out += self.shortcut(x)
        return self.relu(out)


class LayerIsCalledTwice(Net):
    def features(self, x: Tensor) -> Tensor:
        return self.target(self.target(self.stem(x)).relu())


class LayerIsASharedInPlaceReLU(Net):
    def __init__(self) -> None:
        super().__init__()
        self.middle = conv()
        self.target = nn.ReLU(inplace=True)

    def features(self, x: Tensor) -> Tensor:
        return self.target(self.middle(self.target(self.stem(x))))


class LayerHasTwoNames(Net):
    """The library replaces the layer under its first name only."""

    def __init__(self) -> None:
        super().__init__()
        self.again = self.target

    def features(self, x: Tensor) -> Tensor:
        return self.again(self.target(self.stem(x)).relu())


class OneReLUInsideAndOutsideTheLayer(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.target = nn.Sequential(conv(), self.relu, conv())

    def features(self, x: Tensor) -> Tensor:
        return self.relu(self.target(self.relu(self.stem(x))))


class GrowingList(Net):
    """Layers take the list of all that came before, as in DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        del self.target
        self.layers = nn.ModuleList(Concatenating(CHANNELS * (i + 1)) for i in range(3))
        self.head = nn.Linear(4 * CHANNELS, 10)

    @property
    def explained(self) -> nn.Module:
        return self.layers[1]

    def features(self, x: Tensor) -> Tensor:
        grown = [self.stem(x)]
        for layer in self.layers:
            grown.append(layer(grown))
        return F.relu(torch.cat(grown, 1), inplace=True)


class Concatenating(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs)

    def forward(self, grown: list[Tensor]) -> Tensor:
        return self.conv(torch.cat(grown, 1))


class TreesOfTensors(Net):
    def __init__(self) -> None:
        super().__init__()
        self.split = Splitting()

    def features(self, x: Tensor) -> Tensor:
        parts = self.split(self.stem(x))
        return self.target(parts["pair"][0]) + parts["rest"][0][1] * parts["scale"]


class Splitting(nn.Module):
    def forward(self, x: Tensor) -> dict[str, object]:
        return {"pair": (x.relu(), x), "rest": [(x, -x)], "scale": 0.5}


class MergesTheBatch(Net):
    """A `view` over the batch axis needs contiguous memory, so rows cannot share it."""

    def features(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        per_map = features.view(-1, 1, *features.shape[2:])
        return self.target(per_map.view_as(features))


class BatchIsSecond(Net):
    """A module hands out (channels, images, height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.transpose = Transposing()

    def features(self, x: Tensor) -> Tensor:
        kept = self.transpose(self.stem(x)).transpose(0, 1)
        return self.target(kept) + kept


class Transposing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1)


class CallsDependOnTheImage(Net):
    def __init__(self) -> None:
        super().__init__()
        self.other_stem = conv(3)

    def features(self, x: Tensor) -> Tensor:
        return self.target(self.stem(x) if x.mean() > 0 else self.other_stem(x))


class IgnoresWhatReLUReturns(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def features(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        self.relu(features)
        return self.target(features) + features


class Reparameterised(Net):
    """A `forward` set on the instance, and hooks that change what modules return."""

    def __init__(self) -> None:
        super().__init__()
        plain = self.stem.forward
        self.stem.forward = lambda x: plain(x).abs()
        self.stem.register_forward_hook(lambda module, inputs, output: output.mul_(2))
        self.target.register_forward_hook(lambda module, inputs, output: output + 1)
        self.register_forward_pre_hook(lambda module, inputs: (inputs[0] / 2,))


class OneChannelLeftOver(Net):
    """33 channels: the library's last batch has one row, where in-place operations see the record itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 33)
        self.target = conv(33, 33)
        self.head = nn.Linear(33, 10)

    def features(self, x: Tensor) -> Tensor:
        kept = self.stem(x)
        kept += self.target(kept)
        return kept


REPLAYED: list[Callable[[], Net]] = [
    Net,
    WritesIntoPrefixBeforeTheLayer,
    WritesIntoPrefixAfterTheLayer,
    WritesIntoTheLayersOutput,
    ResidualBlock,
    LayerIsCalledTwice,
    LayerIsASharedInPlaceReLU,
    LayerHasTwoNames,
    OneReLUInsideAndOutsideTheLayer,
    GrowingList,
    TreesOfTensors,
    MergesTheBatch,
    Reparameterised,
    CallsDependOnTheImage,
    OneChannelLeftOver,
]
FALLING_BACK: list[Callable[[], Net]] = [BatchIsSecond, IgnoresWhatReLUReturns]
