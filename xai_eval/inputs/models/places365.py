"""Load the ResNet18 that the authors of Places365 trained, with their 365 scene categories."""

from __future__ import annotations

from pathlib import Path

from torchvision.models import resnet18

from xai_eval.disk.door import read_text
from xai_eval.errors import InputUnavailable, unknown_name
from xai_eval.inputs.downloads import download_entries, obtain
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.model_weights import load_weights, read_checkpoint
from xai_eval.inputs.models.preprocessing import imagenet_preprocessing

_CLASSES = 365


def load_places365(name: str) -> Classifier:
    """Load the model with the spec `places365:resnet18` (Zhou et al., "Places", TPAMI 2017).

    Args:
        name: "resnet18".

    Raises:
        UsageError: another name is given.
        InputUnavailable: weights or categories cannot be downloaded, or are not in the expected form.
    """
    if name != "resnet18":
        raise unknown_name("places365 model", name, ["resnet18"])
    (weights,) = download_entries("places365:resnet18/weights")
    (categories,) = download_entries("places365:resnet18/categories")
    module = resnet18(weights=None, num_classes=_CLASSES)
    path = obtain(weights)
    load_weights(module, _state(path), path)
    return Classifier(
        name="places365:resnet18",
        module=module,
        # The authors' training script validates with the shorter side resized to 256 and a centre crop of 224.
        preprocess=imagenet_preprocessing(),
        class_names=_names(obtain(categories)),
        classes_from="categories_places365.txt of CSAILVision/places365",
    )


def _state(path: Path) -> dict[str, object]:
    state = read_checkpoint(path).get("state_dict")
    if not isinstance(state, dict):
        raise InputUnavailable(
            f"{path} has no dictionary under 'state_dict'; expected the authors' checkpoint. Get it again."
        )
    # The authors trained on several GPUs; DataParallel puts "module." before every name.
    return {name.removeprefix("module."): value for name, value in state.items()}


def _names(path: Path) -> tuple[str, ...]:
    """Read the categories from lines such as "/f/forest/broadleaf 150": its first letter, the category, its index."""
    lines = [line.split() for line in read_text(path, follow=True).splitlines()]
    if [line[1:] for line in lines] != [[str(index)] for index in range(_CLASSES)]:
        raise InputUnavailable(
            f"{path} does not list {_CLASSES} categories with their indices in order. Get the file again."
        )
    return tuple(line[0].split("/", maxsplit=2)[2] for line in lines)
