"""Regression testing for explanations of vision models.

The names below are loaded on first use: importing the package imports no torch, because every pytest run of
a user who has the plugin installed pays for it. docs/api.md says what each is for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xai_eval.version import __version__ as __version__

if TYPE_CHECKING:
    from xai_eval.errors import (
        InputUnavailable,
        LibraryMisbehaves,
        MetricMisbehaves,
        ModelMisbehaves,
        StorageError,
        UsageError,
        XaiEvalError,
    )
    from xai_eval.gate.judge import judge
    from xai_eval.gate.verdict import Verdict
    from xai_eval.inputs.images.images import load_images
    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.models.models import load_model
    from xai_eval.inputs.models.preprocessing import Preprocessing
    from xai_eval.inputs.models.reading import OutputKind
    from xai_eval.inputs.probes.probe_set import ProbeSet
    from xai_eval.result.fields import (
        Curve,
        Difference,
        Document,
        Field,
        Gallery,
        Heatmap,
        HeatmapTolerance,
        InputImage,
        Label,
        Mask,
        Ranking,
        Score,
        SeedTolerance,
        Segments,
        Severity,
        Shift,
        SignedMap,
        SignedMapTolerance,
        Statement,
        Table,
        UnitLabels,
        Weights,
        register,
    )
    from xai_eval.result.fingerprint import Fingerprint, fingerprint_array, fingerprint_text
    from xai_eval.result.result import Case, Provenance, Result
    from xai_eval.result.stage import OwnKind, Stage, StageKind
    from xai_eval.run.evaluate import evaluate
    from xai_eval.tasks import Results, task
    from xai_eval.tasks.image.image_task import image_task
    from xai_eval.tasks.image.subject import Subject
    from xai_eval.tasks.parameters import Option

_HOMES = {
    "Case": "xai_eval.result.result",
    "Classifier": "xai_eval.inputs.models.classifier",
    "Curve": "xai_eval.result.fields",
    "Difference": "xai_eval.result.fields",
    "Document": "xai_eval.result.fields",
    "Field": "xai_eval.result.fields",
    "Fingerprint": "xai_eval.result.fingerprint",
    "Gallery": "xai_eval.result.fields",
    "Heatmap": "xai_eval.result.fields",
    "HeatmapTolerance": "xai_eval.result.fields",
    "ImageSet": "xai_eval.inputs.images.labelled",
    "InputImage": "xai_eval.result.fields",
    "InputUnavailable": "xai_eval.errors",
    "Label": "xai_eval.result.fields",
    "LabelledImage": "xai_eval.inputs.images.labelled",
    "Mask": "xai_eval.result.fields",
    "LibraryMisbehaves": "xai_eval.errors",
    "MetricMisbehaves": "xai_eval.errors",
    "ModelMisbehaves": "xai_eval.errors",
    "Option": "xai_eval.tasks.parameters",
    "OutputKind": "xai_eval.inputs.models.reading",
    "OwnKind": "xai_eval.result.stage",
    "Preprocessing": "xai_eval.inputs.models.preprocessing",
    "ProbeSet": "xai_eval.inputs.probes.probe_set",
    "Provenance": "xai_eval.result.result",
    "Ranking": "xai_eval.result.fields",
    "Result": "xai_eval.result.result",
    "Results": "xai_eval.tasks",
    "Score": "xai_eval.result.fields",
    "SeedTolerance": "xai_eval.result.fields",
    "Segments": "xai_eval.result.fields",
    "Severity": "xai_eval.result.fields",
    "Shift": "xai_eval.result.fields",
    "SignedMap": "xai_eval.result.fields",
    "SignedMapTolerance": "xai_eval.result.fields",
    "Stage": "xai_eval.result.stage",
    "StageKind": "xai_eval.result.stage",
    "Statement": "xai_eval.result.fields",
    "StorageError": "xai_eval.errors",
    "Subject": "xai_eval.tasks.image.subject",
    "Table": "xai_eval.result.fields",
    "UnitLabels": "xai_eval.result.fields",
    "UsageError": "xai_eval.errors",
    "Verdict": "xai_eval.gate.verdict",
    "Weights": "xai_eval.result.fields",
    "XaiEvalError": "xai_eval.errors",
    "evaluate": "xai_eval.run.evaluate",
    "fingerprint_array": "xai_eval.result.fingerprint",
    "fingerprint_text": "xai_eval.result.fingerprint",
    "image_task": "xai_eval.tasks.image.image_task",
    "judge": "xai_eval.gate.judge",
    "load_images": "xai_eval.inputs.images.images",
    "load_model": "xai_eval.inputs.models.models",
    "register": "xai_eval.result.fields",
    "task": "xai_eval.tasks",
}

__all__ = [
    "Case",
    "Classifier",
    "Curve",
    "Difference",
    "Document",
    "Field",
    "Fingerprint",
    "Gallery",
    "Heatmap",
    "HeatmapTolerance",
    "ImageSet",
    "InputImage",
    "InputUnavailable",
    "Label",
    "LabelledImage",
    "LibraryMisbehaves",
    "Mask",
    "MetricMisbehaves",
    "ModelMisbehaves",
    "Option",
    "OutputKind",
    "OwnKind",
    "Preprocessing",
    "ProbeSet",
    "Provenance",
    "Ranking",
    "Result",
    "Results",
    "Score",
    "SeedTolerance",
    "Segments",
    "Severity",
    "Shift",
    "SignedMap",
    "SignedMapTolerance",
    "Stage",
    "StageKind",
    "Statement",
    "StorageError",
    "Subject",
    "Table",
    "UnitLabels",
    "UsageError",
    "Verdict",
    "Weights",
    "XaiEvalError",
    "evaluate",
    "fingerprint_array",
    "fingerprint_text",
    "image_task",
    "judge",
    "load_images",
    "load_model",
    "register",
    "task",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'xai_eval' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
