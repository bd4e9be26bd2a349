"""Class activation maps by pytorch-grad-cam. The library computes every map; this module only calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytorch_grad_cam
import torch
from numpy.typing import NDArray
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.cam.amplification import amplification
from xai_eval.explainers.cam.differentiable import NoGradient, differentiable_output
from xai_eval.explainers.cam.fast.ablation import fast_ablation_cam
from xai_eval.explainers.cam.fast.scorecam import fast_score_cam
from xai_eval.explainers.cam.side_effects import seeded, without_progress_bars
from xai_eval.explainers.cam.tensor_alone import tensor_alone
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.model_state import preserved
from xai_eval.inputs.models.one_by_one import takes_one_image
from xai_eval.inputs.models.precision import asked_precision, check_not_lost

# Three methods of the library are left out, because they do not explain a single layer: FullGrad (it uses all bias
# layers at once), SESS (it combines maps of many patches at many scales), RefineCAM (it multiplies maps of layers).
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
_FAST: dict[str, Callable[[nn.Module, nn.Module, Layout | None], AbstractContextManager[Any]]] = {
    "ablationcam": fast_ablation_cam,
    "scorecam": fast_score_cam,
}
_WITHOUT_GRADIENTS = (*_FAST, "eigencam", "kpcacam", "fem")
# Methods that compute a map from activations and gradients alone, so that their amplification can be measured.
_OF_ONE_PASS = frozenset(
    ("gradcam", "gradcam++", "gradcamelementwise", "hirescam", "xgradcam", "layercam", "eigencam", "eigengradcam")
)
# Older versions of the library lack some of the methods.
METHOD_NAMES = (*_FAST, *(name for name, stock in _CLASSES.items() if hasattr(pytorch_grad_cam, stock)))


@dataclass(frozen=True)
class CamMaps:
    """Maps of N images by one method.

    Attributes:
        raw: what the library's `get_cam_image` returns, before ReLU and scaling, at the resolution of the layer's
            output, (N, h, w) float32.
        layer: the same after ReLU, each map scaled to [0, 1], (N, h, w) float32.
        image: the library's final maps in [0, 1] at the resolution of the input, (N, H, W) float32.
        amplification: how many times as much as activations and gradients the raw map changes (the largest of the N
            images), at least 1; 1 for methods that compute it in another way.
    """

    raw: NDArray[np.float32]
    layer: NDArray[np.float32]
    image: NDArray[np.float32]
    amplification: float = 1.0


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple if each is a method and none occurs twice.

    Raises:
        UsageError: a name is unknown (the error lists the nearest names), occurs twice, or there is no name.
    """
    listed = tuple(names) if isinstance(names, Iterable) else (names,)
    for name in listed:
        if name not in METHOD_NAMES:
            raise unknown_name("method", str(name), METHOD_NAMES)
    if not listed or len(set(listed)) < len(listed):
        raise UsageError(f"methods is {list(listed)}; expected at least one method. Name each once.")
    return listed


def needs_gradients(method: str) -> bool:
    """Whether a method needs gradients at the layer."""
    return method not in _WITHOUT_GRADIENTS


def explain_by_cam(
    module: nn.Module,
    layer: nn.Module,
    images: Tensor,
    classes: Sequence[int],
    method: str,
    *,
    seed: int = 0,
    layout: Layout | None = None,
) -> CamMaps:
    """Explain one class of each image by one method of pytorch-grad-cam.

    Images are explained one by one, so that a map does not depend on the other images of a batch. AblationCAM gets all
    images at once, because it subtracts scores that the library computes in batches of two different sizes; their
    rounding is part of the library's answer.

    Args:
        module: the model. It is restored afterwards, also after an exception.
        layer: the layer to explain: a submodule with an output (N, C, h, w).
        images: prepared images, (N, 3, H, W), on the model's device.
        classes: index of the class to explain, for each of the N images.
        method: one of `METHOD_NAMES`.
        layout: lays the output of the layer over the image (`reshape_transform` of the library); None for a map
            (N, C, h, w).
        seed: for methods that draw random numbers. Every image gets the same seed.

    Returns:
        The maps of all images, on the CPU.

    Raises:
        UsageError: the method is unknown, the layer is not a submodule of the model, or the number of classes differs
            from the number of images.
        ModelMisbehaves: the method needs gradients, and no gradient reaches the layer, or half precision left nothing.

    Source:
        pytorch-grad-cam (Gildenblat and contributors), whose README names the paper of each method.
    """
    check_methods([method])
    _check_request(module, layer, images, classes)
    count, plain = len(images), layout is None or layout.is_ready
    starts, size = ([0], count) if method == "ablationcam" and not takes_one_image(module) else (range(count), 1)
    with torch.inference_mode(False), preserved(module), without_progress_bars():
        parts, amplified = [], [1.0]
        for start in starts:
            part = slice(start, start + size)
            measured = amplified if method in _OF_ONE_PASS else []
            opened = partial(_opened, method, module, layer, None if plain else layout)
            parts.append(_called(opened, images[part], classes[part], measured, seed))
    raw, of_layer, image = (np.concatenate(maps) for maps in zip(*parts, strict=True))
    for each in raw:
        check_not_lost(each, method, asked_precision())
    return CamMaps(raw, of_layer, image, max(amplified))


