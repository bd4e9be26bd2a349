"""Harmless changes that are not those of the other files: all were written down before any of them was tried.

Their author knew the names in the catalogue, so that the rate is not that of a blind trial.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_grad_cam
import scipy.special
import skimage.segmentation
import torch
import torch.nn.functional as F
from benign import channels_last, moved_a_little, rounding_otherwise
from fault import module_changed, preparation, replaced
from harmless import OTHER_OUTPUTS, POOLED, SCENES, SWIN, TRANSFORMERS, VIT, Harmless, spelt
from spelt_networks import at
from torch import Tensor, nn

from xai_eval import Classifier
from xai_eval.explainers.cam import cam_maps
from xai_eval.inputs.images import decode
from xai_eval.metrics import localisation

Change = Callable[[Any], Any]
CAMS, LIME, UNITS = ("cams",), ("lime",), ("dissection",)
SOME, BOTH = ("cams", "lime", "dissection"), ("cams", "dissection")

# --- spelling ---------------------------------------------------------------------------------------------------------


class Subtracting(nn.Module):
    """Batch normalisation as a scale and a shift that are computed before each pass."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        return x * scale[None, :, None, None] + shift[None, :, None, None]


class Checked(nn.Module):
    """A module that checks its input and hands it on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        assert x.ndim == 4 and torch.isfinite(x).all()
        return self.module(x)


class PaddedBefore(nn.Module):
    """A convolution whose padding is a step of its own."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((conv.padding[1], conv.padding[1], conv.padding[0], conv.padding[0]))
        self.conv = nn.Conv2d(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, 0, bias=conv.bias is not None
        )
        self.conv.load_state_dict(conv.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.pad(x))


class Unfolded(nn.Module):
    """A convolution as a product of matrices."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.stride, self.padding = conv.weight, conv.stride, conv.padding

    def forward(self, x: Tensor) -> Tensor:
        size = self.weight.shape[2:]
        columns = F.unfold(x, size, padding=self.padding, stride=self.stride)
        out = self.weight.flatten(1) @ columns
        height = (x.shape[2] + 2 * self.padding[0] - size[0]) // self.stride[0] + 1
        return out.unflatten(2, (height, -1))


class InParts(nn.Module):
    """A last layer of two halves of classes."""

    def __init__(self, last: nn.Linear) -> None:
        super().__init__()
        half, width = last.out_features // 2, last.in_features
        self.first, self.second = nn.Linear(width, half), nn.Linear(width, last.out_features - half)
        self.first.weight.data, self.first.bias.data = last.weight.data[:half], last.bias.data[:half]
        self.second.weight.data, self.second.bias.data = last.weight.data[half:], last.bias.data[half:]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(x)], dim=-1)


class PlusNothing(nn.Module):
    """A second branch that always answers zero."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.side = module, nn.Linear(3, 1)
        nn.init.zeros_(self.side.weight), nn.init.zeros_(self.side.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x) + self.side(x.mean(dim=(2, 3)))


def stem_pool_in_two_steps(module: nn.Module) -> nn.Module:
    """The largest of a window as the negative of the smallest of the negatives."""

    class Smallest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.max_pool2d(x, 3, 2, 1)

    module.maxpool = Smallest()
    return module


def in_dictionary(module: nn.Module) -> nn.Module:
    class ByName(nn.Module):
        def __init__(self, base: nn.Module) -> None:
            super().__init__()
            self.parts = nn.ModuleDict({"stem": nn.Sequential(base.conv1, base.bn1, base.relu, base.maxpool)})
            for number in (1, 2, 3, 4):
                self.parts[f"layer{number}"] = getattr(base, f"layer{number}")
            self.parts["fc"] = base.fc

        def forward(self, x: Tensor) -> Tensor:
            for name, part in self.parts.items():
                x = part(x if name != "fc" else x.mean(dim=(2, 3)))
            return x

    return ByName(module)


def with_auxiliary_loss(module: nn.Module) -> nn.Module:
    """A head of training that is not asked in evaluation."""

    class Trained(type(module)):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            found = super().forward(x)
            return self.auxiliary(found) if self.training else found

    module.auxiliary = nn.Linear(module.fc.out_features, 4)
    module.__class__ = Trained
    return module


def logged(module: nn.Module) -> nn.Module:
    """Counts its passes, as a monitor would."""

    class Counting(type(module)):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            self.passes = getattr(self, "passes", 0) + 1
            return super().forward(x)

    module.__class__ = Counting
    return module


def contiguous_again(module: nn.Module) -> None:
    for parameter in module.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)


def through_state_dict_of_cpu(module: nn.Module) -> nn.Module:
    made = copy.deepcopy(module)
    made.load_state_dict({name: torch.from_numpy(value.numpy().copy()) for name, value in module.state_dict().items()})
    return made


