"""Class activation maps: pytorch-grad-cam computes every one of them, this file only asks it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_grad_cam
import torch
from numpy.typing import NDArray
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.cam.differentiable import differentiable_output, no_gradient
from xai_eval.explainers.cam.fast.ablation import fast_ablation_cam
from xai_eval.explainers.cam.fast.scorecam import fast_score_cam
from xai_eval.explainers.cam.side_effects import seeded, without_progress_bars
from xai_eval.explainers.model.model_state import preserved

# Left out, because they have no map of one layer: FullGrad (all bias layers at once), SESS (maps of many patches
# at many scales), RefineCAM (a product over layers).
_CLASSES = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "gradcamelementwise": "GradCAMElementWise",
    "hirescam": "HiResCAM",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "finercam": "FinerCAM",
    "shapleycam": "ShapleyCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "segeigencam": "SegEigenCAM",
    "kpcacam": "KPCA_CAM",
    "fem": "FEM",
    "randomcam": "RandomCAM",
}
_FAST: dict[str, Callable[[nn.Module, nn.Module], AbstractContextManager[Any]]] = {
    "ablationcam": fast_ablation_cam,
    "scorecam": fast_score_cam,
}
# Older versions of the library lack some.
METHOD_NAMES = (*_FAST, *(name for name, stock in _CLASSES.items() if hasattr(pytorch_grad_cam, stock)))


@dataclass(frozen=True)
class CamMaps:
    """Maps of N images by one method.

    Attributes:
        raw: what the library's `get_cam_image` returns, before ReLU and scaling, (N, h, w) float32.
        layer: after ReLU, scaled to [0, 1] at the layer's resolution, (N, h, w) float32.
        image: the library's final maps in [0, 1] at the input's resolution, (N, H, W) float32.
    """

    raw: NDArray[np.float32]
    layer: NDArray[np.float32]
    image: NDArray[np.float32]


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names if they are methods, at least one and each once.

    Raises:
        UsageError: they are not; for an unknown name with the nearest ones.
    """
    listed = tuple(names) if isinstance(names, Iterable) else (names,)
    for name in listed:
        if name not in METHOD_NAMES:
            raise unknown_name("method", str(name), METHOD_NAMES)
    if not listed or len(set(listed)) < len(listed):
        raise UsageError(f"methods is {list(listed)}; expected at least one method, each once.")
    return listed


def explain_by_cam(
    module: nn.Module, layer: nn.Module, images: Tensor, classes: Sequence[int], method: str, *, seed: int = 0
) -> CamMaps:
    """Explain one class of each image by one method of pytorch-grad-cam.

    Images are explained one by one, so that a map depends neither on the batch nor on the place in it. Only
    AblationCAM gets all at once: it subtracts scores taken at two batch sizes, and their rounding is part of its
    answer.

    Args:
        module: the model; it leaves as it came, whatever is raised.
        layer: the explained layer, one of its submodules, with an output (N, C, h, w).
        images: prepared images, (N, 3, H, W), on the model's device.
        classes: index of the explained class of each image.
        method: one of `METHOD_NAMES`.
        seed: for the methods that draw random numbers; the same for each image.

    Raises:
        UsageError: an unknown method, a foreign layer, or not one class per image.
        ModelMisbehaves: the method needs gradients and none reaches the layer.
    """
    check_methods([method])
    _check_request(module, layer, images, classes)
    count = len(images)
    starts, size = ([0], count) if method == "ablationcam" else (range(count), 1)
    with torch.inference_mode(False), preserved(module), without_progress_bars():
        parts = []
        for start in starts:
            part = slice(start, start + size)
            with seeded(seed), _opened(method, module, layer) as cam:
                parts.append(_call(cam, images[part].detach().clone(), classes[part]))
    return CamMaps(*(np.concatenate(maps) for maps in zip(*parts, strict=True)))


def _check_request(module: nn.Module, layer: nn.Module, images: Tensor, classes: Sequence[int]) -> None:
    if layer is module or not any(part is layer for part in module.modules()):
        raise UsageError(
            f"the {type(layer).__name__} to explain is no submodule of the {type(module).__name__}. "
            "Pass one of model.named_modules(), not a copy and not the model itself."
        )
    if images.dim() != 4 or len(images) == 0 or len(images) != len(classes):
        raise UsageError(
            f"expected images (N, 3, H, W) with one class each, got {tuple(images.shape)} and "
            f"{len(classes)} classes. Pass at least one image, and as many classes as images."
        )


@contextmanager
def _opened(method: str, module: nn.Module, layer: nn.Module) -> Iterator[Any]:
    """Yield the library's object for one call.

    Not by its own `with`, which swallows any IndexError.
    """
    if method in _FAST:
        with _FAST[method](module, layer) as cam:
            yield cam
        return
    if method == "shapleycam":
        # It differentiates the gradient again, which needs parameters in the graph. It collects none in them.
        for parameter in module.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
    with differentiable_output(module, layer):
        yield getattr(pytorch_grad_cam, _CLASSES[method])(module, [layer])


def _call(cam: Any, images: Tensor, classes: Sequence[int]) -> tuple[NDArray[np.float32], ...]:
    """Return the raw, the layer's and the final maps of the library's one call."""
    core = getattr(cam, "base_cam", cam)  # FinerCAM wraps another method
    raw: list[NDArray[Any]] = []

    def recorded(*args: Any, **kwargs: Any) -> Any:
        if core.uses_gradients and not core.activations_and_grads.gradients:
            raise no_gradient()
        raw.append(type(core).get_cam_image(core, *args, **kwargs))
        return raw[-1]

    core.get_cam_image = recorded
    try:
        with torch.set_grad_enabled(core.uses_gradients):
            if cam is core:
                image = cam(images, [ClassifierOutputTarget(index) for index in classes])
            else:
                image = cam(images, target_idx=classes[0])
    finally:
        del core.get_cam_image
        _release(core.activations_and_grads)
    maps = raw[0], scale_cam_image(np.maximum(raw[0], 0)), image
    return tuple(np.asarray(each, dtype=np.float32) for each in maps)


def _release(recorder: Any) -> None:
    """Remove the library's hooks and let go of what they kept.

    Emptied first: `release` would detach the tensors in place, which fails for a view, and older versions leave them
    in a circle that holds the model.
    """
    recorder.activations.clear()
    recorder.gradients.clear()
    recorder.release()
