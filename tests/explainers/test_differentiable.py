"""Differentiation starts at the layer, for frozen models too, and in-place operations may follow it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves
from xai_eval.explainers.cam.differentiable import differentiable_output


def frozen_net() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 5))
    return net.requires_grad_(False)


def gradient_at_first_layer(net: nn.Sequential, x: Tensor) -> Tensor:
    kept: list[Tensor] = []
    handle = net[0].register_forward_hook(lambda module, inputs, output: output.register_hook(kept.append) and None)
    net(x)[0, 2].backward()
    handle.remove()
    return kept[0]


def test_frozen_models_have_the_gradient_of_trainable_ones() -> None:
    x = torch.randn(1, 3, 4, 4)
    expected = gradient_at_first_layer(frozen_net().requires_grad_(True), x)
    net = frozen_net()
    with differentiable_output(net, net[0]):
        assert torch.equal(gradient_at_first_layer(net, x), expected)
    assert not net(x).requires_grad


def test_outputs_that_have_a_gradient_or_want_none_pass_unchanged() -> None:
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).requires_grad_(False), torch.randn(1, 3, 4, 4)
    outputs: list[Tensor] = []
    with differentiable_output(net, net[0]):
        net[0].register_forward_hook(lambda module, inputs, output: outputs.append(output))
        with torch.no_grad():
            net(x)
        net(x.requires_grad_())
    assert not outputs[0].requires_grad
    assert outputs[1].grad_fn.name().startswith("Convolution")


def test_logits_that_ignore_the_layer_are_an_error() -> None:
    class Ignoring(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.layer(x)
            return x.sum((2, 3))

    net = Ignoring().requires_grad_(False)
    with pytest.raises(ModelMisbehaves, match="no gradient reaches"), differentiable_output(net, net.layer):
        net(torch.randn(1, 3, 4, 4))
    assert not net._forward_hooks and not net.layer._forward_hooks


class SwitchesGradientsOff(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        torch.set_grad_enabled(False)
        return self.layer(x).mean((2, 3))


def test_a_model_that_switches_gradients_off_is_an_error():
    net = SwitchesGradientsOff()
    with torch.enable_grad(), differentiable_output(net, net.layer), pytest.raises(ModelMisbehaves, match="switches"):
        net(torch.randn(1, 3, 8, 8))
    with torch.no_grad(), differentiable_output(net, net.layer):
        net(torch.randn(1, 3, 8, 8))
