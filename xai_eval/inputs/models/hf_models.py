"""Load image classifiers of transformers, an optional dependency that is imported only if a spec names such a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from xai_eval.disk.files import read_json
from xai_eval.errors import InputUnavailable, StorageError, UsageError, error_line
from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.inputs.paths import given_path, readable

# This share of the labels must have the name of their ImageNet class among their synonyms. A few classes were renamed.
_IMAGENET_SHARE = 0.9
_MOST_LABELS = 1_000_000
_WITHOUT_CLASSIFIER = (
    "It was saved without a classifier: train one and save it, or choose a model for image classification. To explain "
    "its features themselves: --output embedding --similar-to IMAGE."
)
_WITHOUT_POOLING = (
    "Its features would be partly random. Choose a model that was saved with all of them, or return one row of "
    "features from a factory (file:PATH.py:FACTORY)."
)


def load_hf(rest: str, output: OutputKind | None = None) -> Classifier:
    """Load the model with the spec `hf:NAME`, `hf:NAME@REVISION` or `hf:FOLDER`, with its own image processor.

    Weights are read from safetensors only, and code that comes with a model is never run. The model computes in single
    precision.

    Args:
        rest: the spec after "hf:": the name of a model on the hub, or a folder that `save_pretrained` wrote.
        output: `OutputKind.EMBEDDING` to load the model without a classifier, as transformers' AutoModel does.

    Raises:
        UsageError: transformers is not installed.
        InputUnavailable: the model, its processor or its weights cannot be downloaded or read, or the weights have no
            classifier.
    """
    try:
        import transformers
    except ImportError as error:
        raise UsageError(
            f"model spec 'hf:{rest}' needs transformers, which is not installed. Run: pip install 'xai-eval[hf]'."
        ) from error
    place, name, revision = _place(rest)
    encodes = output is OutputKind.EMBEDDING
    module = _module(transformers, place, name, revision, encodes)
    if encodes:
        preprocess = _read(transformers.AutoImageProcessor, place, name, revision, "image processor")
        return Classifier(name, module.float(), preprocess, output=output)
    names = tuple(str(label) for _, label in sorted(module.config.id2label.items()))
    return Classifier(
        name=name,
        module=module.float(),
        preprocess=_read(transformers.AutoImageProcessor, place, name, revision, "image processor"),
        class_names=names,
        class_ids=_wordnet_ids(names),
        classes_from="id2label of the model's configuration",
    )


def _place(rest: str) -> tuple[str, str, str | None]:
    """Return the folder or the name on the hub, the spec without paths of this machine, and the revision."""
    folder = given_path(rest)
    with readable(folder):
        if folder.is_dir():
            _require_few_labels(folder)
            return str(folder), f"hf:{folder.resolve().name}", None
    place, _, revision = rest.partition("@")
    if place.startswith((".", "~")) or Path(place).is_absolute():
        raise InputUnavailable(
            f"hf:{rest}: the folder {folder} does not exist; expected one that save_pretrained wrote. Check the path."
        )
    return place, f"hf:{rest}", revision or None


def _require_few_labels(folder: Path) -> None:
    """Check a number for which transformers makes that many names, which takes 10 GB for a thousand millions of them.

    Raises:
        InputUnavailable: it is too large. What else is wrong with the file, transformers says.
    """
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError, StorageError):
        return
    labels = config.get("num_labels") if isinstance(config, Mapping) else None
    if isinstance(labels, int) and labels > _MOST_LABELS:
        raise InputUnavailable(
            f"{folder / 'config.json'} has num_labels {labels:,}; expected at most {_MOST_LABELS:,}. Correct it, or "
            "get the folder again."
        )


def _module(transformers: Any, place: str, name: str, revision: str | None, encodes: bool) -> Any:
    loader = transformers.AutoModel if encodes else transformers.AutoModelForImageClassification
    module, told = _read(loader, place, name, revision, "model", use_safetensors=True, output_loading_info=True)
    absent = sorted({*told["missing_keys"], *(entry[0] for entry in told["mismatched_keys"])})
    if absent:
        raise InputUnavailable(
            f"{name} has no trained values for {len(absent)} of its weights (first {absent[0]}), which transformers "
            f"fills at random. {_WITHOUT_POOLING if encodes else _WITHOUT_CLASSIFIER}"
        )
    assert isinstance(module, nn.Module)
    return module


def _read(loader: Any, place: str, name: str, revision: str | None, what: str, **options: Any) -> Any:
    try:
        return loader.from_pretrained(place, revision=revision or "main", trust_remote_code=False, **options)
    # transformers, huggingface_hub, safetensors and the HTTP client below them raise exceptions of their own.
    except Exception as error:
        raise InputUnavailable(
            f"the {what} of {name} cannot be loaded ({error_line(error)}). {_advice(error)}"
        ) from error


def _advice(error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return "It needs code that comes with it, which is never run here. Load it in a file (file:PATH.py:FACTORY)."
    return (
        "Check the name. Connect to the network once, put the model into the cache of huggingface_hub, or name a "
        "folder with config.json, preprocessor_config.json and model.safetensors, as save_pretrained of the model and "
        "of its image processor write them. Weights in pickle files are not read."
    )


def _wordnet_ids(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the WordNet ids if the labels are the classes of ImageNet-1k in their usual order, else None."""
    table = imagenet_classes()
    if len(names) != len(table):
        return None
    synonyms = [{word.strip().casefold() for word in name.replace("_", " ").split(",")} for name in names]
    same = sum(entry.name.casefold() in words for entry, words in zip(table, synonyms, strict=True))
    return tuple(entry.wnid for entry in table) if same >= _IMAGENET_SHARE * len(table) else None
