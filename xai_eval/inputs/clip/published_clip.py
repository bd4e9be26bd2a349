"""CLIP models that others have published: open_clip's architectures with the weights behind its pretrained tags.

No weights are unpickled: safetensors are read as such, other checkpoints by PyTorch's reader of plain tensors, and
OpenAI's own files, which are TorchScript archives, only after their digest was checked.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlparse

import huggingface_hub
import open_clip
import torch
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from torch import nn

from xai_eval.errors import InputUnavailable, error_line, unknown_name
from xai_eval.inputs.downloads import Download, data_root, download_entries, downloads, obtain
from xai_eval.inputs.paths import given_path, readable

_OPENAI = "openai"
_ARCHIVE = ".pt"


class Tokenizer(Protocol):
    """What open_clip's tokenizers have in common."""

    def __call__(self, texts: list[str], context_length: int | None = None) -> torch.Tensor:
        """Return the tokens of M texts, int64 (M, L); what does not fit into L is cut off."""
        ...


def load_published_clip(name: str, tag: str) -> tuple[nn.Module, Tokenizer]:
    """Load an architecture of open_clip with its pretrained weights, and its tokenizer.

    The preprocessing of the weights is noted in the module, where open_clip keeps it.

    Raises:
        UsageError: open_clip knows no such model, or no such weights of it.
        InputUnavailable: the weights cannot be had, do not fit, or hold pickled objects.
    """
    published = _published(name, tag)
    path = _weights(name, tag, published)
    try:
        if tag == _OPENAI and path.suffix == _ARCHIVE:
            module = _from_archive(path, published)
        else:
            module = _from_tensors(name, path, published)
        tokenizer: Tokenizer = open_clip.get_tokenizer(name)
    # Of open_clip, of transformers where a model needs that for its text, and of what reads the file.
    except Exception as error:
        raise InputUnavailable(
            f"the CLIP model {name}/{tag} cannot be made from {path} ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}). The file is damaged or of another model, or the model needs a "
            f"package that is not installed: get the file again, or choose another model such as ViT-B-16/{_OPENAI}."
        ) from error
    return module, tokenizer


def _published(name: str, tag: str) -> dict[str, Any]:
    """What open_clip knows of a pretrained tag: where the weights are, and how images are prepared for them."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    if not tags:
        models = dict.fromkeys(model for model, _ in open_clip.list_pretrained())
        raise unknown_name("open_clip model", name, models)
    if tag not in tags:
        raise unknown_name("weights", tag, tags, hint=f"Model: {name}; expected MODEL/WEIGHTS.")
    published: dict[str, Any] = open_clip.get_pretrained_cfg(name, tag)
    return published


def _weights(name: str, tag: str, published: dict[str, Any]) -> Path:
    """The file of the weights: in the data root, else in the libraries' caches, else downloaded."""
    provided = data_root() / "clip" / f"{name}@{tag}.safetensors"
    with readable(provided):
        if provided.is_file():
            return provided
    if tag == _OPENAI:
        return _openai_weights(name, published)
    try:
        return Path(open_clip.download_pretrained(published))
    # huggingface_hub and the HTTP client below it raise exceptions of their own.
    except Exception as error:
        raise InputUnavailable(
            f"the weights of the CLIP model {name}/{tag} are not at {provided} and cannot be downloaded "
            f"({error_line(error)}). Connect to the network once, or copy the safetensors file of "
            f"{published['hf_hub'].rstrip('/')} there."
        ) from error


def _openai_weights(name: str, published: dict[str, Any]) -> Path:
    archive = _archive(name, published)
    with readable(data_root()):
        provided = (data_root() / archive.file).is_file()
    # On the hub the weights are published once more, without a digest known to all: a copy that is here serves, but
    # what is downloaded is the file that can be checked.
    in_hub_cache = _in_hub_cache(published["hf_hub"].rstrip("/"))
    if in_hub_cache and not provided:
        return in_hub_cache
    return obtain(archive, also=[given_path("~/.cache/clip") / PurePosixPath(archive.file).name])


def _in_hub_cache(repository: str) -> Path | None:
    for file in (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME):
        found = huggingface_hub.try_to_load_from_cache(repository, file)
        if isinstance(found, str):
            return Path(found)
    return None


def _archive(name: str, published: dict[str, Any]) -> Download:
    """The file that OpenAI published; the folder in its address is its digest."""
    known = f"clip:{name}@{_OPENAI}"
    if known in downloads():
        return download_entries(known)[0]
    place = PurePosixPath(urlparse(published["url"]).path)
    return Download(known, published["url"], f"clip/{place.name}", sha256=place.parent.name)


def _from_tensors(name: str, path: Path, published: dict[str, Any]) -> nn.Module:
    module: nn.Module = open_clip.create_model(
        name,
        pretrained=str(path),
        # The tag alone would not turn it on: OpenAI's weights would be run with an activation they were not made for.
        force_quick_gelu=published.get("quick_gelu", False),
        force_preprocess_cfg=published,
        weights_only=True,
    )
    return module


def _from_archive(path: Path, published: dict[str, Any]) -> nn.Module:
    """Build the model from TorchScript, which is not unpickled by Python; its digest is known to be right."""
    module: nn.Module = open_clip.load_openai_model(str(path), precision="fp32", device="cpu")
    visual: Any = module.visual
    preparation = {key: published[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    open_clip.set_model_preprocess_cfg(module, {**preparation, "size": visual.image_size})
    return module
