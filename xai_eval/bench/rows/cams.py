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
from torch import Tensor, nn

from xai_eval.bench.contest import Contest
from xai_eval.bench.row import Row
from xai_eval.bench.scenes import DEVIATION, MEAN, random_network, scene_pixels
from xai_eval.bench.size import Size
from xai_eval.bench.stock_cams import StockMaps, stock_maps
from xai_eval.explainers.cam.cam_maps import CamMaps, explain_by_cam
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


def cam_rows(size: Size) -> Iterator[Row]:
    """Yield a row for each method and network."""
    for network in size.networks:
        for name, method in _METHODS.items():
            opened = partial(_opened, size, network, name, method)
            yield Row(f"{name} {network}", f"{method.stock} of pytorch-grad-cam", method.limit, opened)


@contextmanager
def _opened(size: Size, name: str, method: str, about: _Method, device: torch.device) -> Iterator[Contest]:
    network = random_network(name, device)
    plain = copy.deepcopy(network)  # the library leaves its ablation layer in a network if it is cut off
    image = normalised(torch.from_numpy(scene_pixels(3, size.side).copy())[None].to(device), MEAN, DEVIATION)
    with torch.no_grad():
        target = int(network(image).argmax())
    bare = copy.deepcopy(network)
    unavoidable = partial(about.unavoidable, bare, _last(bare), image, target) if about.limit else None

    def warm_up() -> None:
        stock_maps("GradCAM", plain, _last(plain), image, [target])
        explain_by_cam(network, _last(network), image, [target], "gradcam")

    yield Contest(
        stock=partial(stock_maps, about.stock, plain, _last(plain), image, [target]),
        ours=partial(explain_by_cam, network, _last(network), image, [target], method),
        difference=_difference,
        tolerance=about.tolerance,
        limit=unavoidable,
        warm_up=warm_up,
    )


def _last(network: Any) -> nn.Module:
    layer: nn.Module = network.layer4[-1]
    return layer


def _difference(stock: StockMaps, ours: CamMaps) -> float:
    return float(max(np.abs(stock.layer - ours.layer).max(), np.abs(stock.image - ours.image).max()))
