"""Attributions are those that captum computes when it is called by hand, and nothing of the call is left behind."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import trap_nets
from captum.attr import GradientShap, InputXGradient, IntegratedGradients, NoiseTunnel, Occlusion, Saliency

from xai_eval.errors import UsageError
from xai_eval.explainers.attribution.methods import METHOD_NAMES, explain, find_methods, score
from xai_eval.explainers.attribution.question import Question, Settings

SETTINGS = Settings(steps=11, samples=5, noise=0.2, window=0.25, batch_size=3)
TARGET = 4


@pytest.fixture
def net():
    torch.manual_seed(2)
    return trap_nets.ResidualBlock().eval()


@pytest.fixture
def question(net):
    batch = torch.randn(1, 3, 12, 16, generator=torch.Generator().manual_seed(3))
    return Question(net, batch, torch.full_like(batch, -0.5), TARGET, SETTINGS)


def smoothgrad(net, batch, baseline):
    spread = float(batch.detach().max() - batch.detach().min())
    return NoiseTunnel(Saliency(net)).attribute(
        batch, nt_type="smoothgrad", nt_samples=5, nt_samples_batch_size=3, stdevs=0.2 * spread, target=TARGET
    )


# As the documentation of captum calls each of them.
STOCK = {
    "saliency": lambda net, batch, _: Saliency(net).attribute(batch, target=TARGET),
    "input_x_gradient": lambda net, batch, _: InputXGradient(net).attribute(batch, target=TARGET),
    "integrated_gradients": lambda net, batch, baseline: IntegratedGradients(net).attribute(
        batch, baseline, target=TARGET, n_steps=11, internal_batch_size=3
    ),
    "smoothgrad": smoothgrad,
    "occlusion": lambda net, batch, baseline: Occlusion(net).attribute(
        batch, (3, 3, 3), (3, 1, 1), baseline, TARGET, perturbations_per_eval=3
    ),
    "gradient_shap": lambda net, batch, baseline: GradientShap(net).attribute(
        batch, baseline, n_samples=5, target=TARGET
    ),
}


def named(name):
    return find_methods([name])[0]


@pytest.mark.parametrize("name", STOCK)
def test_an_attribution_is_captums(name, question):
    torch.manual_seed(7)
    np.random.seed(7)
    expected = STOCK[name](question.module, question.batch.clone().requires_grad_(), question.baseline)
    found = explain(named(name), question, seed=7)
    assert found.dtype == np.float32 and found.shape == (3, 12, 16)
    np.testing.assert_array_equal(found, expected[0].detach().numpy())


def test_every_captum_method_is_compared():
    assert set(STOCK) <= set(METHOD_NAMES)


def test_saliency_is_the_absolute_gradient_by_differences(question):
    """By finite differences in double precision, for some pixels."""
    net, found = question.module.double(), explain(named("saliency"), question_in_double(question), 0)
    for place in ((0, 3, 4), (2, 11, 15), (1, 6, 0)):
        step = torch.zeros(1, 3, 12, 16, dtype=torch.float64)
        step[(0, *place)] = 1e-6
        up, down = (net(question.batch.double() + sign * step)[0, TARGET] for sign in (1, -1))
        assert found[place] == pytest.approx(abs(float((up - down).detach())) / 2e-6, rel=1e-3, abs=1e-7)


def question_in_double(question):
    return Question(question.module, question.batch.double(), question.baseline.double(), TARGET, question.settings)


def test_integrated_gradients_add_up_to_the_change_of_the_score(question):
    many = Question(question.module, question.batch, question.baseline, TARGET, Settings(steps=300))
    found = explain(named("integrated_gradients"), many, 0)
    change = score(many, many.batch) - score(many, many.baseline)
    assert float(found.sum(dtype=np.float64)) == pytest.approx(change, rel=0.01, abs=1e-3)


@pytest.mark.parametrize("name", STOCK)
def test_nothing_of_the_call_is_left_behind(name, question):
    net, batch = question.module, question.batch
    before = {key: value.clone() for key, value in net.state_dict().items()}
    input_before, random = batch.clone(), (torch.get_rng_state(), np.random.get_state()[1].copy())
    gradients = [parameter.requires_grad for parameter in net.parameters()]
    explain(named(name), question, seed=1)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert torch.equal(batch, input_before) and not batch.requires_grad and batch.grad is None
    assert [parameter.requires_grad for parameter in net.parameters()] == gradients
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), random[0]) and (np.random.get_state()[1] == random[1]).all()
    assert not any(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks for part in net.modules())


@pytest.mark.parametrize("name", ["smoothgrad", "gradient_shap"])
def test_the_seed_decides_about_random_numbers(name, question):
    first, again, other = (explain(named(name), question, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(("window", "side"), [(0.125, 8), (0.01, 1), (1.0, 64), (0.3, 19)])
def test_the_margin_of_occlusion_is_half_its_window(window, side):
    occlusion = named("occlusion")
    assert occlusion.margin((64, 80), (64, 80), Settings(window=window)) == (side // 2, side // 2)
    assert named("saliency").margin((64, 80), (64, 80), Settings(window=window)) == (0, 0)


def test_without_captum_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(UsageError, match=r"'saliency' is computed by captum.*pip install 'xai-eval\[captum\]'"):
        find_methods(["saliency"])