def _check_request(module: nn.Module, layer: nn.Module, images: Tensor, classes: Sequence[int]) -> None:
    if layer is module or not any(part is layer for part in module.modules()):
        raise UsageError(
            f"the layer to explain, a {type(layer).__name__}, is not a submodule of the {type(module).__name__}. "
            "Pass one of model.named_modules(), not a copy and not the model itself."
        )
    if images.dim() != 4 or len(images) == 0 or len(images) != len(classes):
        raise UsageError(
            f"expected images (N, 3, H, W) with one class each, got {tuple(images.shape)} and "
            f"{len(classes)} classes. Pass at least one image, and as many classes as images."
        )


@contextmanager
def _opened(method: str, module: nn.Module, layer: nn.Module, layout: Layout | None) -> Iterator[Any]:
    """Yield the library's object for one call; `layout` is its `reshape_transform`.

    The object's own `with` statement is not used, because it hides every IndexError.
    """
    with tensor_alone(layer, layout) as wrap_again:
        if method in _FAST:
            with _FAST[method](module, layer, layout) as cam:
                wrap_again()
                yield cam
            return
        if method == "shapleycam":
            # ShapleyCAM differentiates the gradient once more, so parameters have to be part of the graph. It does not
            # store gradients in them.
            for parameter in module.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
        with differentiable_output(module, layer):
            cam = getattr(pytorch_grad_cam, _CLASSES[method])(module, [layer], reshape_transform=layout)
            wrap_again()
            yield cam


def _called(
    opened: Callable[[], AbstractContextManager[Any]],
    images: Tensor,
    classes: Sequence[int],
    amplified: list[float],
    seed: int,
) -> tuple[NDArray[np.float32], ...]:
    """Call the library as `_call` does; if no gradient reaches the layer, ask for that of the images as well.

    A model may compute gradients only if its input asks for them (`set_grad_enabled(images.requires_grad)`).
    """
    try:
        with seeded(seed), opened() as cam:
            return _call(cam, images.detach().clone(), classes, amplified)
    except NoGradient:
        with seeded(seed), opened() as cam:
            return _call(cam, images.detach().clone().requires_grad_(), classes, amplified)


def _call(cam: Any, images: Tensor, classes: Sequence[int], amplified: list[float]) -> tuple[NDArray[np.float32], ...]:
    """Call the library once; return the raw maps, the maps of the layer, and the final maps, as in `CamMaps`.

    The amplification is appended to `amplified` if that is not empty.
    """
    core = getattr(cam, "base_cam", cam)  # FinerCAM is a wrapper around another method
    raw: list[NDArray[Any]] = []

    def recorded(*args: Any, **kwargs: Any) -> Any:
        if core.uses_gradients and not core.activations_and_grads.gradients:
            raise NoGradient()
        raw.append(type(core).get_cam_image(core, *args, **kwargs))
        if amplified:
            amplified.append(_amplification(core, args, kwargs))
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


def _amplification(core: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    """Return the amplification of the map that the library computes from these arguments."""
    inputs, activations, gradients, rest = args[:3], args[3], args[4], args[5:]

    def raw_map(moved: NDArray[Any], moved_gradients: NDArray[Any] | None) -> NDArray[Any]:
        found = type(core).get_cam_image(core, *inputs, moved, moved_gradients, *rest, **kwargs)
        return np.asarray(found)

    return amplification(raw_map, activations, gradients)


def _release(recorder: Any) -> None:
    """Remove the library's hooks and free the tensors that they stored.

    The lists are emptied before `release` is called: `release` detaches the tensors in place, which fails for views,
    and in older versions of the library the stored tensors are part of a reference cycle that keeps the model alive.
    """
    recorder.activations.clear()
    recorder.gradients.clear()
    recorder.release()
