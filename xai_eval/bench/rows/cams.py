"""CAM methods beside pytorch-grad-cam called plainly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam.ablation_layer import AblationLayerVit
from torch import Tensor, nn

from xai_eval.bench.contest import Contest
from xai_eval.bench.row import Row
from xai_eval.bench.scenes import DEVIATION, MEAN, PATCH, random_network, random_transformer, scene_pixels
from xai_eval.bench.size import Size
from xai_eval.bench.stock_cams import StockMaps, stock_maps
from xai_eval.explainers.cam.cam_maps import CamMaps, explain_by_cam
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.preprocessing import normalised

# The batch size at which the bare model is measured on a GPU; on a CPU it is the library's.
_BEST_BATCH = 128
_USUAL_BATCH = 16


@dataclass(frozen=True)
class _Method:
    """A method: its class in the library, the largest difference of its maps, and the work it cannot do without."""

    stock: str
    tolerance: float
    limit: str
    unavoidable: Callable[[nn.Module, nn.Module, Tensor, int], Any]


def _forward_and_backward(network: nn.Module, layer: nn.Module, image: Tensor, target: int) -> None:
    """Run the model, and go back to the layer; no gradient of a weight is needed for that."""
    kept: list[Tensor] = []
    network.requires_grad_(False)
    handle = layer.register_forward_hook(lambda _layer, _given, output: kept.append(output.requires_grad_()))
    try:
        torch.autograd.grad(network(image)[:, target].sum(), kept)
    finally:
        handle.remove()


def _forward_per_channel(network: nn.Module, layer: nn.Module, image: Tensor, _target: int) -> None:
    batch = _BEST_BATCH if image.is_cuda else _USUAL_BATCH
    with torch.inference_mode():
        for start in range(0, _channels(layer), batch):
            network(image.expand(min(batch, _channels(layer) - start), -1, -1, -1))


def _channels(layer: nn.Module) -> int:
    return next(part.num_features for part in reversed(list(layer.modules())) if isinstance(part, nn.BatchNorm2d))


_METHODS = {
    "gradcam": _Method("GradCAM", 1e-5, "forward and backward", _forward_and_backward),
    "scorecam": _Method("ScoreCAM", 1e-4, "a forward pass per channel", _forward_per_channel),
    "ablationcam": _Method("AblationCAM", 1e-5, "", lambda *_: None),
}
# What a transformer computes before the layer reaches the scores, and is rounded otherwise in batches of another size.
_OF_TOKENS = _Method("AblationCAM", 1e-4, "", lambda *_: None)


@dataclass(frozen=True, eq=False)
class _Explained:
    """A network with the layer that is explained, and where the places of its output are.

    Attributes:
        network: the network.
        layer: finds the layer in the network, or in a copy of it.
        layout: how the output lies over the image; None for maps (N, C, h, w).
    """

    network: nn.Module
    layer: Callable[[Any], nn.Module]
    layout: Layout | None = None


def cam_rows(size: Size) -> Iterator[Row]:
    """Yield a row for each method and network, and one for a transformer."""
    for network in size.networks:
        for name, method in _METHODS.items():
            opened = partial(_opened, size, partial(_convolutional, network), name, method)
            yield Row(f"{name} {network}", f"{method.stock} of pytorch-grad-cam", method.limit, opened)
    layers, channels = size.transformer
    opened = partial(_opened, size, partial(_transformer, size), "ablationcam", _OF_TOKENS)
    name = f"ablationcam, transformer of {layers} layers, {channels} channels"
    yield Row(name, f"{_OF_TOKENS.stock} of pytorch-grad-cam", _OF_TOKENS.limit, opened)


def _convolutional(name: str, device: torch.device) -> _Explained:
    return _Explained(random_network(name, device), lambda network: network.layer4[-1])


def _transformer(size: Size, device: torch.device) -> _Explained:
    layout = Layout((size.side // PATCH, size.side // PATCH), channels=1, before=1, maps=False)
    network = random_transformer(size.side, *size.transformer, device)
    return _Explained(network, lambda network: network.encoder.layers[-1].ln_1, layout)


@contextmanager
def _opened(
    size: Size,
    made: Callable[[torch.device], _Explained],
    method: str,
    about: _Method,
    device: torch.device,
) -> Iterator[Contest]:
    explained = made(device)
    network, find, layout = explained.network, explained.layer, explained.layout
    plain = copy.deepcopy(network)  # the library leaves its ablation layer in a network if it is cut off
    image = normalised(torch.from_numpy(scene_pixels(3, size.side).copy())[None].to(device), MEAN, DEVIATION)
    with torch.no_grad():
        target = int(network(image).argmax())
    bare = copy.deepcopy(network)
    unavoidable = partial(about.unavoidable, bare, find(bare), image, target) if about.limit else None

    def stock(name: str) -> StockMaps:
        tokens = None if layout is None else AblationLayerVit()
        return stock_maps(name, plain, find(plain), image, [target], layout, tokens)

    def ours(name: str) -> CamMaps:
        return explain_by_cam(network, find(network), image, [target], name, layout=layout)

    def warm_up() -> None:
        stock("GradCAM")
        ours("gradcam")

    yield Contest(
        stock=partial(stock, about.stock),
        ours=partial(ours, method),
        difference=_difference,
        tolerance=about.tolerance,
        limit=unavoidable,
        warm_up=warm_up,
    )


def _difference(stock: StockMaps, ours: CamMaps) -> float:
    return float(max(np.abs(stock.layer - ours.layer).max(), np.abs(stock.image - ours.image).max()))
