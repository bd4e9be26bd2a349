"""What the arithmetic depends on besides the code: library versions, device, precision flags."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

from xai_eval.result.result import Provenance
from xai_eval.version import __version__

if TYPE_CHECKING:
    import torch

    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.inputs.models.classifier import Classifier


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each library, with Python's own."""
    versions = {name: importlib.metadata.version(name) for name in names}
    return {
        "python": platform.python_version(),
        "xai-eval": __version__,
        **versions,
    }


def provenance(classifier: Classifier, image: LabelledImage, libraries: Iterable[str], seed: int) -> Provenance:
    """Return how an answer about one image is computed here."""
    return Provenance(
        digests={"weights": classifier.weights_digest, "image": image.digest},
        parameters={
            "preprocessing": classifier.preprocess.describe(),
            "classes": classifier.classes_from,
            "notes": list(image.notes),
        },
        versions=library_versions(libraries),
        device=device_name(classifier.device),
        precision=precision_flags(),
        seed=seed,
    )


def device_name(device: torch.device) -> str:
    """Return `cpu`, or the name of the GPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def precision_flags() -> dict[str, bool | str]:
    """Return torch's flags that change arithmetic on this kind of device."""
    import torch

    flags: dict[str, bool | str] = {
        "float32_matmul": torch.get_float32_matmul_precision(),
        "mkldnn": bool(torch.backends.mkldnn.enabled),
    }
    if torch.cuda.is_available():
        flags["cudnn_tf32"] = bool(torch.backends.cudnn.allow_tf32)
        flags["cudnn_deterministic"] = bool(torch.backends.cudnn.deterministic)
    return flags
