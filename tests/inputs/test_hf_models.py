"""Models of transformers from folders that its own `save_pretrained` wrote; nothing is downloaded."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from skimage import data

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.models import hf_models
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.reading import OutputKind

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

CAT = Image.fromarray(data.chelsea())
SMALL = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
LABELS = {0: "cat", 1: "coffee", 2: "rocket"}


def vit(**options: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.ViTConfig(image_size=48, patch_size=16, id2label=LABELS, **SMALL, **options)
    return transformers.ViTForImageClassification(config).eval()


def resnet() -> Any:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8, id2label=LABELS)
    return transformers.ResNetForImageClassification(config).eval()


PROCESSORS = {
    "vit": (vit, lambda: transformers.ViTImageProcessor(size={"height": 48, "width": 48})),
    "resnet": (resnet, lambda: transformers.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.9)),
}


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def to_folder(module: Any, processor: Any) -> Path:
        folder = tmp_path / "mine"
        module.save_pretrained(folder)
        processor.save_pretrained(folder)
        return folder

    return to_folder


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_folder_gives_the_model_its_processor_and_its_labels(name: str, save: Callable[..., Path]) -> None:
    make, process = PROCESSORS[name]
    folder = save(make(), process())
    loaded = load_model(f"hf:{folder}")
    assert loaded.name == "hf:mine"
    assert loaded.class_names == ("cat", "coffee", "rocket")
    assert loaded.class_ids is None
    assert loaded.classes_from == "id2label of the model's configuration"
    assert not loaded.module.training
    pixels = process()(CAT, return_tensors="pt")["pixel_values"]
    assert torch.equal(loaded.preprocess(CAT)[None], pixels)
    with torch.no_grad():
        assert torch.equal(loaded.module(loaded.preprocess(CAT)[None]).logits, make()(pixels).logits)
    view = torch.from_numpy(loaded.preprocess.view(CAT))[None]
    assert torch.allclose(loaded.preprocess.from_view(view), pixels, atol=1e-5)


def test_half_precision_on_disk_is_computed_in_single_precision(save: Callable[..., Path]) -> None:
    folder = save(vit().half(), PROCESSORS["vit"][1]())
    loaded = load_model(f"hf:{folder}")
    assert {parameter.dtype for parameter in loaded.module.parameters()} == {torch.float32}


def test_imagenet_labels_are_recognised() -> None:
    names = [entry.name for entry in imagenet_classes()]
    spelt = tuple(f"{name.lower()}, another word" for name in names)
    assert hf_models._wordnet_ids(spelt) == tuple(entry.wnid for entry in imagenet_classes())
    assert hf_models._wordnet_ids(spelt[::-1]) is None
    assert hf_models._wordnet_ids(spelt[:999]) is None


def test_a_model_without_a_classifier_is_refused(save: Callable[..., Path]) -> None:
    folder = save(vit().vit, PROCESSORS["vit"][1]())
    with pytest.raises(InputUnavailable, match=r"hf:mine has no trained values for 2 .*classifier\.bias.*at random"):
        load_model(f"hf:{folder}")


def test_pickled_weights_are_not_read(save: Callable[..., Path]) -> None:
    folder = save(vit(), PROCESSORS["vit"][1]())
    (folder / "model.safetensors").unlink()
    torch.save(vit().state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(InputUnavailable, match=r"model of hf:mine cannot be loaded .*pickle files are not read"):
        load_model(f"hf:{folder}")


def test_code_of_a_model_is_not_run(save: Callable[..., Path]) -> None:
    folder = save(vit(), PROCESSORS["vit"][1]())
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForImageClassification": "own.Own"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
    (folder / "own.py").write_text("raise SystemExit('code of the model was run')")
    with pytest.raises(InputUnavailable, match="needs code that comes with it, which is never run here"):
        load_model(f"hf:{folder}")


def test_a_configuration_of_a_billion_labels_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "resnet", "num_labels": 1000000000}')
    with pytest.raises(InputUnavailable, match=r"num_labels 1,000,000,000; expected at most 1,000,000\. Correct"):
        load_model(f"hf:{tmp_path}")


def test_a_model_without_its_processor(save: Callable[..., Path]) -> None:
    folder = save(vit(), PROCESSORS["vit"][1]())
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InputUnavailable, match=r"image processor of hf:mine .*preprocessor_config\.json"):
        load_model(f"hf:{folder}")


def test_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def out_of_reach(place: str, *, revision: str, trust_remote_code: bool, **_: Any) -> Any:
        asked.append((place, revision))
        assert not trust_remote_code
        raise ConnectionError("no route")

    monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_pretrained", out_of_reach)
    for spec in ("hf:somebody/some-vit", "hf:somebody/some-vit@v2"):
        with pytest.raises(InputUnavailable, match=r"ConnectionError: no route\).*Connect to the network once"):
            load_model(spec)
    assert asked == [("somebody/some-vit", "main"), ("somebody/some-vit", "v2")]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match=r"the folder .*gone does not exist"):
        load_model(f"hf:{tmp_path / 'gone'}")


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install 'xai-eval\[hf\]'"):
        load_model("hf:somebody/some-vit")


def test_a_model_without_a_classifier_is_an_encoder(tmp_path: Path) -> None:
    config = transformers.Dinov2Config(image_size=48, patch_size=16, **SMALL)
    torch.manual_seed(0)
    saved = transformers.Dinov2Model(config).eval()
    saved.save_pretrained(tmp_path)
    transformers.ViTImageProcessor(size={"height": 48, "width": 48}).save_pretrained(tmp_path)
    with pytest.raises(InputUnavailable, match="--output embedding --similar-to IMAGE"):
        load_model(f"hf:{tmp_path}")
    model = load_model(f"hf:{tmp_path}?similar_to=scenes:2")
    assert model.output is OutputKind.EMBEDDING and model.class_names == ("scene-00", "scene-01")
    batch = model.preprocess(CAT)[None]
    torch.testing.assert_close(model.reading.rows(model.module(batch)), saved(batch).pooler_output)


def test_features_that_are_partly_random_are_refused(tmp_path: Path) -> None:
    vit().save_pretrained(tmp_path)
    transformers.ViTImageProcessor(size={"height": 48, "width": 48}).save_pretrained(tmp_path)
    with pytest.raises(InputUnavailable, match="Its features would be partly random"):
        load_model(f"hf:{tmp_path}?similar_to=scenes:1")
