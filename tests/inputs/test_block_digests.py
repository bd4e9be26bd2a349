"""Digests of weights that are computed once: they have to be those of the weights as they are now, whatever changed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from xai_eval.inputs.models import block_digests as module
from xai_eval.inputs.models.block_digests import BlockDigests
from xai_eval.inputs.models.model_description import describe_model


@pytest.fixture(params=["on a CPU", "elsewhere"])
def _place(request, monkeypatch):
    """Compare by checksums, and as on a GPU by copies."""
    if request.param == "elsewhere":
        monkeypatch.setattr(module, "_is_here", lambda _: False)


@pytest.fixture(name="net")
def _net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    net[0].bias.data[0] = 0.0
    return net


def by_data(net):
    net[0].weight.data.mul_(1.0001)


def swapped(net):
    values = net[2][1].weight.data
    values[0, 0], values[0, 1] = values[0, 1].clone(), values[0, 0].clone()


def another_zero(net):
    net[0].bias.data[0] = -0.0


def not_a_number(net):
    net[0].weight.data[0, 0, 0, 0] = float("nan")


def through_numpy(net):
    net[0].weight.detach().numpy()[1, 1] += np.float32(1e-3)


def in_place(net):
    with torch.no_grad():
        net[1].running_var.add_(1.0)


def replaced(net):
    net[2][1].weight = nn.Parameter(net[2][1].weight.detach() * 2)


def replaced_by_an_equal_one(net):
    net[0] = copy.deepcopy(net[0])


def other_values_behind_the_parameter(net):
    net[0].weight.data = net[0].weight.data.flip(0)


def other_layout(net):
    net[0].weight.data = net[0].weight.data.to(memory_format=torch.channels_last)


def in_half_precision(net):
    net[2].half()


def without_a_tensor(net):
    net[2][1].bias = None


def a_layer_more(net):
    net.append(nn.Linear(2, 2))


CHANGES = [
    by_data,
    swapped,
    another_zero,
    not_a_number,
    through_numpy,
    in_place,
    replaced,
    replaced_by_an_equal_one,
    other_values_behind_the_parameter,
    other_layout,
    in_half_precision,
    without_a_tensor,
    a_layer_more,
]


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize("change", CHANGES)
def test_a_digest_is_that_of_the_weights_as_they_are_now(net, change):
    known = BlockDigests()
    assert describe_model(net, known) == describe_model(net)
    change(net)
    assert describe_model(net, known) == describe_model(net)
    assert describe_model(net, known) == describe_model(net)


@pytest.mark.usefixtures("_place")
def test_weights_that_did_not_change_are_hashed_once(net):
    hashed = []

    def digest(tensors):
        hashed.append([name for name, _ in tensors])
        return str(len(hashed))

    known = BlockDigests()
    first, second = ([*net[place].named_parameters()] for place in (0, 1))
    answers = [known.of(*each, digest) for each in (("a", first), ("b", second), ("a", first))]
    net[0].weight.data[0] += 1
    answers += [known.of(*each, digest) for each in (("b", second), ("a", first), ("a", first))]
    assert answers == ["1", "2", "1", "2", "3", "3"]


def test_tensors_of_other_kinds_are_always_hashed():
    known, sparse, hashed = BlockDigests(), [("weight", torch.eye(3).to_sparse())], []
    for _ in range(2):
        assert known.of("a", sparse, lambda tensors: hashed.append(tensors) or "digest") == "digest"
    assert len(hashed) == 2
