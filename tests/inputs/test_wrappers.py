"""Layers are found behind wrappers, and a wrapped model is the model that it wraps."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from xai_eval.errors import UsageError
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.model_description import describe_model
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.wrappers import unwrapped


def renamed_child(module):
    outer = nn.Sequential()
    outer.add_module("net", module)
    return outer


class Wrapped(nn.Module):
    """Somebody's own wrapper, which only calls."""

    def __init__(self, module):
        super().__init__()
        self.net = module

    def forward(self, image):
        """Return the logits."""
        return self.net(image)


class Passing(Wrapped):
    def forward(self, *inputs, **options):
        return self.net(*inputs, **options)


class Twice(Wrapped):
    def forward(self, image):
        return 2 * self.net(image)


class OfTheNegative(Wrapped):
    def forward(self, image):
        return self.net(-image)


class ByAMethod(Wrapped):
    def forward(self, image):
        return self.net.features(image)


class Averaging(Wrapped):
    def __call__(self, image):
        return super().__call__(image).mean(dim=0, keepdim=True)


class WithAnother(Wrapped):
    def __init__(self, module):
        super().__init__(module)
        self.head = nn.Linear(2, 2)


def averaged(module):
    outer = AveragedModel(module)
    outer.module = module  # it averages a copy
    return outer


WRAPPERS = {
    "somebody's own": (Wrapped, "net.layer4"),
    "somebody's own for all inputs": (Passing, "net.layer4"),
    "an average of weights": (averaged, "module.layer4"),
    "Sequential": (nn.Sequential, "0.layer4"),
    "Sequential with another name": (renamed_child, "net.layer4"),
    "Sequential after nothing": (lambda module: nn.Sequential(nn.Identity(), module), "1.layer4"),
    "DataParallel": (nn.DataParallel, "module.layer4"),
    "compile": (lambda module: torch.compile(module, backend="eager"), "_orig_mod.layer4"),
    "two of them": (lambda module: nn.DataParallel(nn.Sequential(module)), "module.0.layer4"),
}


@pytest.fixture(scope="module")
def plain():
    return load_model("scenes:objects")


def wrapped(plain, name):
    make, _ = WRAPPERS[name]
    return Classifier(plain.name, make(plain.module), plain.preprocess, plain.class_names)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_model_is_the_model(plain, name):
    found = wrapped(plain, name)
    assert found.module is plain.module
    assert found.weights_digest == plain.weights_digest
    assert found.default_layer() == plain.default_layer()
    assert found.wrappers


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_has_both_names_in_a_wrapped_model(plain, name):
    found, inside = wrapped(plain, name), WRAPPERS[name][1]
    for each in ("layer4", inside):
        assert found.layer_name(each) == "layer4"
        assert found.layer(each) is plain.module.layer4


@pytest.mark.parametrize("name", ["module.layer4", "0.layer4", "_orig_mod.layer4", "module.0.layer4"])
def test_a_name_of_a_wrapped_model_is_understood_by_a_plain_one(plain, name):
    assert plain.layer_name(name) == "layer4"


@pytest.mark.parametrize("name", ["layr4", "layr4.conv1", "modul.layer4", "7.layer4", "", "module"])
def test_another_name_is_unknown(plain, name):
    with pytest.raises(UsageError, match="layer"):
        plain.layer(name)


def test_parts_in_parallel_keep_their_names():
    plain = load_model("scenes:objects")
    names, blocks = plain.layer_names, plain.default_layer()
    plain.module.layer4 = nn.DataParallel(plain.module.layer4)
    assert plain.layer_name("layer4.1") == plain.layer_name("layer4.module.1") == "layer4.1"
    assert set(plain.layer_names) == set(names)
    assert plain.default_layer() == blocks
    assert plain.layer("layer4.1") is plain.module.layer4.module[1]


def test_what_does_more_is_no_wrapper(plain):
    hooked, patched = nn.Sequential(plain.module), nn.Sequential(plain.module)
    hooked.register_forward_hook(lambda *_: None)
    patched.forward = lambda x: plain.module(x) * 2
    for each in (hooked, patched, nn.Sequential(nn.Hardtanh(), plain.module), nn.Sequential(nn.Linear(2, 2))):
        assert unwrapped(each) == (each, ())


@pytest.mark.parametrize("kind", [Twice, OfTheNegative, ByAMethod, Averaging, WithAnother])
def test_a_module_that_may_do_more_is_no_wrapper(kind):
    outer = kind(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()))
    assert unwrapped(outer) == (outer, ())


def test_a_wrapper_with_a_hook_is_none():
    outer = Wrapped(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()))
    outer.register_forward_hook(lambda *_: None)
    assert unwrapped(outer) == (outer, ())


@pytest.mark.parametrize("make", [nn.Sequential, Wrapped, lambda part: nn.Sequential(nn.Sequential(part))])
def test_a_stage_behind_a_wrapper_keeps_the_names_of_its_layers(make):
    plain, changed = load_model("scenes:objects"), load_model("scenes:objects")
    changed.module.layer4 = make(changed.module.layer4)
    changed = Classifier(plain.name, changed.module, plain.preprocess, plain.class_names)
    assert changed.default_layer() == plain.default_layer() == "layer4.1"
    assert changed.layer("layer4.1") is changed.module.get_submodule(changed.place_of("layer4.1"))
    assert describe_model(changed.module).weights.keys() == describe_model(plain.module).weights.keys()
    assert describe_model(changed.module).plain_weights == describe_model(plain.module).plain_weights
