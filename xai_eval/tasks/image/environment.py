"""Records what a result depends on besides the code: library versions, device, precision flags."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

from xai_eval.result.class_list import CLASS_LIST, class_list
from xai_eval.result.precisions import AUTOCAST
from xai_eval.result.result import Provenance
from xai_eval.version import __version__

if TYPE_CHECKING:
    import torch

    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.inputs.models.classifier import Classifier


# Distributions whose modules have another name.
_MODULES = {
    "grad-cam": "pytorch_grad_cam",
    "open_clip_torch": "open_clip",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, of this package, and of each library, by the name of its distribution."""
    return {
        "python": platform.python_version(),
        "xai-eval": __version__,
        **{name: _version(name) for name in names},
    }


@functools.cache
def _version(name: str) -> str:
    """Return the installed version of a distribution; cached, because to read it takes milliseconds for each result.

    If no such distribution is installed, its module is asked. That happens in a source tree, and for libraries that are
    distributed under several names, such as OpenCV.
    """
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        module = importlib.import_module(_MODULES.get(name, name))
        return str(getattr(module, "__version__", "unknown"))


def provenance(classifier: Classifier, image: LabelledImage, libraries: Iterable[str], seed: int) -> Provenance:
    """Record how the result of one image is computed on this machine."""
    return Provenance(
        digests={"weights": classifier.weights_digest, "image": image.digest},
        parameters={
            "preprocessing": classifier.preprocess.describe(),
            "classes": classifier.classes_from,
            CLASS_LIST: class_list(classifier.class_names, classifier.class_ids),
            "notes": list(image.notes),
            **told_wrappers(classifier),
        },
        versions=library_versions(libraries),
        device=device_name(classifier.device),
        precision=precision_flags(classifier.device),
        seed=seed,
    )


def told_wrappers(classifier: Classifier, model: str = "") -> dict[str, list[str]]:
    """Return what was around a model when it was given, such as `DataParallel.module`; nothing if nothing was.

    `model` is its name if the result is about several models.
    """
    name = f"wrappers of {model}" if model else "wrappers"
    return {name: list(map(str, classifier.wrappers))} if classifier.wrappers else {}


def device_name(device: torch.device) -> str:
    """Return `cpu`, or the name of the GPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def precision_flags(device: torch.device) -> dict[str, bool | str]:
    """Return the flags of torch that change arithmetic on a device, and autocast if it is on now.

    A flag of GPUs is left out if the model is on a CPU: with a GPU beside it, the same is computed.
    """
    import torch

    from xai_eval.inputs.models.precision import autocast_in_use, convolutions_in_tf32

    flags: dict[str, bool | str] = {
        "float32_matmul": _matmul_precision(),
        "mkldnn": bool(torch.backends.mkldnn.enabled),
    }
    if device.type == "cuda":
        flags["cudnn_tf32"] = convolutions_in_tf32()
        flags["cudnn_deterministic"] = bool(torch.backends.cudnn.deterministic)
    dtype = autocast_in_use()
    return {**flags, AUTOCAST: dtype} if dtype else flags


def _matmul_precision() -> str:
    """Return the precision of products of matrices: of both kinds of devices, if they were set apart from each other.

    Since torch 2.9 they can be. The function for both then raises an error.
    """
    import torch

    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        cuda, cpu = (each.matmul.fp32_precision for each in (torch.backends.cuda, torch.backends.mkldnn))
        return f"{cuda} on a GPU, {cpu} on a CPU"
