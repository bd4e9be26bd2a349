"""More faults of files, preprocessing, weights, and what a model is like in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fault import (
    ERROR,
    POOLED,
    RESNET,
    SWIN,
    VIT,
    Fault,
    changed,
    module_changed,
    preparation,
    replaced,
    weights_changed,
)
from input_faults import decoded, preset, resized
from PIL import Image
from torch import nn
from torch.nn.utils import parametrizations

from xai_eval import Classifier
from xai_eval.inputs.images import opened
from xai_eval.inputs.models import preprocessing
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image import explanation_setup


def coarse_colours(pixels: np.ndarray) -> np.ndarray:
    """Colour has half of the resolution, as if a decoder did not smooth it."""
    image = Image.fromarray(pixels).convert("YCbCr")
    planes = list(image.split())
    small = [plane.resize((plane.width // 2, plane.height // 2), Image.Resampling.NEAREST) for plane in planes[1:]]
    large = [plane.resize(image.size, Image.Resampling.NEAREST) for plane in small]
    return np.asarray(Image.merge("YCbCr", [planes[0], *large]).convert("RGB"))


def draft(pixels: np.ndarray) -> np.ndarray:
    """The decoder gives half of the size, which is enlarged again."""
    image = Image.fromarray(pixels)
    return np.asarray(image.reduce(2).resize(image.size, Image.Resampling.BILINEAR))


def studio_range(pixels: np.ndarray) -> np.ndarray:
    return (16 + pixels * (219 / 255)).astype(np.uint8)


def one_row_lower(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels[:1], pixels[:-1]])


def last_row_lost(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels[:-1], pixels[-1:] * 0])


def longer_side(image: Image.Image, like: Image.Image) -> Image.Image:
    square = max(image.size)
    scaled = image.resize((like.width * image.width // square, like.height * image.height // square))
    return scaled.resize(like.size)


def in_two_steps(image: Image.Image, like: Image.Image) -> Image.Image:
    return image.resize((100, 100), Image.Resampling.BILINEAR).resize(like.size, Image.Resampling.BILINEAR)


def rows_as_channels(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.permute(1, 2, 0).reshape(tensor.shape)


def transposed(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.transpose(1, 2)


def clipped(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clamp(-1.5, 2.0)


def centred_by_image(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor - tensor.mean(dim=(1, 2), keepdim=True)) / tensor.std(dim=(1, 2), keepdim=True)


def border_lost(tensor: torch.Tensor) -> torch.Tensor:
    inner = tensor.clone()
    inner[:, 0] = inner[:, -1] = 0
    return inner


def deviation_first(_original: Any) -> Any:
    def normalised(views: torch.Tensor, mean: Any, std: Any) -> torch.Tensor:
        found = views.permute(0, 3, 1, 2).float() / 255
        means, deviations = (torch.tensor(each)[None, :, None, None] for each in (mean, std))
        return found / deviations - means

    return normalised


def one_file_for_all(original: Any) -> Any:
    """Bytes of the first file are remembered for all."""
    kept: list[bytes] = []

    def read(path: Any) -> bytes:
        if path.parent.name != "images":
            return original(path)
        kept.append(original(path))
        return kept[0]

    return read


def pruned(module: nn.Module) -> None:
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.mul_(parameter.abs() > parameter.abs().flatten().quantile(0.1))


def averaged(module: nn.Module) -> None:
    """Weights a little on their way to their mean, as a moving average has them."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            parameter.lerp_(parameter.mean(), 1e-3)


def variance_of_one_layer(module: nn.Module) -> None:
    module.layer2[0].bn1.running_var.mul_(1.02)


def rank_one(module: nn.Module) -> None:
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    left, right = torch.linspace(-1, 1, last.out_features), torch.linspace(-1, 1, last.in_features)
    last.weight.add_(1e-3 * torch.outer(left, right))


def two_classes_swapped(module: nn.Module) -> None:
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    order = torch.arange(last.out_features)
    order[[-1, -2]] = order[[-2, -1]]
    last.weight.copy_(last.weight[order])
    last.bias.copy_(last.bias[order])


def two_channels_swapped(module: nn.Module) -> None:
    weight = module.layer4[1].conv2.weight
    weight.copy_(weight[[1, 0, *range(2, len(weight))]])


def bias_lost(module: nn.Module) -> None:
    [part for part in module.modules() if isinstance(part, nn.Linear)][-1].bias.zero_()


