"""The description of a model shows every change of its computation, and names the part that changed."""

import copy
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xai_eval.inputs.models.model_description import ModelDescription, describe_model


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.stem = nn.Conv2d(3, 4, 3)
        self.blocks = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x) * self.scale).mean(dim=(2, 3)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def changed(net, change):
    """Return the names of the fields and blocks that differ."""
    before = describe_model(net)
    change(net)
    after = describe_model(net)
    told = {f.name for f in fields(ModelDescription) if vars(before)[f.name] != vars(after)[f.name]}
    # What changes the types or settings of modules for real changes what they compute, too.
    assert ("function" in told) == ("module_types" in told)
    assert ("plain_weights" in told) == ("weights" in told)
    whole = told - {"weights", "function", "plain_weights"}
    names = before.weights.keys() | after.weights.keys()
    return whole | {name for name in names if before.weights.get(name) != after.weights.get(name)}


def nudge(name):
    def change(net):
        with torch.no_grad():
            dict([*net.named_parameters(), *net.named_buffers()])[name].view(-1)[0] += 1e-4

    return change


def replace_relu(net):
    net.blocks[1] = nn.GELU().eval()


def own_forward(net):
    original = net.stem.forward
    net.stem.forward = lambda x: original(x)


def own_convolution(net):
    original = net.stem._conv_forward
    net.stem._conv_forward = lambda *args: original(*args)


CHANGES = {
    "training": (lambda net: net.train(), {"training_flags"}),
    "part in training": (lambda net: net.blocks[0].train(), {"training_flags"}),
    "another type": (replace_relu, {"module_types"}),
    "another stride": (lambda net: setattr(net.stem, "stride", (2, 2)), {"module_types"}),
    "another eps": (lambda net: setattr(net.blocks[0], "eps", 1e-3), {"module_types"}),
    "a setting in a list": (lambda net: setattr(net.stem, "shift_size", [0, 0]), {"module_types"}),
    "a function to call": (lambda net: setattr(net.stem, "activation", torch.tanh), {"module_types"}),
    "another axis as batch": (lambda net: setattr(net.head, "batch_first", False), {"module_types"}),
    "forward hook": (lambda net: net.head.register_forward_hook(lambda *_: None), {"hooks"}),
    "pre-hook": (lambda net: net.head.register_forward_pre_hook(lambda *_: None), {"hooks"}),
    "backward hook": (lambda net: net.head.register_full_backward_hook(lambda *_: None), {"hooks"}),
    "own forward": (own_forward, {"hooks"}),
    "own convolution": (own_convolution, {"hooks"}),
    "own parameter": (nudge("scale"), {"scale"}),
    "convolution": (nudge("stem.weight"), {"stem"}),
    "statistics": (nudge("blocks.0.running_mean"), {"blocks.0"}),
    "part of a sequence": (nudge("blocks.2.bias"), {"blocks.2"}),
    "head": (nudge("head.weight"), {"head"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_is_named_and_nothing_else(net, name):
    change, expected = CHANGES[name]
    assert changed(net, change) == expected


# Modules of torch, each with a setting that changes its output.
SETTINGS = {
    "alpha": (nn.ELU(), 0.5),
    "beta": (nn.Softplus(), 2.0),
    "lambd": (nn.Softshrink(), 0.2),
    "lower": (nn.RReLU(), 0.2),
    "max_val": (nn.ReLU6(), 2.0),
    "value": (nn.Threshold(0.1, 0.0), 0.1),
    "align_corners": (nn.Upsample(scale_factor=2.0, mode="bilinear"), True),
    "upscale_factor": (nn.PixelShuffle(2), 1),
    "divisor_override": (nn.AvgPool2d(2), 3),
    "num_groups": (nn.GroupNorm(4, 4), 2),
    "size": (nn.LocalResponseNorm(5), 3),
    "start_dim": (nn.Flatten(), 2),
    "dim": (nn.Softmax(dim=1), 2),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_another_setting_is_told_and_changes_the_answer(setting):
    part, value = SETTINGS[setting]
    image = torch.linspace(-3.0, 3.0, 64).reshape(1, 4, 4, 4)
    before = part.eval()(image)
    assert changed(part, lambda part: setattr(part, setting, value)) == {"module_types"}
    after = part(image)
    assert before.shape != after.shape or not torch.equal(before, after)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.double(),
        lambda net: net.to(memory_format=torch.channels_last),
        lambda net: net.requires_grad_(False),
        lambda net: net(torch.zeros(1, 3, 8, 8)),
        lambda net: net(torch.zeros(1, 3, 8, 8)).sum().backward(),
        lambda net: net.load_state_dict(copy.deepcopy(net.state_dict())),
        lambda net: net.blocks[0].num_batches_tracked.add_(1),
        lambda net: setattr(net.blocks[0], "momentum", 0.01),
        lambda net: setattr(net.head, "batch_first", True),
        lambda net: setattr(net.head, "kept", [torch.zeros(1)]),
    ],
    ids=[
        "double",
        "channels last",
        "frozen",
        "forward pass",
        "backward pass",
        "loaded again",
        "batches counted further",
        "momentum of the statistics",
        "the usual axis as batch",
        "a list of tensors",
    ],
)
def test_what_changes_no_answer_is_not_told(net, change):
    assert changed(net, change) == set()


@pytest.mark.parametrize("tensor", ["weight", "running_mean"])
def test_a_tensor_that_two_layers_share_is_told_like_two_equal_ones(tensor):
    """A model that was saved and loaded again may hold copies of what it shared before; its answers are the same."""

    def two_layers():
        net = nn.Module()
        net.block = nn.Module()
        net.block.first, net.block.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        return net

    shared, copied = two_layers(), two_layers()
    setattr(shared.block.second, tensor, getattr(shared.block.first, tensor))
    assert describe_model(shared) == describe_model(copied)


def test_half_precision_loses_digits_and_is_told(net):
    found = changed(net, lambda net: net.half())
    assert "stem" in found and "module_types" not in found


ON_EVERY_MODULE = (
    nn.modules.module.register_module_forward_hook,
    nn.modules.module.register_module_forward_pre_hook,
    nn.modules.module.register_module_full_backward_hook,
    nn.modules.module.register_module_full_backward_pre_hook,
)


@pytest.mark.parametrize("register", ON_EVERY_MODULE, ids=lambda register: register.__name__)
def test_a_hook_on_every_module_is_told(net, register):
    before = describe_model(net)
    handle = register(lambda *_: None)
    try:
        assert describe_model(net).hooks != before.hooks
    finally:
        handle.remove()
    assert describe_model(net) == before


def test_of_very_deep_models_the_parts_are_named_one_level_higher():
    deep = nn.Module()
    deep.trunk = nn.Sequential(*(nn.Linear(2, 2) for _ in range(40)))
    deep.head = nn.Linear(2, 2)
    assert list(describe_model(deep).weights) == ["trunk", "head"]


def registered_otherwise(draw):
    """Return a change that registers some tensors of a network as the other kind, not saved, or in another order."""

    def change(net):
        for part in list(net.modules()):
            for name in [*part._parameters, *part._buffers]:
                tensor = getattr(part, name)
                how = draw(st.sampled_from(["as it is", "last", "parameter", "buffer", "buffer that is not saved"]))
                if tensor is None or how == "as it is":
                    continue
                kind = "parameter" if name in part._parameters else "buffer"
                delattr(part, name)
                if (kind if how == "last" else how) == "parameter" and tensor.is_floating_point():
                    part.register_parameter(name, nn.Parameter(tensor.detach(), requires_grad=False))
                else:
                    part.register_buffer(name, tensor.detach(), persistent=how != "buffer that is not saved")

    return change


@settings(max_examples=30)
@given(st.data())
def test_however_tensors_are_registered_the_blocks_mean_the_same(data):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), nn.Linear(4, 2)).eval()
    before = describe_model(net)
    assert before.weights == before.plain_weights  # as usual modules have them
    registered_otherwise(data.draw)(net)
    assert describe_model(net).plain_weights == before.plain_weights
    with torch.no_grad():
        next(iter(net[0].parameters()), next(net[0].buffers())).view(-1)[0] += 1e-4
    assert describe_model(net).plain_weights != before.plain_weights


def test_two_tensors_that_change_their_names_mean_something_else():
    norm = nn.BatchNorm1d(2)
    with torch.no_grad():
        norm.weight[:] = torch.tensor([1.0, 2.0])
    net = nn.Sequential(nn.Sequential(norm, nn.Linear(2, 2)))
    before = describe_model(net).plain_weights
    norm.weight, norm.bias = norm.bias, norm.weight
    assert describe_model(net).plain_weights != before
