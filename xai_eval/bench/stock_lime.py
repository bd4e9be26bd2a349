"""lime called plainly, as its users call it: the reference that ours must equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray


def stock_lime(pixels: NDArray[np.uint8], predict: Callable[..., Any], *, seed: int = 0, **options: Any) -> Any:
    """Explain by a fresh explainer of the library; its progress bars are its own."""
    return LimeImageExplainer(random_state=seed).explain_instance(pixels, predict, **options)


def stock_weights(explanation: Any, label: int) -> NDArray[np.float64]:
    """Return the weights by number of the superpixel, (F,)."""
    weights = np.zeros(len(np.unique(explanation.segments)))
    for superpixel, weight in explanation.local_exp[label]:
        weights[superpixel] = weight
    return weights
