"""Load the small models that come with the package and were trained on its procedural scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from xai_eval.disk.door import opened
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import InputUnavailable, unknown_name
from xai_eval.inputs.downloads import bundled, bundled_entry, manifest
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.model_weights import load_weights
from xai_eval.inputs.models.narrow_resnet import narrow_resnet18
from xai_eval.inputs.models.narrow_transformers import PooledVisionTransformer, narrow_swin, narrow_vit
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.scenes import SIZE

_PREFIX = "scenes_"
_FIRST_ARCHITECTURE = "narrow_resnet18"  # of entries of the manifest that name none

# Each builds an untrained network from the number of classes and the width that the manifest states.
ARCHITECTURES: Mapping[str, Callable[[int, int], nn.Module]] = {
    _FIRST_ARCHITECTURE: narrow_resnet18,
    "narrow_vit": narrow_vit,
    "pooled_vit": PooledVisionTransformer,
    "narrow_swin": narrow_swin,
}


def load_scenes_model(name: str) -> Classifier:
    """Load the bundled model with the spec `scenes:NAME`.

    Raises:
        UsageError: no bundled model has this name.
        InputUnavailable: its weights are missing, damaged, or of another architecture.
    """
    known = [key.removeprefix(_PREFIX) for key in manifest()["bundled"] if key.startswith(_PREFIX)]
    if name not in known:
        raise unknown_name("bundled model", f"scenes:{name}", [f"scenes:{other}" for other in known])
    entry, path = bundled_entry(_PREFIX + name), bundled(_PREFIX + name)
    build = ARCHITECTURES[entry.get("architecture", _FIRST_ARCHITECTURE)]
    module = build(len(entry["classes"]), entry["width"])
    load_weights(module, read_safetensors(path), path)
    return Classifier(
        name=f"scenes:{name}",
        module=module,
        preprocess=fixed_size_preprocessing(SIZE, tuple(entry["mean"]), tuple(entry["std"])),
        class_names=tuple(entry["classes"]),
        classes_from="the manifest of bundled inputs",
    )


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a safetensors file, by name, on the CPU.

    Raises:
        InputUnavailable: the file is truncated or not a safetensors file.
    """
    try:
        with opened(path, follow=True):
            pass  # the library itself would open any kind of file, and calls one missing if it cannot open any more
        tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(path)
    except OSError as error:
        found = refusal(error, "get it again")
        raise InputUnavailable(f"{path} cannot be read ({found.reason}). {found.sentence}") from error
    except safetensors.SafetensorError as error:
        raise InputUnavailable(
            f"{path} cannot be read as safetensors ({error}). It is truncated or another kind of file: get it again."
        ) from error
    return tensors
