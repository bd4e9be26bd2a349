from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs import downloads as data
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.models.model_weights import weights_digest
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.narrow_resnet import narrow_resnet18
from xai_eval.inputs.models.outputs import logits
from xai_eval.scenes import OBJECTS, SCENE_LABELS, labels


@pytest.fixture
def bundle(edit_manifest: Callable[..., Path]) -> Callable[..., nn.Module]:
    """Bundle a small untrained model as scenes:tiny; `damage` changes its bytes before the digest."""

    def make(*, width: int = 4, damage: Callable[[bytes], bytes] = bytes) -> nn.Module:
        module = narrow_resnet18(3, width=4)
        body = damage(safetensors.torch.save(module.state_dict()))
        entry = {
            "file": "tiny.safetensors",
            "sha256": hashlib.sha256(body).hexdigest(),
            "classes": ["ball", "boat", "car"],
            "width": width,
            "mean": [0.5, 0.4, 0.3],
            "std": [0.25, 0.25, 0.25],
        }
        copy = edit_manifest(bundled={**data.manifest()["bundled"], "scenes_tiny": entry})
        (copy / "tiny.safetensors").write_bytes(body)
        return module

    return make


def test_a_bundled_model(bundle: Callable[..., nn.Module]) -> None:
    original = bundle()
    loaded = load_model("scenes:tiny")
    assert loaded.name == "scenes:tiny"
    assert loaded.class_names == ("ball", "boat", "car")
    assert loaded.weights_digest == weights_digest(original)
    assert loaded.input_shape == (3, 96, 96)
    assert loaded.preprocess.describe()["mean"] == [0.5, 0.4, 0.3]
    assert loaded.default_layer() == "layer4.1"


def test_an_unknown_bundled_model() -> None:
    with pytest.raises(UsageError, match="unknown bundled model 'scenes:object'"):
        load_model("scenes:object")


@pytest.mark.usefixtures("empty_root")
@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_truncated_safetensors(bundle: Callable[..., nn.Module], kept: int) -> None:
    bundle(damage=lambda body: body[:kept])
    with pytest.raises(InputUnavailable, match="cannot be read as safetensors"):
        load_model("scenes:tiny")


def test_bundled_weights_of_another_width(bundle: Callable[..., nn.Module]) -> None:
    bundle(width=8)
    with pytest.raises(InputUnavailable, match=r"another architecture than \w+: size mismatch"):
        load_model("scenes:tiny")


def test_a_changed_bundled_model_is_refused(bundle: Callable[..., nn.Module]) -> None:
    bundle()
    path = data.fixtures_folder() / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputUnavailable, match="has SHA-256"):
        load_model("scenes:tiny")


@pytest.mark.parametrize(
    ("spec", "classes"),
    [
        ("scenes:objects", OBJECTS),
        ("scenes:places", SCENE_LABELS),
        ("scenes:vit", OBJECTS),
        ("scenes:vit_pooled", OBJECTS),
        ("scenes:swin", OBJECTS),
    ],
)
def test_the_bundled_models_recognise_the_bundled_scenes(spec: str, classes: tuple[str, ...]) -> None:
    loaded = load_model(spec)
    assert loaded.name == spec
    assert loaded.class_names == classes
    images = load_images("scenes").images
    batch = torch.stack([loaded.preprocess(Image.fromarray(image.pixels)) for image in images])
    with torch.no_grad():
        seen = logits(loaded, batch).argmax(dim=1).tolist()
    right = [loaded.class_names[index] in labels(seed) for seed, index in enumerate(seen)]
    assert sum(right) >= 10


def test_the_bundled_models_differ_in_what_they_were_trained_on_alone() -> None:
    objects, places = (data.bundled_entry(f"scenes_{name}") for name in ("objects", "places"))
    for key in ("training", "seeds", "width", "mean", "std"):
        assert objects[key] == places[key]
    shapes = [
        {name: weight.shape for name, weight in load_model(spec).module.state_dict().items() if name[:2] != "fc"}
        for spec in ("scenes:objects", "scenes:places")
    ]
    assert shapes[0] == shapes[1]
    assert min(entry["held_out_accuracy"] for entry in (objects, places)) > 0.95
