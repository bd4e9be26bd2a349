"""What a module defines in place of torch's methods is found, whatever it does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.models.own_methods import check_parts, parameters_of, parts_of, told_method
from xai_eval.inputs.models.python_state import python_state
from xai_eval.inputs.models.same_answer import FirstAnswer, check_same_answer

NESTED = st.recursive(
    st.just(None), lambda inside: st.dictionaries(st.sampled_from("abc"), inside, max_size=3), max_leaves=8
)
PLAIN = st.recursive(st.integers(0, 2) | st.just("a"), lambda inside: st.lists(inside, max_size=2), max_leaves=3)


def made(shape: dict[str, object] | None) -> nn.Module:
    module = nn.Module() if shape else nn.Linear(1, 1)
    for name, inside in (shape or {}).items():
        module.add_module(name, made(inside))
    return module


@given(NESTED)
def test_parts_and_parameters_are_those_of_torch(shape):
    module = made(shape)
    assert list(parts_of(module).items()) == list(module.named_modules())
    assert [id(each) for each in parameters_of(module)] == [id(each) for each in module.parameters()]
    check_parts(module, "mine")


@given(NESTED.filter(bool), st.data())
def test_a_part_that_is_left_out_is_found(shape, data):
    module = made(shape)
    parts = parts_of(module)
    hidden = data.draw(st.sampled_from([name for name in parts if name]))
    rest = [each for name, each in parts.items() if name != hidden]
    module.modules = lambda: iter(rest)
    with pytest.raises(UsageError, match="leaves out"):
        check_parts(module, "mine")


def test_only_a_method_that_stands_in_for_one_of_torch_is_named():
    class Mine(nn.Module):
        def zero_grad(self, set_to_none: bool = True) -> None:
            self.helper()

        def helper(self) -> None:
            raise RuntimeError("mine")

    named = {}
    for method in ("zero_grad", "helper"):
        with pytest.raises(RuntimeError) as raised:
            getattr(Mine(), method)()
        named[method] = told_method(raised.value)
    assert "Mine.zero_grad" in named["zero_grad"] and named["helper"] == ""


@given(PLAIN, PLAIN)
def test_attributes_that_differ_are_told_apart(one, other):
    module = nn.Linear(1, 1)
    module.kept = [one]
    first = python_state(module)
    module.kept[0] = other
    assert (python_state(module) == first) is (one == other)
    assert set(first) == {"kept", "in_features", "out_features"}


@pytest.mark.parametrize(("factor", "allowed", "fails"), [(1.0, 1e-4, False), (1.01, 1e-4, True), (1.01, None, False)])
def test_an_answer_that_changed_is_found(factor, allowed, fails):
    module, batch = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.rand(1, 3, 2, 2)
    first = FirstAnswer(batch, module(batch).detach(), allowed)
    module[1].weight.data.mul_(factor)
    module[1].bias.data.mul_(factor)
    if fails:
        with pytest.raises(ModelMisbehaves, match="differently after something than before"):
            check_same_answer(module, first, "mine", "something")
    else:
        check_same_answer(module, first, "mine", "something")
