"""Explaining does not change a model, whatever the library does to it and wherever it fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytorch_grad_cam
import torch
import torchvision
import trap_nets
from torch import Tensor, nn

from xai_eval.explainers.cam.cam_maps import METHOD_NAMES, explain_by_cam
from xai_eval.inputs.models.model_state import lent, preserved

HOOK_TABLES = [name for name in vars(nn.Module()) if "hooks" in name and isinstance(vars(nn.Module())[name], dict)]


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Return all that must not change, read without the code under test; ids show whether objects were replaced."""
    modules = dict(model.named_modules())
    parameters = dict(model.named_parameters())
    return {
        "training": {name: m.training for name, m in modules.items()},
        "modules": {name: [(key, id(child)) for key, child in m._modules.items()] for name, m in modules.items()},
        "hooks": {(name, t): list(vars(m)[t].items()) for name, m in modules.items() for t in HOOK_TABLES},
        "forward": {name: id(vars(m).get("forward")) for name, m in modules.items()},
        "requires_grad": {name: p.requires_grad for name, p in parameters.items()},
        "gradients": {name: id(p.grad) for name, p in parameters.items()},
        "gradient values": {name: None if p.grad is None else p.grad.tolist() for name, p in parameters.items()},
        "state": {name: (v.data_ptr(), v.stride(), v.tolist()) for name, v in model.state_dict().items()},
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for aspect, value in before.items():
        assert after[aspect] == value, aspect


class Small(nn.Module):
    """A model with all that could be lost: both modes, gradients, hooks, a frozen part, a `forward` of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.block = nn.Sequential(nn.Conv2d(6, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True))
        self.head = nn.Linear(5, 4)
        self.empty = None

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.stem(x)).mean((2, 3)))


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    net = Small().train()
    net(torch.randn(4, 3, 9, 9)).sum().backward()
    net.stem.eval()
    net.stem[0].weight.requires_grad_(False)
    net.head.bias.grad = None
    net.block[0].register_forward_pre_hook(lambda module, inputs: None)
    net.block[0].register_forward_hook(lambda module, inputs, output: None)
    net.block[0].register_full_backward_hook(lambda module, inputs, outputs: None)
    net.head.register_forward_hook(lambda module, inputs, kwargs, output: None, with_kwargs=True)
    plain = net.head.forward
    net.head.forward = lambda x: plain(x) * 2
    return net


IMAGES = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_no_method_changes_the_model(method: str, model: Small) -> None:
    before = snapshot(model)
    explain_by_cam(model, model.block, IMAGES, [0, 1], method)
    assert_same(before, snapshot(model))


class Injected(BaseException):
    """An error that `except Exception` does not catch, like KeyboardInterrupt."""


@contextmanager
def failing_after(owner: Any, name: str, calls: int, error: BaseException) -> Iterator[None]:
    """Let the call number `calls` of a function raise."""
    original: Callable[..., Any] = getattr(owner, name)
    left = [calls]

    def maybe(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise error
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, maybe)
        yield
    assert left[0] <= 0, "the error was never injected"


@pytest.mark.parametrize("error", [Injected(), KeyboardInterrupt(), RuntimeError("injected"), IndexError("injected")])
@pytest.mark.parametrize(
    ("method", "owner", "name", "calls"),
    [
        ("gradcam", nn.Conv2d, "forward", 2),
        ("gradcam", Tensor, "backward", 1),
        ("gradcam", pytorch_grad_cam.GradCAM, "get_cam_weights", 1),
        ("gradcam", pytorch_grad_cam.ActivationsAndGradients, "save_gradient", 1),
        ("shapleycam", torch.autograd, "grad", 2),
        ("eigencam", pytorch_grad_cam.EigenCAM, "get_cam_image", 2),
        ("scorecam", pytorch_grad_cam.ScoreCAM, "get_cam_weights", 1),
        ("scorecam", Small, "forward", 1),
        ("scorecam", Small, "forward", 2),
        ("scorecam", Small, "forward", 4),
        ("scorecam", Small, "forward", 6),
        ("ablationcam", Small, "forward", 1),
        ("ablationcam", Small, "forward", 2),
        ("ablationcam", Small, "forward", 6),
        ("ablationcam", pytorch_grad_cam.AblationLayer, "activations_to_be_ablated", 2),
        ("ablationcam", pytorch_grad_cam.AblationCAM, "assemble_ablation_scores", 1),
        ("ablationcam", pytorch_grad_cam.AblationCAM, "save_activation", 1),
    ],
)
def test_an_error_half_way_is_raised_and_leaves_the_model_alone(
    method: str, owner: Any, name: str, calls: int, error: BaseException, model: Small
) -> None:
    before = snapshot(model)
    with failing_after(owner, name, calls, error), pytest.raises(type(error)) as caught:
        explain_by_cam(model, model.block, IMAGES, [0, 1], method)
    assert caught.value is error
    assert_same(before, snapshot(model))
    assert torch.isfinite(torch.from_numpy(explain_by_cam(model, model.block, IMAGES, [0, 1], method).image)).all()


@pytest.mark.parametrize("calls", [3, 4, 5])
def test_an_error_only_in_replayed_passes_falls_back_to_full_passes(calls: int, model: Small) -> None:
    """Passes 3 to 5 are made to see whether the prefix can be replayed. If not, the library does without."""
    expected = explain_by_cam(model, model.block, IMAGES, [0, 1], "ablationcam").image
    before = snapshot(model)
    with failing_after(Small, "forward", calls, RuntimeError("injected")), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        image = explain_by_cam(model, model.block, IMAGES, [0, 1], "ablationcam").image
    assert abs(image - expected).max() < 1e-5
    assert_same(before, snapshot(model))


def test_an_error_in_a_hook_of_the_model_is_raised(model: Small) -> None:
    def failing(*_: Any) -> None:
        raise Injected

    model.block[2].register_forward_hook(failing)
    before = snapshot(model)
    for method in ("gradcam", "scorecam", "ablationcam"):
        with pytest.raises(Injected):
            explain_by_cam(model, model.block, IMAGES, [0, 1], method)
    assert_same(before, snapshot(model))


def test_optimisers_that_wait_for_gradients_do_not_step(model: Small) -> None:
    """An optimiser that steps as soon as there are gradients would train the model while it is explained."""
    woken: list[Tensor] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(woken.append)
    for method in METHOD_NAMES:
        explain_by_cam(model, model.block, IMAGES, [0, 1], method)
    assert woken == []


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_frozen_models_and_calls_without_gradients_give_the_same_maps(method: str, model: Small) -> None:
    expected = explain_by_cam(model, model.block, IMAGES, [0, 1], method)
    with torch.no_grad():
        without = explain_by_cam(model, model.block, IMAGES, [0, 1], method)
    with torch.inference_mode():
        inference = explain_by_cam(model, model.block, IMAGES + 0, [0, 1], method)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    frozen = explain_by_cam(model.eval(), model.block, IMAGES, [0, 1], method)
    for other in (without, inference, frozen):
        assert (other.raw == expected.raw).all() and (other.image == expected.image).all()


def test_images_are_not_changed(model: Small) -> None:
    """A model that normalises its input in place must not change the tensor of the caller."""
    model.register_forward_pre_hook(lambda module, inputs: (inputs[0].mul_(2),))
    for method in set(METHOD_NAMES) - {"shapleycam"}:  # which makes the input a leaf, so that it fails by itself
        images = IMAGES.clone().requires_grad_()
        with torch.no_grad():
            explain_by_cam(model, model.block, images, [0, 1], method)
        assert torch.equal(images, IMAGES) and images.grad is None


def test_preserved_undoes_what_a_library_may_do(model: Small) -> None:
    before = snapshot(model)
    handle_of_the_user = model.stem.register_forward_hook(lambda *_: None)
    handle_of_the_user.remove()
    with pytest.raises(Injected), preserved(model):
        model.eval()
        model.zero_grad()
        model.block = nn.Identity()
        model.extra = nn.Linear(1, 1)
        model.stem.register_forward_hook(lambda *_: None)
        model.stem.register_full_backward_pre_hook(lambda *_: None)
        model.register_state_dict_post_hook(lambda *_: None)
        model.stem.forward = lambda x: x
        del model.head.forward
        for parameter in model.parameters():
            parameter.requires_grad_(True)
            parameter.grad = torch.ones_like(parameter)
        raise Injected
    assert_same(before, snapshot(model))


def test_handles_of_the_users_hooks_still_remove_them(model: Small) -> None:
    calls: list[int] = []
    handle = model.block.register_forward_hook(lambda *_: calls.append(1))
    explain_by_cam(model, model.block, IMAGES, [0, 1], "gradcam")
    handle.remove()
    calls.clear()
    model(IMAGES)
    assert calls == []


@pytest.mark.slow
def test_a_torchvision_model_in_training_keeps_its_gradients() -> None:
    net = torchvision.models.mobilenet_v2(num_classes=5, width_mult=0.25).train()
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    before = snapshot(net)
    for method in ("gradcam", "shapleycam", "eigencam"):
        explain_by_cam(net, net.features[-1], torch.randn(1, 3, 32, 32), [1], method)
    assert_same(before, snapshot(net))


def test_trap_networks_are_not_changed() -> None:
    for build in trap_nets.REPLAYED:
        net = build()
        before = snapshot(net)
        for method in ("gradcam", "scorecam", "ablationcam"):
            explain_by_cam(net, net.explained, torch.randn(2, 3, 12, 12), [0, 1], method)
        assert_same(before, snapshot(net))


def trains(model: nn.Module) -> None:
    model.train()
    with torch.no_grad():
        model(torch.rand(4, 3, 12, 12))


def writes_into_a_weight(model: nn.Module) -> None:
    with torch.no_grad():
        model.head.weight.zero_()


def swaps_a_weight(model: nn.Module) -> None:
    model.head.weight.data = torch.zeros(4, 5)
    model.stem[0].weight = nn.Parameter(torch.zeros(6, 3, 3, 3))


def drops_a_weight(model: nn.Module) -> None:
    model.head.register_parameter("bias", None)
    del model.stem[1].running_mean
    model.register_buffer("mine", torch.zeros(2))


def changes_a_setting(model: nn.Module) -> None:
    model.block[1].momentum = None
    model.block[1].eps = 1.0


def takes_gradients(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model(torch.rand(1, 3, 12, 12)).sum().backward()


@pytest.mark.parametrize(
    "spoil",
    [trains, writes_into_a_weight, swaps_a_weight, drops_a_weight, changes_a_setting, takes_gradients],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_is_lent_comes_back_with_its_values(model, spoil, fails):
    before, settings = snapshot(model), (model.block[1].momentum, model.block[1].eps)
    batch = torch.rand(2, 3, 12, 12)
    model.eval()
    expected = model(batch).tolist()
    for name, part in model.named_modules():
        part.training = before["training"][name]
    try:
        with lent(model):
            spoil(model)
            if fails:
                raise KeyError("in the middle")
    except KeyError:
        assert fails
    assert_same(before, snapshot(model))
    assert (model.block[1].momentum, model.block[1].eps) == settings
    assert model.eval()(batch).tolist() == expected
