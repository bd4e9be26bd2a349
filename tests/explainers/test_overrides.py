"""The `forward` of a module is replaced for a while and restored, also one that was set on the instance."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xai_eval.explainers.model.overrides import Forward, overridden_forward


def plus_one(forward: Forward) -> Forward:
    return lambda x: forward(x) + 1


def test_wraps_and_leaves_no_trace() -> None:
    module = nn.Identity()
    with overridden_forward(module, plus_one):
        assert module(torch.zeros(1)) == 1
    assert "forward" not in vars(module) and module(torch.zeros(1)) == 0


def test_an_own_forward_is_wrapped_and_put_back() -> None:
    module = nn.Identity()
    own = module.forward = lambda x: x * 10
    with pytest.raises(KeyboardInterrupt), overridden_forward(module, plus_one):
        assert module(torch.ones(1)) == 11
        raise KeyboardInterrupt
    assert module.forward is own


def test_hooks_stay_in_force_and_overrides_nest() -> None:
    module = nn.Identity()
    module.register_forward_hook(lambda module, inputs, output: output * 10)
    with overridden_forward(module, plus_one), overridden_forward(module, plus_one):
        assert module(torch.zeros(1)) == 20