def seen_in_training(classifier: Classifier) -> None:
    """A pass in training mode, before everything else, has moved the statistics of batch norm."""
    classifier.module.train()
    with torch.no_grad():
        classifier.module(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    classifier.module.eval()


def from_the_second_image(original: Any) -> Any:
    """Weights change in memory once the first image is done."""
    seen: list[Any] = []

    def run(classifier: Any, image: Any, *rest: Any) -> Any:
        seen.append(image)
        if len(seen) == 2:
            with torch.no_grad():
                classifier.module.layer2[0].conv1.weight.mul_(1.01)
        return original(classifier, image, *rest)

    return run


def pooling_ceils(module: nn.Module) -> None:
    module.maxpool.ceil_mode = True


def dilated(module: nn.Module) -> None:
    module.layer3[1].conv1.dilation = (2, 2)
    module.layer3[1].conv1.padding = (2, 2)


def other_stride_of_pooling(module: nn.Module) -> None:
    module.maxpool.kernel_size = 2


def normed_weights(module: nn.Module) -> None:
    parametrizations.weight_norm(module.layer3[0].conv1)
    with torch.enable_grad():
        module.layer3[0].conv1.parametrizations.weight.original0.data.mul_(1.01)


def hooked_at_the_end(module: nn.Module) -> None:
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    last.register_forward_hook(lambda _m, _i, output: output * 0.98)


def before_the_first_layer(module: nn.Module) -> None:
    first = next(part for part in module.modules() if isinstance(part, nn.Conv2d))
    first.register_forward_pre_hook(lambda _m, given: (given[0] * 1.01,))


def scaled_gradients(module: nn.Module) -> None:
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    last.register_full_backward_hook(lambda _m, given, _o: tuple(None if g is None else g * 2 for g in given))


def temperature(_original: Any) -> Any:
    return lambda self, x: nn.functional.linear(x, self.weight, self.bias) / 1.02


def residual_scaled(original: Any) -> Any:
    return lambda self, x: original(self, x) * 1.001


def decoding(name: str, change: Any, tasks: tuple[str, ...] = ("cams",)) -> Fault:
    return Fault(name, "decode", tasks, StageKind.DECODED_PIXELS, decoded(change))


def prepared(name: str, kind: str, inject: Any, tasks: tuple[str, ...] = ("cams",), **given: Any) -> Fault:
    return Fault(name, kind, tasks, StageKind.INPUT_TENSOR, inject, **given)


def weights(name: str, of: str, change: Any, models: tuple[str, ...] = (RESNET,), tasks: Any = ("cams",)) -> Fault:
    stage = Stage(StageKind.MODEL_WEIGHTS, of) if of else StageKind.MODEL_WEIGHTS
    return Fault(name, "weights", tasks, stage, weights_changed(change), models=models)


def state(name: str, stage: Any, inject: Any, models: tuple[str, ...] = (RESNET,), tasks: Any = ("cams",)) -> Fault:
    return Fault(name, "model state", tasks, stage, inject, models=models)


FAULTS = (
    decoding("colours are not smoothed", coarse_colours),
    decoding("half of the size is decoded", draft),
    decoding("colours from 16 to 235", studio_range, ("lime",)),
    decoding("a row of pixels twice", one_row_lower),
    decoding("the last row is lost", last_row_lost, ("hybrid",)),
    Fault(
        "the first file is read for all",
        "decode",
        ("cams",),
        ERROR,  # its mask has another size
        replaced(opened, "image_bytes", one_file_for_all),
    ),
    prepared("the longer side is resized", "resize", resized(longer_side)),
    prepared("resized in two steps", "resize", resized(in_two_steps), ("lime_search",)),
    prepared("rows become channels", "colour order", preparation(tensor=rows_as_channels)),
    prepared("rows and columns change places", "crop", preparation(tensor=transposed), models=(RESNET, SWIN)),
    prepared("values are clipped", "normalisation", preparation(tensor=clipped)),
    prepared(
        "each image is normalised by itself", "normalisation", preparation(tensor=centred_by_image), models=(SWIN,)
    ),
    Fault(
        "the mean is subtracted last",
        "normalisation",
        ("lime",),
        Stage(StageKind.INPUT_TENSOR, "views"),
        replaced(preprocessing, "normalised", deviation_first),
    ),
    prepared("the border is lost", "crop", preparation(tensor=border_lost), ("attributions",)),
    prepared("means in the order of BGR", "normalisation", preset(mean=(0.406, 0.456, 0.485)), models=(RESNET, VIT)),
    weights("a tenth is pruned", "", pruned, (VIT,)),
    weights("a moving average", "", averaged, (RESNET, POOLED)),
    weights("the variance of one layer", "layer2.0", variance_of_one_layer, tasks=("cams", "dissection")),
    weights("a low-rank update", "", rank_one, (VIT, POOLED)),
    weights("two classes change places", "", two_classes_swapped),
    weights("two channels change places", "layer4.1", two_channels_swapped, tasks=("dissection",)),
    weights("no bias at the end", "", bias_lost, (VIT,)),
    state("a pass in training mode before", StageKind.MODEL_WEIGHTS, changed(seen_in_training), tasks=("cams", "lime")),
    state(
        "weights change after the first image",
        ERROR,  # the model is asked again after each image
        replaced(explanation_setup, "run_model", from_the_second_image),
        tasks=("cams", "comparison"),
    ),
    state("pooling rounds up", StageKind.MODULE_TYPES, module_changed(pooling_ceils)),
    state(
        "pooling sees less", StageKind.MODULE_TYPES, module_changed(other_stride_of_pooling), tasks=("attributions",)
    ),
    state("a convolution is dilated", StageKind.MODULE_TYPES, module_changed(dilated)),
    state("weights have a norm", StageKind.MODULE_TYPES, module_changed(normed_weights)),
    state("a hook scales the logits", StageKind.HOOKS, module_changed(hooked_at_the_end), (VIT, SWIN)),
    state("a hook scales the input", StageKind.HOOKS, module_changed(before_the_first_layer), (POOLED,)),
    state("a hook scales gradients", StageKind.HOOKS, module_changed(scaled_gradients), tasks=("attributions",)),
    Fault(
        "logits have a temperature",
        "layer",
        ("cams", "hybrid"),
        StageKind.LOGITS,
        replaced(nn.Linear, "forward", temperature),
    ),
    Fault(
        "activations a thousandth larger",
        "layer",
        ("cams", "comparison"),
        StageKind.LAYER_ACTIVATIONS,
        replaced(nn.ReLU, "forward", residual_scaled),
    ),
)
