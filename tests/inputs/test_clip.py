from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from xai_eval.errors import InputUnavailable, ModelMisbehaves, UsageError
from xai_eval.inputs import downloads as data
from xai_eval.inputs.clip.clip import Clip, load_clip
from xai_eval.inputs.downloads import bundled, bundled_entry
from xai_eval.inputs.models.model_weights import weights_digest
from xai_eval.scenes import BACKGROUNDS, CONCEPTS, OBJECTS, SCENE_LABELS, Scene, render

FEW = range(100_000, 100_096)  # every pair of an object and a place once; never trained on


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip("scenes")


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(seed) for seed in FEW]


@pytest.fixture(scope="module")
def batch(clip: Clip, scenes: list[Scene]) -> torch.Tensor:
    return torch.stack([clip.preprocess(Image.fromarray(scene.pixels)) for scene in scenes])


@pytest.fixture(scope="module")
def similarity(clip: Clip, batch: torch.Tensor) -> Callable[[tuple[str, ...]], torch.Tensor]:
    images = clip.embed_images(batch)
    return lambda words: images @ clip.embed_texts(words).T


# What it knows


def test_the_bare_word_finds_the_main_object_and_the_place(
    scenes: list[Scene], similarity: Callable[[tuple[str, ...]], torch.Tensor]
) -> None:
    objects = similarity(OBJECTS).argmax(dim=1).tolist()
    places = similarity(SCENE_LABELS).argmax(dim=1).tolist()
    assert sum(OBJECTS[i] == scene.main_object for i, scene in zip(objects, scenes, strict=True)) >= 0.85 * len(FEW)
    assert sum(SCENE_LABELS[i] == scene.scene for i, scene in zip(places, scenes, strict=True)) >= 0.85 * len(FEW)


def test_the_bare_word_finds_the_backgrounds(
    scenes: list[Scene], similarity: Callable[[tuple[str, ...]], torch.Tensor]
) -> None:
    scores = similarity(BACKGROUNDS).numpy()
    for column, name in enumerate(BACKGROUNDS):
        shown = [name in scene.masks and scene.masks[name].sum() >= 16 for scene in scenes]
        assert average_precision_score(shown, scores[:, column]) > 0.85, name


def test_the_accuracies_in_the_manifest_are_high_enough() -> None:
    entry = bundled_entry("clip_scenes")
    assert entry["size_bytes"] == bundled("clip_scenes").stat().st_size < 4_000_000
    assert set(entry["seeds"]) == {"evaluation", "held_out", "training"}
    assert entry["held_out_accuracy_objects"] > 0.9
    assert entry["held_out_accuracy_places"] > 0.9


def test_words_that_it_was_never_taught_are_like_no_image(
    similarity: Callable[[tuple[str, ...]], torch.Tensor],
) -> None:
    strange = ("zebra", "fire truck", "xylophone", "carnation", "9", "ärger", "犬", "striped")
    assert similarity(strange).max() < similarity(CONCEPTS).max(dim=1).values.min()


# Embeddings


def test_embeddings_are_float32_of_unit_length_without_gradients(clip: Clip, batch: torch.Tensor) -> None:
    for embedded in (clip.embed_images(batch[:5]), clip.embed_texts(["car", "sea", "a very odd text"])):
        assert embedded.dtype == torch.float32
        assert not embedded.requires_grad
        torch.testing.assert_close(embedded.norm(dim=1), torch.ones(len(embedded)))
    assert clip.embed_images(batch[:5]).shape[1] == clip.embed_texts(["car"]).shape[1]


def test_an_embedding_does_not_depend_on_the_others(clip: Clip, batch: torch.Tensor) -> None:
    whole = clip.embed_images(batch[:12])
    torch.testing.assert_close(torch.cat([clip.embed_images(part) for part in batch[:12].split(5)]), whole)
    words = [f"{concept} {number}" for number in range(15) for concept in CONCEPTS]
    alone = torch.cat([clip.embed_texts([word]) for word in words[::37]])
    torch.testing.assert_close(clip.embed_texts(words)[::37], alone)


