"""A model that is written otherwise and computes the same has the same state, and no other model has."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.resnet import BasicBlock

from xai_eval.inputs.models.canonical_settings import canonical_settings
from xai_eval.inputs.models.model_description import describe_model


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU6()
        self.down = nn.MaxPool2d(2)
        self.block = BasicBlock(4, 4)
        self.drop = nn.Dropout(0.5)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.block(self.down(self.act(self.norm(self.stem(x)))))
        return self.head(self.drop(self.pool(x).flatten(1)))


class Renamed(Net):
    """Another name for the same."""


class RenamedBlock(BasicBlock):
    pass


class CopiedBlock(nn.Module):
    """The code of torchvision's block under another name, with other comments and without annotations."""

    expansion = 1

    def forward(self, x):
        """Says something else than torchvision."""
        identity = x

        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)

        out = self.conv2(out)  # a remark
        out = self.bn2(out)

        if self.downsample is not None:
            identity = self.downsample(x)

        out += identity
        out = self.relu(out)

        return out  # noqa: RET504 - as torchvision writes it


class OtherBlock(BasicBlock):
    def forward(self, x):
        return super().forward(x) * 1.01


class TwiceBlock(BasicBlock):
    def forward(self, x):
        return super().forward(super().forward(x))


def set_type(place, kind):
    return lambda net: setattr(net.get_submodule(place), "__class__", kind)


def put(place, make):
    def change(net):
        parent, _, name = place.rpartition(".")
        setattr(net.get_submodule(parent), name, make(net.get_submodule(place)).eval())

    return change


def setting(place, name, value):
    return lambda net: setattr(net.get_submodule(place), name, value)


SAME = {
    "nothing": lambda net: None,
    "the model renamed": set_type("", Renamed),
    "a block renamed": set_type("block", RenamedBlock),
    "a block copied": set_type("block", CopiedBlock),
    "pooling to 1": put("pool", lambda _: nn.AdaptiveAvgPool2d(1)),
    "kernel as one number": setting("stem", "kernel_size", 3),
    "stride as one number": setting("stem", "stride", 1),
    "padding as one number": setting("stem", "padding", 1),
    "padding by name": setting("stem", "padding", "same"),
    "dilation as one number": setting("stem", "dilation", 1),
    "window as a pair": setting("down", "kernel_size", (2, 2)),
    "a number of NumPy": setting("norm", "eps", np.float64(1e-5)),
    "whole number as a fraction": setting("act", "max_val", 6),
    "Hardtanh": put("act", lambda _: nn.Hardtanh(0.0, 6.0)),
    "in place": put("act", lambda _: nn.ReLU6(inplace=True)),
    "another share of dropout": setting("drop", "p", 0.1),
    "dropout left out": put("drop", lambda _: nn.Identity()),
    "an identity nobody calls": lambda net: net.add_module("unused", nn.Identity().eval()),
    "a padding mode without padding": setting("block.conv1", "padding_mode", "zeros"),
    "a part in Sequential": put("block.conv1", nn.Sequential),
    "a part in DataParallel": put("block", nn.DataParallel),
    "synchronised normalisation": put("norm", nn.SyncBatchNorm.convert_sync_batchnorm),
}
OTHER = {
    "another activation": put("act", lambda _: nn.GELU()),
    "a smaller clip": setting("act", "max_val", 5.0),
    "no activation": put("act", lambda _: nn.Identity()),
    "another eps": setting("norm", "eps", 1e-3),
    "padding of copies": setting("stem", "padding_mode", "reflect"),
    "no padding": setting("stem", "padding", "valid"),
    "round up": setting("down", "ceil_mode", True),
    "averages": put("down", lambda _: nn.AvgPool2d(2)),
    "pooling to 2 x 2": put("pool", lambda _: nn.AdaptiveAvgPool2d(2)),
    "pooling to 1 x 2": put("pool", lambda _: nn.AdaptiveAvgPool2d((1, 2))),
    "a block that does more": set_type("block", OtherBlock),
    "a block called twice": set_type("block", TwiceBlock),
    "edges counted": put("down", lambda _: nn.AvgPool2d(2, count_include_pad=False)),
}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.mark.parametrize("name", SAME)
def test_the_same_function_has_the_same_description(net, name):
    image, before, answer = torch.rand(2, 3, 8, 8), describe_model(net), None
    with torch.no_grad():
        answer = net(image)
        SAME[name](net)
        torch.testing.assert_close(net(image), answer)
    after = describe_model(net)
    assert (after.function, after.plain_weights) == (before.function, before.plain_weights)
    assert (after.training_flags, after.hooks) == (before.training_flags, before.hooks)


@pytest.mark.parametrize("name", OTHER)
def test_another_function_has_another_description(net, name):
    before = describe_model(net)
    OTHER[name](net)
    after = describe_model(net)
    assert after.function != before.function
    assert after.module_types != before.module_types


def test_code_that_was_typed_in_is_told_apart(net):
    """`exec` leaves no source behind."""
    found = {}
    for name, factor in (("One", 1.5), ("Two", 1.5), ("Three", 2.5)):
        place = {"nn": nn}
        exec(f"class {name}(nn.Module):\n    def forward(self, x): return x * {factor}", place)
        found[name] = describe_model(nn.ModuleList([place[name]()])).function
    assert found["One"] == found["Two"] != found["Three"]


def test_other_weights_differ_behind_a_wrapper(net):
    before = describe_model(net).plain_weights["block"]
    put("block.conv1", nn.Sequential)(net)
    with torch.no_grad():
        net.block.conv1[0].weight[0, 0, 0, 0] += 1e-4
    assert describe_model(net).plain_weights["block"] != before


def test_a_wrapper_with_a_hook_is_a_module_of_its_own(net):
    before = describe_model(net)
    put("block", nn.Sequential)(net)
    net.block.register_forward_hook(lambda *_: None)
    after = describe_model(net)
    assert after.function != before.function and after.hooks != before.hooks


def test_settings_of_different_axes_stay_apart():
    assert canonical_settings({"kernel_size": (3, 5)}) != canonical_settings({"kernel_size": 3})
    named, numbers = (
        canonical_settings({"kernel_size": (3, 5), "padding": each, "dilation": (2, 1)}) for each in ("same", (2, 2))
    )
    assert named == numbers
    # An even kernel pads one side more than the other, which no number says.
    assert canonical_settings({"kernel_size": 4, "padding": "same", "dilation": 1})["padding"] == "same"
    assert canonical_settings({"normalized_shape": (4, 4)}) != canonical_settings({"normalized_shape": (4,)})


def test_a_large_network_is_described_as_before(net):
    """The names and digests that goldens hold stay what they were."""
    network = resnet18(weights=None).eval()
    described, again = describe_model(network), describe_model(copy.deepcopy(network))
    assert described == again
    assert described.weights == described.plain_weights
    assert "layer1.0: BasicBlock {}" not in described.function and "BasicBlock" in described.module_types