def norm_by_var_mean(module: nn.Module) -> None:
    class ByMoments(nn.LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
            return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    for part in module.modules():
        if type(part) is nn.LayerNorm:
            part.__class__ = ByMoments


def scaled_before(module: nn.Module) -> None:
    """Zero dropout in place of none."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.5  # evaluation drops nothing, whatever the share


# --- libraries and rounding -------------------------------------------------------------------------------------------


def gradients_by_einsum(original: Change) -> Change:
    return lambda self, images, layer, targets, acts, grads: (
        np.einsum("ncij->nc", grads) / (grads.shape[2] * grads.shape[3])
    )


def in_wider_floats(original: Change) -> Change:
    def scale(cam: Any, target_size: Any = None) -> Any:
        return np.float32(original(np.float64(cam).astype(np.float32), target_size).astype(np.float64))

    return scale


def as_copied(original: Change) -> Change:
    """Another dtype and layout of the same pixels."""
    return lambda image, **options: np.asfortranarray(original(np.asfortranarray(image), **options)).astype(np.int32)


def to_rgb_strided(original: Change) -> Change:
    def to_rgb(path: Any, opened: Any) -> Any:
        pixels, notes = original(path, opened)
        return np.ascontiguousarray(pixels[:, ::-1])[:, ::-1], notes

    return to_rgb


def energy_in_another_order(original: Change) -> Change:
    """Sums are taken from the last pixel to the first."""

    def energy(saliency: Any, mask: Any) -> Any:
        positive = np.clip(saliency, 0, None)[::-1, ::-1]
        total = float(positive.sum(dtype=np.float64))
        inside = float(positive[mask[::-1, ::-1]].sum(dtype=np.float64))
        return inside / total if total > 0 else original(saliency, mask)

    return energy


@contextmanager
def one_thread_between(classifier: Classifier) -> Iterator[Classifier]:
    """NumPy's threads and those of torch are set and set back."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.set_num_threads(before)
    yield classifier


@contextmanager
def fewer_digits(classifier: Classifier) -> Iterator[Classifier]:
    """Softmax is computed by SciPy in double precision."""
    original = torch.Tensor.softmax

    def softmax(self: Tensor, dim: int = -1, dtype: Any = None) -> Tensor:
        if self.requires_grad:
            return original(self, dim)
        return torch.from_numpy(scipy.special.softmax(self.double().numpy(), axis=dim)).to(self.dtype)

    torch.Tensor.softmax = softmax  # type: ignore[method-assign, assignment]
    try:
        yield classifier
    finally:
        torch.Tensor.softmax = original  # type: ignore[method-assign]


@contextmanager
def one_by_one(classifier: Classifier) -> Iterator[Classifier]:
    """Convolutions work on each image of a batch by itself."""
    original = F.conv2d

    def conv2d(x: Tensor, *args: Any, **options: Any) -> Tensor:
        return torch.cat([original(each, *args, **options) for each in x.split(1)])

    F.conv2d = conv2d
    try:
        yield classifier
    finally:
        F.conv2d = original


def unseen(name: str, tasks: tuple[str, ...], inject: Any, kind: str = "spelling", *models: str) -> Harmless:
    return Harmless(name, tasks, inject, kind=kind, models=models or (SCENES,))


CHANGES = (
    unseen("norms as scale and shift", BOTH, spelt(at("layer4.1.bn2", Subtracting))),
    unseen("the model checks its input", SOME, spelt(Checked)),
    unseen("padding as a step", BOTH, spelt(at("layer3.0.conv1", PaddedBefore))),
    unseen("the stem padded by itself", CAMS, spelt(at("conv1", PaddedBefore))),
    unseen("a convolution as a product", BOTH, spelt(at("layer4.1.conv1", Unfolded))),
    unseen("classes in two halves", (*CAMS, *LIME), spelt(at("fc", InParts))),
    unseen("a branch that answers zero", BOTH, spelt(PlusNothing)),
    unseen("pooling as a function", BOTH, spelt(stem_pool_in_two_steps)),
    unseen("parts in a dictionary", BOTH, spelt(in_dictionary)),
    unseen("a head for training alone", BOTH, spelt(with_auxiliary_loss)),
    unseen("passes are counted", SOME, spelt(logged)),
    unseen("weights laid out again", BOTH, spelt(contiguous_again), "weights"),
    unseen("weights through NumPy", BOTH, spelt(through_state_dict_of_cpu), "weights", SCENES, VIT),
    unseen("layer norms by their moments", CAMS, spelt(norm_by_var_mean), "spelling", *TRANSFORMERS),
    unseen("another share of dropout", BOTH, spelt(scaled_before), "spelling", VIT, POOLED, SWIN),
    unseen(
        "Grad-CAM by another sum",
        CAMS,
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", gradients_by_einsum),
        "library",
    ),
    unseen("maps scaled in wider floats", CAMS, replaced(cam_maps, "scale_cam_image", in_wider_floats), "library"),
    unseen("superpixels of another type", LIME, replaced(skimage.segmentation, "slic", as_copied), "library"),
    unseen("pixels with other strides", (*CAMS, *LIME), replaced(decode, "to_rgb", to_rgb_strided), "library"),
    unseen("softmax in double precision", (*CAMS, *LIME), fewer_digits, "rounding"),
    unseen("images one by one", (*LIME, *UNITS), one_by_one, "rounding"),
    unseen("threads set and set back", CAMS, one_thread_between, "process"),
    unseen(
        "other outputs round otherwise",
        (*CAMS, *LIME),
        replaced(F, "conv2d", rounding_otherwise),
        "rounding",
        *OTHER_OUTPUTS,
    ),
    unseen("other outputs, channels last", CAMS, module_changed(channels_last), "rounding", *OTHER_OUTPUTS),
    unseen(
        "the input of other outputs rounds otherwise",
        (*LIME, *CAMS),
        preparation(tensor=moved_a_little, of_views=moved_a_little),
        "rounding",
        *OTHER_OUTPUTS,
    ),
    unseen(
        "energy from the last pixel", CAMS, replaced(localisation, "energy_inside", energy_in_another_order), "rounding"
    ),
)