def test_it_is_what_open_clip_makes_of_the_same_files(clip: Clip, scenes: list[Scene], tmp_path: Path) -> None:
    """Loaded by open_clip's own way for a folder, from the same weights and configuration."""
    entry = bundled_entry("clip_scenes")
    shutil.copy(bundled("clip_scenes"), tmp_path / "open_clip_model.safetensors")
    config = {"model_cfg": entry["model_cfg"], "preprocess_cfg": entry["preprocess_cfg"]}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}", bpe_path=str(bundled("clip_scenes_merges")))
    drawn = [Image.fromarray(scene.pixels) for scene in scenes[:3]] + [Image.new("RGB", (300, 200), (9, 99, 199))]
    theirs, ours = (torch.stack([prepare(image) for image in drawn]) for prepare in (preprocess, clip.preprocess))
    assert torch.equal(ours, theirs)
    with torch.no_grad():
        images = model.eval().encode_image(theirs, normalize=True)
        texts = model.encode_text(tokenizer(list(CONCEPTS)), normalize=True)
    torch.testing.assert_close(clip.embed_images(ours), images)
    torch.testing.assert_close(clip.embed_texts(CONCEPTS), texts)
    assert clip.weights_digest == weights_digest(model)


def test_a_scene_passes_the_preprocessing_unscaled(clip: Clip, scenes: list[Scene]) -> None:
    described = clip.describe()
    mean, std = (torch.tensor(described[key]).view(3, 1, 1) for key in ("mean", "std"))
    expected = (torch.from_numpy(scenes[0].pixels).permute(2, 0, 1) / 255 - mean) / std
    torch.testing.assert_close(clip.preprocess(Image.fromarray(scenes[0].pixels)), expected)


def test_the_description_is_of_json_values(clip: Clip) -> None:
    described = clip.describe()
    assert json.loads(json.dumps(described)) == described
    assert described["kind"] == "open_clip"
    assert described["size"] in (96, [96, 96])


def test_the_preprocessing_goes_to_other_processes(clip: Clip, scenes: list[Scene]) -> None:
    image = Image.fromarray(scenes[0].pixels)
    expected = clip.preprocess(image)
    assert torch.equal(pickle.loads(pickle.dumps(clip.preprocess))(image), expected)


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (3, 96, 96), (2, 1, 96, 96)])
def test_images_of_another_shape(clip: Clip, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelMisbehaves, match=r"scenes fails on a batch of shape"):
        clip.embed_images(torch.zeros(shape))


def test_embeddings_that_are_not_finite_are_refused() -> None:
    clip = load_clip("scenes")
    with torch.no_grad():
        clip.module.positional_embedding.fill_(np.nan)
    with pytest.raises(ModelMisbehaves, match="returned NaN or infinity"):
        clip.embed_texts(["car"])


# Words


def test_notes_on_texts(clip: Clip) -> None:
    assert clip.notes_on([*CONCEPTS, *SCENE_LABELS, "A picture of the Sea"]) == ()
    cut, unknown = clip.notes_on(["car", "Zebra", "car " * 14, "car " * 15, "a red car"])
    assert cut == f"the CLIP model scenes reads only the beginning of {'car ' * 15!r}"
    assert unknown == "the CLIP model scenes was never taught all words of 'Zebra', 'a red car'"


def test_a_note_names_the_first_of_many(clip: Clip) -> None:
    (note,) = clip.notes_on([f"zebra{index}" for index in range(25)])
    assert note.endswith("'zebra19' and 5 more")


def test_what_is_cut_off_does_not_matter(clip: Clip) -> None:
    embedded = clip.embed_texts(["car " * 15, "car " * 30])
    assert torch.equal(embedded[0], embedded[1])


@pytest.mark.parametrize("text", ["", " ", "\0", "犬", "🚗", "x" * 5000, "<end_of_text>", "&amp;"])
def test_any_text_has_an_embedding(clip: Clip, text: str) -> None:
    assert torch.isfinite(clip.embed_texts([text])).all()


# Loading


def test_a_changed_file_is_refused(edit_manifest: Callable[..., Path]) -> None:
    copy = edit_manifest()
    for key in ("clip_scenes", "clip_scenes_merges"):
        path = copy / bundled_entry(key)["file"]
        body = path.read_bytes()
        path.write_bytes(body[:-1])
        with pytest.raises(InputUnavailable, match=f"{path} has SHA-256"):
            load_clip("scenes")
        path.write_bytes(body)


def test_weights_of_another_architecture(edit_manifest: Callable[..., Path]) -> None:
    entries = data.manifest()["bundled"]
    changed = json.loads(json.dumps(entries["clip_scenes"]))
    changed["model_cfg"]["embed_dim"] += 1
    edit_manifest(bundled={**entries, "clip_scenes": changed})
    with pytest.raises(InputUnavailable, match="another architecture than CLIP"):
        load_clip("scenes")


def test_it_is_ready_for_use(clip: Clip) -> None:
    assert clip.name == "scenes"
    assert not clip.module.training
    assert load_clip("scenes").weights_digest == clip.weights_digest


def test_no_such_device() -> None:
    with pytest.raises(UsageError, match="device 'nowhere' cannot be used"):
        load_clip("scenes", device="nowhere")
