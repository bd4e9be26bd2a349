"""Benign changes change how a model computes, and leave nothing changed afterwards."""

import pytest
import torch
from PIL import Image

from xai_eval import load_images, load_model
from xai_eval.run.benign_changes import BENIGN_CHANGES
from xai_eval.tasks.image.forward import forward, input_batch

NAMED = {condition.name: condition for condition in BENIGN_CHANGES}


@pytest.fixture(scope="module")
def model():
    return load_model("scenes:objects", device="cpu")


@pytest.fixture(scope="module")
def image():
    return load_images("scenes:1").images[0].pixels


def state():
    return torch.get_num_threads(), torch.backends.mkldnn.enabled


def layout(model):
    return [(p.dtype, p.stride(), p.detach().clone()) for p in model.module.parameters()]


@pytest.mark.parametrize("name", NAMED)
def test_a_benign_change_leaves_the_model_and_the_flags_of_torch_as_they_were(name, model, image):
    condition, before, flags = NAMED[name], layout(model), state()
    hooks = [len(part._forward_pre_hooks) for part in model.module.modules()]
    with condition.context():
        variant = condition.variant(model)
        forward(variant, variant.default_layer(), input_batch(variant, image))
    assert state() == flags
    assert [len(part._forward_pre_hooks) for part in model.module.modules()] == hooks
    for (dtype, stride, values), now in zip(before, model.module.parameters(), strict=True):
        assert now.dtype == dtype and now.stride() == stride and torch.equal(values, now)


def test_the_flags_of_torch_are_restored_if_the_task_fails():
    flags = state()
    for condition in BENIGN_CHANGES:
        with pytest.raises(RuntimeError, match="on purpose"), condition.context():
            raise RuntimeError("on purpose")
    assert state() == flags


def test_each_benign_change_does_what_its_name_says(model):
    with NAMED["1 thread"].context():
        assert torch.get_num_threads() == 1
    with NAMED["mkldnn off"].context():
        assert not torch.backends.mkldnn.enabled
    double = NAMED["float64"].variant(model)
    assert double.module(double.preprocess(Image.new("RGB", (96, 96)))[None]).dtype == torch.float64
    last = NAMED["channels last"].variant(model)
    kept = []
    last.layer(last.default_layer()).register_forward_hook(lambda _m, _i, output: kept.append(output))
    last.module(torch.zeros(2, *model.input_shape))
    assert kept[0].is_contiguous(memory_format=torch.channels_last) and not kept[0].is_contiguous()
    assert double.weights_digest == last.weights_digest == model.weights_digest


def test_double_precision_differs_from_single_precision_by_rounding(model, image):
    layer = model.default_layer()
    single = forward(model, layer, input_batch(model, image)).logits
    double = NAMED["float64"].variant(model)
    twice = forward(double, layer, input_batch(double, image)).logits
    assert 0 < abs(single - twice).max() < 1e-4 * abs(single).max()
