"""Regression testing for explanations of vision models.

The names below are loaded on first use: importing the package imports no torch, because every pytest run of
a user who has the plugin installed pays for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xai_eval.drift import Verdict, judge
    from xai_eval.inputs.classifier import Classifier
    from xai_eval.inputs.images import load_images
    from xai_eval.inputs.models import load_model
    from xai_eval.result import Case, Provenance, Result
    from xai_eval.run import evaluate

__version__ = "0.1.0"

_HOMES = {
    "Case": "xai_eval.result",
    "Classifier": "xai_eval.inputs.classifier",
    "Provenance": "xai_eval.result",
    "Result": "xai_eval.result",
    "Verdict": "xai_eval.drift",
    "evaluate": "xai_eval.run",
    "judge": "xai_eval.drift",
    "load_images": "xai_eval.inputs.images",
    "load_model": "xai_eval.inputs.models",
}

__all__ = [
    "Case",
    "Classifier",
    "Provenance",
    "Result",
    "Verdict",
    "evaluate",
    "judge",
    "load_images",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'xai_eval' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
