from __future__ import annotations

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer

from xai_eval.inputs.downloads import bundled, bundled_entry
from xai_eval.inputs.models.bundled_models import ARCHITECTURES
from xai_eval.inputs.models.narrow_transformers import PooledVisionTransformer, narrow_swin, narrow_vit
from xai_eval.scenes import OBJECTS, Scene, render

NAMES = ("vit", "vit_pooled", "swin")


def test_the_vit_is_torchvision_s_except_for_its_stem() -> None:
    reference = VisionTransformer(96, 8, 3, 2, 32, 128, num_classes=5).eval()
    nn.init.normal_(reference.heads.head.weight)
    model = narrow_vit(5, width=32).eval()
    reference.conv_proj = model.conv_proj
    model.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(model(images), reference(images), rtol=0, atol=0)


def test_the_pooled_one_is_torchvision_s_vit_without_its_class_token() -> None:
    """All tokens pass torchvision's blocks; a class token that no token attends to would change nothing."""
    torch.manual_seed(0)
    model, whole = PooledVisionTransformer(5, width=32).eval(), narrow_vit(5, width=32).eval()
    whole.conv_proj.load_state_dict(model.conv_proj.state_dict())
    whole.encoder.layers.load_state_dict(model.encoder.layers.state_dict())
    images = torch.randn(2, 3, 96, 96)
    tokens = whole._process_input(images) + model.encoder.pos_embedding
    assert tokens.shape == (2, 144, 32)
    pooled = whole.encoder.ln(whole.encoder.layers(tokens)).mean(dim=1)
    torch.testing.assert_close(model(images), pooled @ model.head.weight.T + model.head.bias)


def test_the_swin_is_torchvision_s_except_for_its_stem() -> None:
    torch.manual_seed(0)
    reference = SwinTransformer([8, 8], 32, [2, 2], [2, 4], [6, 6], stochastic_depth_prob=0.0, num_classes=5).eval()
    model = narrow_swin(5, width=32).eval()
    stem = model.features[0][0]
    reference.features[0][0] = stem
    model.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, 96, 96)
    assert stem(images).shape == (2, 32, 12, 12)
    torch.testing.assert_close(model(images), reference(images), rtol=0, atol=0)


def test_the_layers_have_the_layouts_that_they_are_bundled_for() -> None:
    images = torch.zeros(2, 3, 96, 96)
    assert output_shape(narrow_vit(4, 32), "encoder.layers.encoder_layer_2", images) == (2, 1 + 144, 32)
    assert output_shape(PooledVisionTransformer(4, 32), "encoder.layers.encoder_layer_2", images) == (2, 144, 32)
    assert output_shape(narrow_swin(4, 32), "features.3", images) == (2, 6, 6, 64)


def output_shape(module: nn.Module, layer: str, images: Tensor) -> tuple[int, ...]:
    shapes: list[tuple[int, ...]] = []
    module.get_submodule(layer).register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    assert module.eval()(images).shape == (len(images), 4)
    return shapes[0]


# The bundled weights


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> nn.Module:
    """The bundled network, read without the loader of the package."""
    entry = bundled_entry(f"scenes_{name}")
    model = ARCHITECTURES[entry["architecture"]](len(entry["classes"]), entry["width"])
    model.load_state_dict(load_file(bundled(f"scenes_{name}")), strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def held_out() -> list[Scene]:
    return [render(seed) for seed in range(100_000, 100_100)]


def inputs(scenes: list[Scene]) -> Tensor:
    return (
        torch.from_numpy((np.stack([scene.pixels for scene in scenes]) / 255 - 0.45) / 0.25).permute(0, 3, 1, 2).float()
    )


def test_the_file_and_the_manifest_say_the_same(name: str) -> None:
    entry, path = bundled_entry(f"scenes_{name}"), bundled(f"scenes_{name}")
    assert tuple(entry["classes"]) == OBJECTS
    assert entry["size_bytes"] == path.stat().st_size < 1_500_000
    assert entry["held_out_accuracy"] >= 0.95
    assert entry["held_out_scenes"] == 2000
    assert entry["seeds"] == bundled_entry("scenes_objects")["seeds"]
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16, torch.int64}  # noqa: SIM118
    assert metadata["classes"] == str(entry["classes"]).replace("'", '"')
    assert metadata["width"] == str(entry["width"])
    assert metadata["mean"] == str(entry["mean"]) == "[0.45, 0.45, 0.45]"
    assert metadata["std"] == str(entry["std"]) == "[0.25, 0.25, 0.25]"


def test_it_knows_scenes_that_it_has_never_seen(model: nn.Module, held_out: list[Scene]) -> None:
    with torch.inference_mode():
        predicted = model(inputs(held_out)).argmax(dim=1).tolist()
    right = [OBJECTS[answer] == scene.main_object for answer, scene in zip(predicted, held_out, strict=True)]
    assert np.mean(right) >= 0.93


def test_hiding_the_object_takes_the_answer_away(model: nn.Module, held_out: list[Scene]) -> None:
    masks = torch.from_numpy(np.stack([scene.masks[scene.main_object] for scene in held_out]))[:, None]
    classes = torch.tensor([OBJECTS.index(scene.main_object) for scene in held_out])
    with torch.inference_mode():
        without = (model(inputs(held_out) * ~masks).argmax(dim=1) == classes).float().mean()
    assert without < 0.25
