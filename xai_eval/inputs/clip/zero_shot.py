"""CLIP as a classifier without training: the class of an image is the word whose prompts are nearest to it.

Its image encoder alone tells how like an image is to a word, or to another image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import open_clip
import torch
from torch import nn

from xai_eval.disk.door import read_text
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.clip.clip import Clip, load_clip
from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.derived.derived_preprocessing import as_preprocessing
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.inputs.models.references import text_references
from xai_eval.inputs.paths import given_path, readable
from xai_eval.inputs.probes.concept_sets import load_concepts
from xai_eval.scenes import OBJECTS

_FORM = "open_clip:ARCHITECTURE/WEIGHTS:WORDS or open_clip:ARCHITECTURE/WEIGHTS:WORDS:TEMPLATES"
_BUNDLED = "scenes"
_LEAST = 2

Template = str | Callable[[str], str]


@dataclass(frozen=True)
class Words:
    """The words that are the classes.

    Attributes:
        name: name of the list, or the words themselves as given, without paths of this machine.
        words: at least two, all different.
        wordnet_ids: WordNet ids of the words, if known.
        notes: what was left out of a file of words.
    """

    name: str
    words: tuple[str, ...]
    wordnet_ids: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Templates:
    """The prompts that a word is put into.

    Attributes:
        name: name of the list, or of the file.
        templates: texts with `{}` for the word, or functions of the word.
    """

    name: str
    templates: tuple[Template, ...]


class ZeroShot(nn.Module):
    """The logits of CLIP for words: the cosine between image and word, times the scale that CLIP was trained with.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, as in
    open_clip's zero-shot evaluation.
    """

    words: torch.Tensor

    def __init__(self, clip: nn.Module, words: torch.Tensor) -> None:
        """Keep a CLIP model and the embeddings of the words (D, K), of length 1."""
        super().__init__()
        self.clip = clip
        self.register_buffer("words", words)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, K) of prepared images (N, 3, H, W)."""
        embedded: torch.Tensor = self.clip.encode_image(batch, normalize=True)  # type: ignore[operator]
        logits = self.clip.logit_scale.exp() * embedded @ self.words  # type: ignore[operator]
        bias = getattr(self.clip, "logit_bias", None)
        return logits if bias is None else logits + bias


class ImageEncoder(nn.Module):
    """The features that CLIP has for images, of any length."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the features (N, D) of prepared images (N, 3, H, W)."""
        features: torch.Tensor = self.clip.encode_image(batch)  # type: ignore[operator]
        return features


def load_zero_shot(rest: str) -> Classifier:
    """Load the model with the spec `open_clip:ARCHITECTURE/WEIGHTS:WORDS` or `open_clip:scenes:WORDS`.

    Args:
        rest: the spec after "open_clip:". WORDS is a list such as `cat,dog,car`, a text file with one word per line,
            `imagenet` (open_clip's names of the 1,000 classes), `scenes` (all that a bundled scene can show) or
            `objects` (its twelve objects). It may be followed by `:TEMPLATES`: `bare` (the word alone), `simple` or
            `openai` (open_clip's 7 and 80 prompts), or a text file with one prompt per line, in which `{}` stands for
            the word. The default is `simple`, and `bare` for the bundled model, which was trained on bare words.

    Raises:
        UsageError: the spec is malformed, or a name in it is unknown.
        InputUnavailable: the weights or a file cannot be downloaded or read.
    """
    model, words_spec, templates_spec = _parts(rest)
    words, templates = load_words(words_spec), _templates(model, templates_spec)
    clip = load_clip(model)
    embedded = _embedded(clip, words, templates)
    return Classifier(
        name=f"open_clip:{model}:{words.name}:{templates.name}",
        module=ZeroShot(clip.module, embedded),
        preprocess=as_preprocessing(clip.preprocess),
        class_names=words.words,
        class_ids=words.wordnet_ids,
        classes_from=_told(clip, words, templates),
    )


def load_image_encoder(rest: str) -> Classifier:
    """Load the image encoder of the spec `open_clip:ARCHITECTURE/WEIGHTS` or `open_clip:ARCHITECTURE/WEIGHTS:WORDS`.

    Args:
        rest: the spec after "open_clip:", see `load_zero_shot`. WORDS are the references, of which one is enough; the
            score of a word is the cosine between the image and the word. Without words, the references are images, see
            `Classifier.similar_to`.

    Raises:
        UsageError: the spec is malformed, or a name in it is unknown.
        InputUnavailable: the weights or a file cannot be downloaded or read.
    """
    bare = len(_joined_drives(rest.split(":"))) == 1
    model, words_spec, templates_spec = (rest, "", "") if bare else _parts(rest)
    words, templates = None if bare else load_words(words_spec, least=1), _templates(model, templates_spec)
    clip = load_clip(model)
    encoder = Classifier(
        name=":".join(["open_clip", model, *([] if words is None else [words.name, templates.name])]),
        module=ImageEncoder(clip.module),
        preprocess=as_preprocessing(clip.preprocess),
        output=OutputKind.EMBEDDING,
    )
    if words is None:
        return encoder
    found = encoder.with_references(text_references(words.words, _embedded(clip, words, templates).T))
    return dataclasses.replace(found, classes_from=_told(clip, words, templates))


