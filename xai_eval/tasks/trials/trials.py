"""Steps that follow from a model's weights, tried on a network, an image and data that never change.

After weights changed on record, whatever follows from them is expected to move, so that nobody could tell from it that
a library changed, too. What is tried here follows from no weights of the user. If it moved, a library or this package
computes the step otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.stage import Stage, StageKind

if TYPE_CHECKING:
    from xai_eval.explainers.attribution.method import Method

# Numbers in closed form: no library draws them, and no file holds them.
_SIDE, _CHANNELS, _CLASSES = 16, 6, 3


def cam_trials(methods: Iterable[str]) -> dict[Stage, Fingerprint]:
    """Try class activation methods, and how their maps are enlarged; each takes a few milliseconds."""
    from xai_eval.explainers.cam.cam_maps import explain_by_cam

    module = _network()
    found = {name: explain_by_cam(module, module[2], _image(), [1], name) for name in methods}
    maps = {_stage(f"the map of {name}"): fingerprint_array(each.raw) for name, each in found.items()}
    enlarged = [each.image for each in found.values()][:1]
    return maps | {_stage("the scaling of maps"): fingerprint_array(each) for each in enlarged}


def attribution_trials(methods: Iterable[Method]) -> dict[Stage, Fingerprint]:
    """Try methods of captum with few steps and samples; others may refuse the network, or are the user's."""
    import torch

    from xai_eval.explainers.attribution.methods import explain
    from xai_eval.explainers.attribution.question import Question, Settings

    question = Question(_network(), _image(), torch.zeros_like(_image()), 1, Settings(steps=8, samples=4, window=0.25))
    tried = [method for method in methods if not method.spec and not method.may_refuse]
    return {_stage(f"the map of {each.name}"): fingerprint_array(explain(each, question, 0)) for each in tried}


def lime_trials() -> dict[Stage, Fingerprint]:
    """Try how LIME hides superpixels, and how it fits its surrogates."""
    from xai_eval.explainers.lime.lime import LimeSettings, explain_by_lime
    from xai_eval.explainers.lime.perturbation import PerturbedImages

    images = PerturbedImages(_colours, 10)
    [found] = explain_by_lime(_pixels(), images, _Squares(), LimeSettings(40, 1, 100_000, 10), labels=[0])
    return {
        _stage("the prediction of perturbed images"): fingerprint_array(found.neighbourhood.probabilities),
        _stage("the fit of the surrogate"): fingerprint_array(found.surrogates[0].weights.astype(np.float32)),
    }


def _stage(step: str) -> Stage:
    return Stage(StageKind.TRIAL, step)


def _waves(*shape: int, step: float = 1.0) -> NDArray[np.float32]:
    """Return numbers in [-1, 1] of a shape."""
    return np.asarray(np.sin(step * (1.0 + np.arange(np.prod(shape)))).reshape(shape), dtype=np.float32)


def _network() -> Any:
    """Return a network of two convolutions in double precision, so that no setting of a processor rounds it."""
    import torch
    from torch import nn

    with torch.inference_mode(False), torch.device("cpu"), torch.random.fork_rng(devices=[]):
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, _CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(_CHANNELS, _CLASSES),
        )
        with torch.no_grad():
            for number, parameter in enumerate(module.parameters(), 1):
                parameter.copy_(torch.from_numpy(_waves(*parameter.shape, step=0.7 * number)))
        return module.double().eval()


def _image() -> Any:
    import torch

    return torch.from_numpy(_waves(1, 3, _SIDE, _SIDE, step=0.37)).double()


def _pixels() -> NDArray[np.uint8]:
    return np.asarray(np.rint(127.5 * (1.0 + _waves(_SIDE, _SIDE, 3, step=0.37))), dtype=np.uint8)


def _colours(views: Any) -> Any:
    """Return probabilities (N, 2) of views, uint8 (N, H, W, 3), that follow from the brightness of each place."""
    import torch

    where = torch.from_numpy(np.abs(_waves(_SIDE, _SIDE, 3, step=0.11)))
    bright = (views.float() * where).mean(dim=(1, 2, 3)) / 255.0
    return torch.stack([bright, 1.0 - bright], dim=1)


class _Squares:
    """Cuts an image into nine parts, without a library."""

    name = "squares"

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        rows, columns = np.minimum(np.indices(pixels.shape[:2]) // (_SIDE // 3), 2)
        return np.asarray(3 * rows + columns, dtype=np.int64)
