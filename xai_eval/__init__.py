"""Regression testing for explanations of vision models.

The names below are loaded on first use: importing the package imports no torch, because every pytest run of
a user who has the plugin installed pays for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xai_eval.version import __version__ as __version__

if TYPE_CHECKING:
    from xai_eval.gate.judge import judge
    from xai_eval.gate.verdict import Verdict
    from xai_eval.inputs.images.images import load_images
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.models.models import load_model
    from xai_eval.result.result import Case, Provenance, Result
    from xai_eval.result.stage import OwnKind, Stage, StageKind
    from xai_eval.run.evaluate import evaluate

_HOMES = {
    "Case": "xai_eval.result.result",
    "Classifier": "xai_eval.inputs.models.classifier",
    "OwnKind": "xai_eval.result.stage",
    "Provenance": "xai_eval.result.result",
    "Result": "xai_eval.result.result",
    "Stage": "xai_eval.result.stage",
    "StageKind": "xai_eval.result.stage",
    "Verdict": "xai_eval.gate.judge",
    "evaluate": "xai_eval.run.evaluate",
    "judge": "xai_eval.gate.judge",
    "load_images": "xai_eval.inputs.images.images",
    "load_model": "xai_eval.inputs.models.models",
}

__all__ = [
    "Case",
    "Classifier",
    "OwnKind",
    "Provenance",
    "Result",
    "Stage",
    "StageKind",
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
