"""CLIP as a classifier, compared with open_clip's zero-shot evaluation and with the scenes' own objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.clip import clip as clip_module
from xai_eval.inputs.clip.clip import load_clip
from xai_eval.inputs.clip.zero_shot import load_templates, load_words
from xai_eval.inputs.models.models import load_model
from xai_eval.scenes import CONCEPTS, OBJECTS, render

SEEDS = range(100_000, 100_048)  # never trained on


def scenes() -> list[Any]:
    return [render(seed) for seed in SEEDS]


def test_the_bundled_model_names_the_main_object_of_a_scene() -> None:
    loaded = load_model("open_clip:scenes:objects")
    assert loaded.name == "open_clip:scenes:objects:bare"
    assert loaded.class_names == OBJECTS
    batch = torch.stack([loaded.preprocess(Image.fromarray(scene.pixels)) for scene in scenes()])
    with torch.no_grad():
        named = loaded.module(batch).argmax(1).tolist()
    right = sum(OBJECTS[index] == scene.main_object for index, scene in zip(named, scenes(), strict=True))
    assert right >= 0.85 * len(SEEDS)


def test_the_logits_of_bare_words_are_open_clips_own() -> None:
    loaded, clip = load_model("open_clip:scenes:car,tree,house"), load_clip("scenes")
    image = clip.preprocess(Image.fromarray(render(100_000).pixels))[None]
    with torch.no_grad():
        expected, _ = clip.module.get_logits(image, clip.tokenizer(["car", "tree", "house"]))
        assert torch.allclose(loaded.module(image), expected, atol=1e-5)


def test_prompts_are_averaged_as_vectors_of_length_one() -> None:
    loaded, clip = load_model("open_clip:scenes:car,tree,house:simple"), load_clip("scenes")
    for column, word in enumerate(("car", "tree", "house")):
        prompts = [prompt(word) for prompt in open_clip.SIMPLE_IMAGENET_TEMPLATES]
        mean = clip.embed_texts(prompts).double().mean(0)
        assert torch.allclose(loaded.module.words[:, column].double(), mean / mean.norm(), atol=1e-6)


def test_other_words_are_another_model() -> None:
    specs = ("scenes:car,tree", "scenes:car,house", "scenes:car,tree:simple")
    loaded = [load_model(f"open_clip:{spec}") for spec in specs]
    assert len({each.weights_digest for each in loaded}) == 3
    assert len({each.name for each in loaded}) == 3
    assert loaded[2].classes_from.startswith("2 words (car,tree), each in 7 prompts (simple)")


def test_words_that_the_model_was_never_taught_are_named() -> None:
    assert "never taught all words of 'zebra'" in load_model("open_clip:scenes:car,zebra").classes_from


def test_words_and_templates_from_files(tmp_path: Path) -> None:
    words, templates = tmp_path / "words.txt", tmp_path / "prompts.txt"
    words.write_text("car\n\ntree\nhouse\n")
    templates.write_text("a photo of {}\n\nthe {}\n")
    loaded = load_model(f"open_clip:scenes:{words}:{templates}")
    assert loaded.name == "open_clip:scenes:words.txt:prompts.txt"
    assert loaded.class_names == ("car", "tree", "house")
    assert "blank lines dropped: 2" in loaded.classes_from


def test_named_words() -> None:
    assert load_words("scenes").words == tuple(CONCEPTS)
    imagenet = load_words("imagenet")
    assert imagenet.words[130] == "flamingo"
    assert imagenet.wordnet_ids is not None
    assert imagenet.wordnet_ids[130] == "n02007558"
    assert len(load_templates("openai").templates) == 80


@pytest.mark.parametrize("rest", ["ViT-B-16/openai", "scenes", "scenes:", "scenes:a,b:bare:more", ":a,b"])
def test_a_malformed_spec(rest: str) -> None:
    with pytest.raises(UsageError, match=r"malformed; expected open_clip:ARCHITECTURE/WEIGHTS:WORDS|names no model"):
        load_model(f"open_clip:{rest}")


@pytest.mark.parametrize("words", ["car,", "car,,tree", "car,Car"])
def test_words_that_cannot_be_classes(words: str) -> None:
    with pytest.raises(UsageError, match=r"empty entry, or one that is listed twice"):
        load_model(f"open_clip:scenes:{words}")


def test_a_single_word_is_no_list() -> None:
    with pytest.raises(InputUnavailable, match="'car' does not exist; expected 'scenes' or a text file"):
        load_model("open_clip:scenes:car")


@pytest.mark.parametrize("line", ["a photo", "{} and {}", "{word}", "a {} of {0}"])
def test_templates_need_one_place_for_the_word(line: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(f"a photo of {{}}\n{line}\n")
    with pytest.raises(InputUnavailable, match=r"expected one prompt per line, with one \{\}"):
        load_templates(str(path))
    with pytest.raises(InputUnavailable, match=r"'bear' are not bare, simple, openai"):
        load_templates("bear")


def test_paths_of_windows_have_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_eval.inputs.clip.zero_shot import _parts

    assert _parts(r"ViT-B-16/openai:C:\words.txt:D:/prompts.txt") == (
        "ViT-B-16/openai",
        r"C:\words.txt",
        "D:/prompts.txt",
    )


def test_a_published_model(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = load_clip("scenes")
    monkeypatch.setattr(clip_module, "load_published_clip", lambda *_: (bundled.module, bundled.tokenizer))
    loaded = load_model("open_clip:ViT-B-16/openai:cat,dog")
    assert loaded.name == "open_clip:ViT-B-16/openai:cat,dog:simple"
    image = Image.fromarray(render(0).pixels)
    assert torch.equal(loaded.preprocess(image), bundled.preprocess(image))
    assert loaded.preprocess.view(image).shape == (*loaded.input_shape[1:], 3)
