"""The methods of the task `attributions` by name, and how one of them is called."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xai_eval.errors import UsageError, unknown_name
from xai_eval.explainers.attribution.question import Question, Settings
from xai_eval.explainers.model.model_state import lent
from xai_eval.explainers.model.random_state import all_seeded
from xai_eval.metrics.localisation import half_cell


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: name of the method and of its map.
        attribute: computes an attribution (1, C, H, W) or a map (1, h, w) of a question.
        settings: names of the settings that it reads. They identify its results.
        complete: whether the attribution adds up to the score of the image less that of the baseline, but for rounding
            and sampling.
        may_refuse: whether only a call shows if it can explain a model.
        libraries: names of the distributions that compute it, besides torch.
    """

    name: str
    attribute: Callable[[Question], Tensor]
    settings: tuple[str, ...] = ()
    complete: bool = False
    may_refuse: bool = False
    libraries: tuple[str, ...] = ()

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares the image with a baseline."""
        return "baseline" in self.settings

    def margin(self, cells: tuple[int, int], shape: tuple[int, int], settings: Settings) -> tuple[int, int]:
        """Return the rows and columns by which the hottest pixel may miss a place: half of what one value stands for.

        Args:
            cells: shape of what the method gives, (h, w).
            shape: shape of the input, (H, W).
            settings: the settings of the run.
        """
        if "window" not in self.settings:
            return (0, 0) if cells == shape else half_cell(cells, shape)
        from xai_eval.explainers.attribution.captum_methods import window_side

        half = window_side(*shape, settings.window) // 2
        return half, half


# Names and settings are known without captum, so that a missing library is reported by name.
_CAPTUM = {
    "saliency": (),
    "input_x_gradient": (),
    "integrated_gradients": ("steps", "baseline", "batch_size"),
    "smoothgrad": ("samples", "noise", "batch_size"),
    "occlusion": ("window", "baseline", "batch_size"),
    "gradient_shap": ("samples", "baseline"),
}
_COMPLETE = ("integrated_gradients", "gradient_shap")
_OF_ATTENTION = ("attention_rollout", "generic_attention")
METHOD_NAMES = (*_CAPTUM, *_OF_ATTENTION)


def find_methods(names: Sequence[str]) -> tuple[Method, ...]:
    """Return the methods with these names.

    Raises:
        UsageError: a name is unknown (the error lists the nearest names) or occurs twice, there is no name, or a method
            needs captum and it is not installed.
    """
    if not names or len(set(names)) < len(names):
        raise UsageError(f"methods is {list(names)}; expected at least one method. Name each once.")
    return tuple(map(_find, names))


def _find(name: str) -> Method:
    if name not in METHOD_NAMES:
        raise unknown_name("method", name, METHOD_NAMES)
    if name in _OF_ATTENTION:
        from xai_eval.explainers.attribution import rollout

        return Method(name, getattr(rollout, name), may_refuse=True)
    if importlib.util.find_spec("captum") is None:
        raise UsageError(
            f"method {name!r} is computed by captum, which is not installed. Run: pip install 'xai-eval[captum]'."
        )
    from xai_eval.explainers.attribution import captum_methods

    compute = getattr(captum_methods, name)
    return Method(name, compute, _CAPTUM[name], complete=name in _COMPLETE, libraries=("captum",))


def explain(method: Method, question: Question, seed: int) -> NDArray[np.float32]:
    """Explain by one method, and return the attribution (C, H, W) or the map (h, w) that it gives.

    The method may change the model and its input: both are protected from it. The global random generators are seeded,
    and have their state back afterwards.
    """
    with torch.inference_mode(False), lent(question.module), all_seeded(seed), torch.enable_grad():
        batch = question.batch.detach().clone().requires_grad_(True)
        found = method.attribute(replace(question, batch=batch, baseline=question.baseline.detach().clone()))
    return np.asarray(found[0].detach().float().cpu().numpy())


def score(question: Question, batch: Tensor) -> float:
    """Return the score of the explained class for a batch of one input, (1, C, H, W)."""
    with torch.inference_mode(False), torch.no_grad():
        return float(question.module(batch.detach().clone())[0, question.target])


def signed_map(attribution: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return what `explain` gives as a map of the pixels, (H, W) = `shape`.

    The channels are summed up. A coarser map is enlarged bilinearly, as OpenCV does for class activation maps in
    pytorch-grad-cam: the centres of its cells keep their values.
    """
    summed = attribution.sum(axis=0) if attribution.ndim == 3 else attribution
    if summed.shape == shape:
        return summed
    found = torch.nn.functional.interpolate(torch.from_numpy(summed)[None, None], shape, mode="bilinear")
    return np.asarray(found[0, 0].numpy())
