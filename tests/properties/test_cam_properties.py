"""What must hold for class activation maps of any network, image and class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from xai_eval.explainers.cam.cam_maps import METHOD_NAMES, explain_by_cam

SEEDS = st.integers(0, 2**31)
CLASSES = 4
CHANNELS = 5
# AblationCAM subtracts scores of two batch sizes, so a change of the batch moves it by more than rounding.
TOLERANCE = {"ablationcam": 2e-3}


class TinyNet(nn.Module):
    """One convolution, optionally a ReLU, global average pooling and a linear head."""

    def __init__(self, seed: int, *, rectified: bool = True) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, CHANNELS, 3, stride=2)
        self.relu = nn.ReLU() if rectified else nn.Identity()
        self.head = nn.Linear(CHANNELS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.conv(x)).mean((2, 3)))


def random_images(seed: int, count: int) -> Tensor:
    return torch.randn(count, 3, 13, 11, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("method", METHOD_NAMES)
@settings(max_examples=10)
@given(seed=SEEDS, target=st.integers(0, CLASSES - 1))
def test_maps_stay_between_zero_and_one(method: str, seed: int, target: int) -> None:
    net = TinyNet(seed)
    maps = explain_by_cam(net, net.relu, random_images(seed, 1), [target], method)
    for each in (maps.layer, maps.image):
        assert each.min() >= 0 and each.max() <= 1
    assert np.isfinite(maps.raw).all()


@settings(max_examples=25)
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-50, 50), target=st.integers(0, CLASSES - 1))
def test_gradcam_ignores_scale_and_shift_of_the_logits(seed: int, scale: float, shift: float, target: int) -> None:
    net, images = TinyNet(seed), random_images(seed, 2)
    before = explain_by_cam(net, net.conv, images, [target] * 2, "gradcam")
    # Where nearly nothing is left after the ReLU, normalising blows rounding and the library's epsilon up.
    assume((before.raw.max((1, 2)) * min(scale, 1) > 1e-3).all())
    with torch.no_grad():
        net.head.weight *= scale
        net.head.bias.mul_(scale).add_(shift)
    after = explain_by_cam(net, net.conv, images, [target] * 2, "gradcam")
    np.testing.assert_allclose(after.layer, before.layer, atol=1e-3)
    np.testing.assert_allclose(after.image, before.image, atol=1e-3)


@pytest.mark.parametrize("method", METHOD_NAMES)
@settings(max_examples=5)
@given(seed=SEEDS, order=st.permutations(range(3)))
def test_order_and_size_of_the_batch_do_not_matter(method: str, seed: int, order: list[int]) -> None:
    net, images, targets = TinyNet(seed), random_images(seed, 3), [0, 1, 2]
    together = explain_by_cam(net, net.relu, images, targets, method)
    permuted = explain_by_cam(net, net.relu, images[order], [targets[i] for i in order], method)
    single = [explain_by_cam(net, net.relu, images[i : i + 1], [targets[i]], method) for i in range(3)]
    tolerance = TOLERANCE.get(method, 0)
    np.testing.assert_allclose(permuted.image, together.image[order], rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.concatenate([s.image for s in single]), together.image, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", sorted(set(METHOD_NAMES) - {"eigencam", "kpcacam", "fem", "randomcam"}))
@settings(max_examples=10)
@given(seed=SEEDS)
def test_another_class_changes_the_map(method: str, seed: int) -> None:
    net = TinyNet(seed)
    with torch.no_grad():
        # Each class looks at one channel of its own. Opposite weights would not do: AblationCAM divides by the logit.
        net.head.weight.zero_()
        net.head.weight[0, 0] = net.head.weight[1, 1] = 1
        net.head.bias.fill_(0)
    first, second = (explain_by_cam(net, net.relu, random_images(seed, 1), [target], method).raw for target in (0, 1))
    assume(min(np.abs(first).max(), np.abs(second).max()) > 1e-6)
    assert not np.allclose(first, second, rtol=1e-3, atol=0)


@pytest.mark.parametrize("method", ["eigencam", "kpcacam", "fem", "randomcam"])
def test_these_methods_look_at_no_class(method: str) -> None:
    net, images = TinyNet(0), random_images(0, 1)
    first, second = (explain_by_cam(net, net.relu, images, [target], method).raw for target in (0, 1))
    np.testing.assert_array_equal(first, second)


class ClosedForm:
    """Maps of a `TinyNet`, derived by hand and computed in numpy at double precision.

    The logit is y = b + sum_k W[c, k] mean(A_k) over the h x w positions of the feature maps A_k. So its gradient
    is W[c, k] / (h w) at every position of A_k, and setting A_k to zero takes W[c, k] mean(A_k) away.
    """

    def __init__(self, net: TinyNet, image: Tensor, target: int, *, rectified: bool) -> None:
        pixels, kernels = image[0].double().numpy(), net.conv.weight.detach().double().numpy()
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(1, 2))[:, ::2, ::2]
        features = np.einsum("chwij,kcij->khw", windows, kernels)
        features += net.conv.bias.detach().double().numpy()[:, None, None]
        self.features = np.maximum(features, 0) if rectified else features
        self.head = net.head.weight.detach().double().numpy()[target]
        self.bias = net.head.bias.detach().double().numpy()[target]

    @property
    def contributions(self) -> NDArray[np.float64]:
        return self.head[:, None, None] * self.features / self.features[0].size

    def gradcam(self) -> NDArray[np.float64]:
        return self.contributions.sum(0)

    def gradcamelementwise(self) -> NDArray[np.float64]:
        return np.maximum(self.contributions, 0).sum(0)

    def layercam(self) -> NDArray[np.float64]:
        return self.contributions[self.head > 0].sum(0)

    def ablationcam(self) -> NDArray[np.float64]:
        lost = self.contributions.sum((1, 2))
        return np.tensordot(lost / (self.bias + lost.sum()), self.features, 1)

    hirescam = gradcam


def scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    lifted = values - values.min()
    return lifted / (1e-7 + lifted.max())


def enlarged(values: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Bilinear interpolation between the centres of pixels, with the border continued."""
    for axis, length in enumerate(shape):
        old = values.shape[axis]
        centres = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(centres).astype(int)
        part = np.expand_dims(centres - low, 1 - axis)
        below, above = values.take(low, axis), values.take(np.minimum(low + 1, old - 1), axis)
        values = below * (1 - part) + above * part
    return values


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "gradcamelementwise", "ablationcam"])
@settings(max_examples=25)
@given(seed=SEEDS, target=st.integers(0, CLASSES - 1), rectified=st.booleans())
def test_closed_form_of_a_network_with_one_convolution(method: str, seed: int, target: int, rectified: bool) -> None:
    rectified = rectified or method == "ablationcam"  # which sets a channel to zero only if zero is the minimum
    net, image = TinyNet(seed, rectified=rectified), random_images(seed, 1)
    maps = explain_by_cam(net, net.relu, image, [target], method)
    expected = getattr(ClosedForm(net, image, target, rectified=rectified), method)()
    assume(expected.max() > 1e-2 * np.abs(expected).max() > 1e-6)
    np.testing.assert_allclose(maps.raw[0], expected, rtol=0, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_allclose(maps.layer[0], scaled(np.maximum(expected, 0)), rtol=0, atol=1e-2)
    np.testing.assert_allclose(
        maps.image[0], scaled(enlarged(scaled(np.maximum(expected, 0)), (13, 11))), rtol=0, atol=1e-2
    )