def _templates(model: str, spec: str) -> Templates:
    return load_templates(spec or ("bare" if model == _BUNDLED else "simple"))


def _embedded(clip: Clip, words: Words, templates: Templates) -> torch.Tensor:
    """Return the embeddings of the words, (D, K), each the mean over the prompts."""
    with torch.no_grad():
        found: torch.Tensor = open_clip.build_zero_shot_classifier(
            clip.module, clip.tokenizer, words.words, templates.templates
        )
    return found


def load_words(spec: str, least: int = _LEAST) -> Words:
    """Load the words that are the classes, see `load_zero_shot`.

    Args:
        spec: a list, a file, or a name.
        least: how many words there must be. If one is enough, a spec that is no file and no name is that word.

    Raises:
        UsageError: there are fewer than `least` words, or one is empty or listed twice.
        InputUnavailable: the file of words cannot be read.
    """
    if spec == "imagenet":
        return Words(spec, tuple(open_clip.IMAGENET_CLASSNAMES), tuple(entry.wnid for entry in imagenet_classes()))
    if spec == "objects":
        return Words(spec, tuple(OBJECTS))
    if ("," in spec or (least == 1 and _is_word(spec))) and not given_path(spec).exists():
        return Words(spec, _listed(spec, least))
    concepts = load_concepts(spec)
    return Words(concepts.name, concepts.concepts, notes=concepts.notes)


def load_templates(spec: str) -> Templates:
    """Load the prompts that a word is put into, see `load_zero_shot`.

    Raises:
        InputUnavailable: the file does not exist, or has a line without `{}`.
    """
    named: dict[str, tuple[Template, ...]] = {
        "bare": ("{}",),
        "simple": tuple(open_clip.SIMPLE_IMAGENET_TEMPLATES),
        "openai": tuple(open_clip.OPENAI_IMAGENET_TEMPLATES),
    }
    if spec in named:
        return Templates(spec, named[spec])
    path = given_path(spec)
    with readable(path):
        if not path.is_file():
            raise InputUnavailable(
                f"the templates {spec!r} are not {', '.join(named)}, and no file of this name exists. Expected a text "
                "file with one prompt per line, such as 'a photo of a {}'."
            )
        content = read_text(path, follow=True, encoding="utf-8-sig")
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    wrong = next((line for line in lines if not _is_template(line)), None)
    if wrong is not None or not lines:
        raise InputUnavailable(
            f"{path} has {'no line' if wrong is None else f'the line {wrong!r}'}; expected one prompt per line, with "
            "one {} in it, which stands for the word."
        )
    return Templates(path.name, tuple(lines))


def _is_word(spec: str) -> bool:
    return spec != _BUNDLED and not spec.endswith(".txt") and not set(spec) & {"/", "\\"}


def _is_template(line: str) -> bool:
    return line.count("{}") == 1 and not set("{}") & set(line.replace("{}", ""))


def _parts(rest: str) -> tuple[str, str, str]:
    parts = _joined_drives(rest.split(":"))
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(
            f"model spec 'open_clip:{rest}' is malformed; expected {_FORM}, such as "
            "open_clip:ViT-B-16/openai:cat,dog,car. WORDS are the classes: a list, a text file with one word per line, "
            "or imagenet."
        )
    return parts[0], parts[1], "".join(parts[2:])


def _joined_drives(parts: Sequence[str]) -> list[str]:
    """Join a drive letter of Windows with the path behind it."""
    joined: list[str] = []
    for part in parts:
        if joined and len(joined[-1]) == 1 and part.startswith(("\\", "/")):
            joined[-1] += f":{part}"
        else:
            joined.append(part)
    return joined


def _listed(spec: str, least: int) -> tuple[str, ...]:
    words = tuple(word.strip() for word in spec.split(","))
    if len(words) < least or not all(words) or len({word.casefold() for word in words}) < len(words):
        raise UsageError(
            f"the words {spec!r} have an empty entry, or one that is listed twice; expected different words with "
            "commas between them, such as cat,dog,car."
        )
    return words


def _told(clip: Clip, words: Words, templates: Templates) -> str:
    prompts = "prompt" if len(templates.templates) == 1 else "prompts"
    told = f"{len(words.words)} words ({words.name}), each in {len(templates.templates)} {prompts} ({templates.name})"
    return "; ".join([told, *words.notes, *clip.notes_on(words.words)])
