"""Maps are the library's own, for every method, and the library's side effects stay inside."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import pytorch_grad_cam
import torch
import tqdm
import trap_nets
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import FinerWeightedTarget
from stock_cams import stock_maps
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.cam.cam_maps import METHOD_NAMES, CamMaps, check_methods, explain_by_cam, needs_gradients

# Written out, so that a method that goes missing is noticed.
STOCK_CLASSES = {
    "ablationcam": "AblationCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "fem": "FEM",
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "gradcamelementwise": "GradCAMElementWise",
    "hirescam": "HiResCAM",
    "kpcacam": "KPCA_CAM",
    "layercam": "LayerCAM",
    "randomcam": "RandomCAM",
    "scorecam": "ScoreCAM",
    "segeigencam": "SegEigenCAM",
    "shapleycam": "ShapleyCAM",
    "xgradcam": "XGradCAM",
}
CLASSES = [3, 7, 3]


@pytest.fixture
def net() -> trap_nets.Net:
    torch.manual_seed(2)
    return trap_nets.ResidualBlock().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(3))


def layer_of(net: trap_nets.Net) -> nn.Module:
    return net.block["first"]


def test_every_method_of_the_library_is_known() -> None:
    present = {method for method, stock in STOCK_CLASSES.items() if hasattr(pytorch_grad_cam, stock)}
    assert set(METHOD_NAMES) == present | {"finercam"}


def assert_maps(maps: CamMaps, raw: np.ndarray, image: np.ndarray) -> None:
    assert np.ptp(raw) > 0
    scale = np.abs(raw).max()
    np.testing.assert_allclose(maps.raw / scale, raw / scale, rtol=0, atol=1e-5)
    np.testing.assert_allclose(maps.layer, scale_cam_image(np.maximum(raw, 0)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(maps.image, image, rtol=0, atol=1e-5)
    assert {maps.raw.dtype, maps.layer.dtype, maps.image.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("method", sorted(set(METHOD_NAMES) - {"finercam"}))
def test_maps_are_the_librarys(method: str, net: trap_nets.Net, images: Tensor) -> None:
    maps = explain_by_cam(net, layer_of(net), images, CLASSES, method, seed=11)
    parts = range(3) if method in {"randomcam", "kpcacam"} else [slice(None)]
    stock = []
    for part in parts:
        chosen = slice(part, part + 1) if isinstance(part, int) else part
        np.random.seed(11)
        stock.append(stock_maps(STOCK_CLASSES[method], net, layer_of(net), images[chosen], CLASSES[chosen]))
    assert_maps(maps, np.concatenate([s.raw for s in stock]), np.concatenate([s.image for s in stock]))


def test_finer_cam_contrasts_the_class_with_the_most_similar_ones(net: trap_nets.Net, images: Tensor) -> None:
    """The library's own weighted target, given to its plain GradCAM."""
    maps = explain_by_cam(net, layer_of(net), images, CLASSES, "finercam")
    logits = net(images).detach()
    cam = pytorch_grad_cam.GradCAM(net, [layer_of(net)])
    expected = []
    for i, index in enumerate(CLASSES):
        nearest = (logits[i] - logits[i, index]).abs().argsort()[1:4].tolist()
        expected.append(cam(images[i : i + 1], [FinerWeightedTarget(index, nearest, 1)])[0])
    np.testing.assert_allclose(maps.image, np.stack(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_shapes(method: str, net: trap_nets.Net, images: Tensor) -> None:
    maps = explain_by_cam(net, layer_of(net), images[..., :10], CLASSES, method)
    assert maps.raw.shape == maps.layer.shape == maps.image.shape == (3, 12, 10)


def test_a_seed_decides_random_maps_and_leaves_numpys_generator_alone(net: trap_nets.Net, images: Tensor) -> None:
    np.random.seed(99)
    expected = np.random.random(5)
    np.random.seed(99)
    first, again, other = (
        explain_by_cam(net, layer_of(net), images, CLASSES, "randomcam", seed=seed).raw for seed in (1, 1, 2)
    )
    assert (first == again).all() and not np.allclose(first, other)
    assert (np.random.random(5) == expected).all()


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_nothing_is_printed(method: str, net: trap_nets.Net, images: Tensor, capfd: pytest.CaptureFixture[str]) -> None:
    explain_by_cam(net, layer_of(net), images, CLASSES, method)
    assert capfd.readouterr() == ("", "")


def test_progress_bars_of_others_stay(net: trap_nets.Net, capfd: pytest.CaptureFixture[str]) -> None:
    """Inside a call too: the model's own bar is not the library's."""
    net.register_forward_hook(lambda *_: list(tqdm.tqdm(range(2), file=sys.stderr)) and None)
    explain_by_cam(net, layer_of(net), torch.randn(1, 3, 12, 12), [0], "scorecam")
    assert "2/2" in capfd.readouterr().err
    assert pytorch_grad_cam.score_cam.tqdm is pytorch_grad_cam.ablation_cam.tqdm is tqdm


@pytest.fixture
def earlier_objects_left_out() -> Iterator[None]:
    """Let the garbage collector look only at what the test makes: at all objects it takes a third of a second."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("method", METHOD_NAMES)
@pytest.mark.usefixtures("earlier_objects_left_out")
def test_nothing_keeps_the_model_alive(method: str) -> None:
    net = trap_nets.Net()
    explain_by_cam(net, net.target, torch.randn(1, 3, 12, 12), [0], method)
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_layer_may_hand_out_a_view(method: str, images: Tensor) -> None:
    """The library detaches what ShapleyCAM kept in place, which no view allows."""
    net = trap_nets.Net()
    net.target = nn.Sequential(net.target, nn.Flatten(2), nn.Unflatten(2, (12, 12)))
    assert explain_by_cam(net, net.target, images, CLASSES, method).raw.shape == (3, 12, 12)


def test_unknown_methods_are_refused_with_the_nearest(net: trap_nets.Net, images: Tensor) -> None:
    with pytest.raises(UsageError, match=r"unknown method 'gradcam\+'. Did you mean gradcam"):
        explain_by_cam(net, layer_of(net), images, CLASSES, "gradcam+")
    with pytest.raises(UsageError, match="unknown method 'lime'"):
        check_methods(["gradcam", "lime"])
    check_methods(METHOD_NAMES)


def test_foreign_layers_are_refused(net: trap_nets.Net, images: Tensor) -> None:
    for layer in (net, nn.Conv2d(3, 3, 3)):
        with pytest.raises(UsageError, match="not a submodule of the ResidualBlock"):
            explain_by_cam(net, layer, images, CLASSES, "gradcam")


@pytest.mark.parametrize(("shape", "classes"), [((3, 3, 12, 12), [1]), ((3, 12, 12), [1, 1, 1]), ((0, 3, 12, 12), [])])
def test_one_class_an_image(net: trap_nets.Net, shape: tuple[int, ...], classes: list[int]) -> None:
    with pytest.raises(UsageError, match="with one class each"):
        explain_by_cam(net, layer_of(net), torch.zeros(shape), classes, "gradcam")


def test_a_layer_without_gradient_is_named_as_such(images: Tensor) -> None:
    class Detaching(trap_nets.Net):
        def features(self, x: Tensor) -> Tensor:
            return self.target(self.stem(x)).detach()

    class SideBranch(trap_nets.Net):
        def features(self, x: Tensor) -> Tensor:
            features = self.stem(x)
            self.target(features)
            return features.detach().requires_grad_()

    for net in (Detaching(), SideBranch()):
        with pytest.raises(ModelMisbehaves, match="no gradient reaches the explained layer"):
            explain_by_cam(net, net.target, images, CLASSES, "gradcam")
        explain_by_cam(net, net.target, images, CLASSES, "eigencam")


def test_the_librarys_exceptions_come_through(net: trap_nets.Net, images: Tensor) -> None:
    """Its `with` block swallows an IndexError, here of a class that the model has not."""
    for method in ("gradcam", "scorecam", "ablationcam"):
        with pytest.raises(IndexError):
            explain_by_cam(net, layer_of(net), images, [0, 1, 1000], method)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_methods_that_need_gradients_are_those_of_the_library(method: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    cam = getattr(pytorch_grad_cam, {**STOCK_CLASSES, "finercam": "FinerCAM"}[method])(net, [net[0]])
    assert needs_gradients(method) is getattr(cam, "base_cam", cam).uses_gradients
