"""CLIP models of open_clip, which embed images and texts as vectors that can be compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import nn

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.clip.published_clip import Tokenizer, load_published_clip
from xai_eval.inputs.downloads import bundled, bundled_entry
from xai_eval.inputs.models.bundled_models import read_safetensors
from xai_eval.inputs.models.devices import move
from xai_eval.inputs.models.later_checks import require
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_weights import load_weights, weights_digest

_BUNDLED = "scenes"
_KEY, _MERGES_KEY = "clip_scenes", "clip_scenes_merges"
_TEXTS_AT_ONCE = 256
_SHOWN = 20


@dataclass(frozen=True)
class ClipPreprocessing:
    """open_clip's own preprocessing for inference.

    Attributes:
        config: open_clip's configuration of it.
    """

    config: PreprocessCfg

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the input of the model for one image, float32 (3, H, W)."""
        tensor: torch.Tensor = self._transform(image)
        return tensor

    def describe(self) -> dict[str, Any]:
        """Return open_clip's configuration as JSON values."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self.config).items()}
        return {"kind": "open_clip", **values}

    @cached_property
    def _transform(self) -> Any:
        return image_transform_v2(self.config, is_train=False)


@dataclass(frozen=True, eq=False)
class Clip:
    """A CLIP model in evaluation mode.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.

    Attributes:
        name: its spec.
        module: open_clip's model.
        preprocess: turns an RGB image into the input (3, H, W) of the model.
        tokenizer: turns M texts into tokens, int64 (M, L); longer texts are cut off.
        weights_digest: SHA-256 over the weights.
        words: all words of the captions that it was trained on; empty if unknown.
    """

    name: str
    module: nn.Module
    preprocess: ClipPreprocessing
    tokenizer: Tokenizer
    weights_digest: str
    words: frozenset[str] = frozenset()

    def describe(self) -> dict[str, Any]:
        """Return how images are prepared, as JSON values."""
        return self.preprocess.describe()

    def embed_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed prepared images (N, 3, H, W), on any device.

        Returns:
            Embeddings of length 1, float32 (N, D), on the model's device, without gradients. Except for rounding, the
            embedding of an image does not depend on the others in the batch.

        Raises:
            ModelMisbehaves: the model raises (as it does for images of another size), or returns NaN or infinity.
        """
        encode: Any = self.module.encode_image
        with as_model_error(self.name, batch.shape), torch.no_grad():
            embedded = encode(batch.to(self.device, non_blocking=True), normalize=True)
        return self._finite(embedded)

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Embed M texts unchanged; no prompt such as "a photo of" is added.

        Returns:
            Embeddings of length 1, float32 (M, D), on the model's device, without gradients.

        Raises:
            ModelMisbehaves: the model raises, or returns NaN or infinity.
        """
        encode: Any = self.module.encode_text
        tokens = self.tokenizer(list(texts)).to(self.device)
        with as_model_error(self.name, tokens.shape), torch.no_grad():
            parts = [encode(part, normalize=True) for part in torch.split(tokens, _TEXTS_AT_ONCE)]
        return self._finite(torch.cat(parts))

    def notes_on(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return notes on texts that are too long for the model, and on texts with words that it was not trained on."""
        return (
            *_note(f"the CLIP model {self.name} reads only the beginning of", self._too_long(texts)),
            *_note(f"the CLIP model {self.name} was never taught all words of", self._unknown(texts)),
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.module.parameters()).device

    def _finite(self, embedded: torch.Tensor) -> torch.Tensor:
        require(torch.isfinite(embedded).all(), self._complain_not_finite)
        return embedded.float()

    def _complain_not_finite(self) -> None:
        raise ModelMisbehaves(f"the CLIP model {self.name} returned NaN or infinity. Check its weights.")

    def _too_long(self, texts: Sequence[str]) -> list[str]:
        tokens = self.tokenizer(list(texts))
        length = tokens.shape[1]
        # With room for one more token, a text that was cut gives other tokens, because its end mark moves.
        cut = (tokens != self.tokenizer(list(texts), length + 1)[:, :length]).any(dim=1)
        return [text for text, is_cut in zip(texts, cut.tolist(), strict=True) if is_cut]

    def _unknown(self, texts: Sequence[str]) -> list[str]:
        return [text for text in texts if self.words and not self.words.issuperset(text.lower().split())]


def load_clip(spec: str, *, device: str = "cpu") -> Clip:
    """Load the CLIP model that a spec names.

    Args:
        spec: "scenes" (bundled: a small model trained on captions of the procedural scenes, which knows only their
            words), or an architecture of open_clip with the tag of its weights, such as "ViT-B-16/openai".
        device: a PyTorch device such as "cpu" or "cuda:0"; "auto" is the GPU if there is one, else the CPU.

    Raises:
        UsageError: the spec is malformed, a name in it is unknown, or the device cannot be used.
        InputUnavailable: the weights cannot be downloaded or read, or do not fit the model.
    """
    if spec == _BUNDLED:
        clip = _bundled_clip()
    else:
        name, _, tag = spec.rpartition("/")
        if not name or not tag:
            raise UsageError(
                f"CLIP spec {spec!r}: expected {_BUNDLED!r}, or an architecture of open_clip and the tag of its "
                "weights, as in 'ViT-B-16/openai'."
            )
        clip = _clip(spec, *load_published_clip(name, tag))
    move(clip.module, device)
    return clip


def _bundled_clip() -> Clip:
    entry, path, merges = bundled_entry(_KEY), bundled(_KEY), bundled(_MERGES_KEY)
    module = open_clip.CLIP(**entry["model_cfg"])
    load_weights(module, read_safetensors(path), path)
    open_clip.set_model_preprocess_cfg(module, entry["preprocess_cfg"])
    context_length = entry["model_cfg"]["text_cfg"]["context_length"]
    tokenizer = open_clip.SimpleTokenizer(str(merges), context_length=context_length)
    return _clip(_BUNDLED, module, tokenizer, frozenset(entry["words"]))


def _clip(name: str, module: nn.Module, tokenizer: Tokenizer, words: frozenset[str] = frozenset()) -> Clip:
    config = PreprocessCfg(**open_clip.get_model_preprocess_cfg(module))
    module.eval()
    return Clip(name, module, ClipPreprocessing(config), tokenizer, weights_digest(module), words)


def _note(what: str, texts: Sequence[str]) -> tuple[str, ...]:
    if not texts:
        return ()
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return (f"{what} {', '.join(map(repr, texts[:_SHOWN]))}{more}",)
