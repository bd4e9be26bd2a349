"""pytorch-grad-cam called plainly, as its own documentation does: the reference for every fast path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_grad_cam
from numpy.typing import NDArray
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn


@dataclass(frozen=True)
class StockMaps:
    """Maps of N images as the library gives them.

    Attributes:
        raw: what `get_cam_image` returns, (N, h, w).
        layer: the same after ReLU, each map scaled to [0, 1], (N, h, w).
        image: the final maps, (N, H, W).
    """

    raw: NDArray[Any]
    layer: NDArray[np.float32]
    image: NDArray[np.float32]


def stock_maps(
    name: str,
    module: nn.Module,
    layer: nn.Module,
    images: Tensor,
    classes: Sequence[int],
    reshape_transform: Callable[[Tensor], Tensor] | None = None,
    ablation_layer: pytorch_grad_cam.AblationLayer | None = None,
) -> StockMaps:
    """Run one class of pytorch-grad-cam, by the class's own name."""
    # The library shares one default ablation layer between all objects.
    own = {"ablation_layer": ablation_layer or pytorch_grad_cam.AblationLayer()} if name == "AblationCAM" else {}
    cam = getattr(pytorch_grad_cam, name)(module, [layer], reshape_transform=reshape_transform, **own)
    raw: list[NDArray[Any]] = []
    compute = cam.get_cam_image

    def recorded(*given: Any) -> NDArray[Any]:
        raw.append(compute(*given))
        return raw[-1]

    cam.get_cam_image = recorded
    try:
        image = cam(images, [ClassifierOutputTarget(index) for index in classes])
    finally:
        cam.activations_and_grads.release()
    return StockMaps(raw[0], scale_cam_image(np.maximum(raw[0], 0)), image)
