"""Which layer and which methods point at the object in a transformer, measured on scenes whose masks are known.

Everything is computed by pytorch-grad-cam alone, called with a `reshape_transform` as its documentation shows, so that
the figures do not depend on how this package finds layers or lays tokens over the image. The table that
`docs/how-to/transformers.md` shows is printed by `pytest -m thorough -s` and the name of this file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from PIL import Image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from xai_eval.inputs.models.models import load_model
from xai_eval.metrics.localisation import energy_inside, half_cell, pointing_hit
from xai_eval.scenes import OBJECTS, Scene, render

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "transformers.md"
SCENES = range(100_000, 100_060)
FEW = SCENES[:24]  # for ScoreCAM, which takes a pass per channel; its table is made of all of them
METHODS = ("GradCAM", "HiResCAM", "LayerCAM", "GradCAMPlusPlus", "XGradCAM", "EigenCAM", "ScoreCAM")
Reshape = Callable[[Tensor], Tensor]


def tokens(output: Tensor, *, first: int) -> Tensor:
    """Lay tokens (N, first + 144, C) over the image, without the first ones: (N, C, 12, 12)."""
    places = output[:, first:]
    return places.reshape(len(places), 12, 12, -1).permute(0, 3, 1, 2)


def channels_last(output: Tensor) -> Tensor:
    return output.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Layer:
    """A layer of a bundled transformer, how its output is laid over the image, and the side of its map."""

    model: str
    role: str
    name: str
    reshape: Reshape | None
    side: int = 12


BEHIND_CLASS, ALL = partial(tokens, first=1), partial(tokens, first=0)
MODELS = ("scenes:vit", "scenes:vit_pooled", "scenes:swin")
FIRST_NORM, LAST_NORM, PATCHES = "first norm of the last block", "last norm", "patch embedding"
LAYERS = (
    Layer("scenes:vit", FIRST_NORM, "encoder.layers.encoder_layer_2.ln_1", BEHIND_CLASS),
    Layer("scenes:vit", LAST_NORM, "encoder.ln", BEHIND_CLASS),
    Layer("scenes:vit", PATCHES, "conv_proj", None),
    Layer("scenes:vit_pooled", FIRST_NORM, "encoder.layers.encoder_layer_2.ln_1", ALL),
    Layer("scenes:vit_pooled", LAST_NORM, "encoder.ln", ALL),
    Layer("scenes:vit_pooled", PATCHES, "conv_proj", None),
    Layer("scenes:swin", FIRST_NORM, "features.3.1.norm1", channels_last, 6),
    Layer("scenes:swin", LAST_NORM, "norm", channels_last, 6),
    Layer("scenes:swin", PATCHES, "features.0", channels_last, 12),
)


@dataclass(frozen=True)
class Localisation:
    """Means over the scenes that a model recognises; a map without any heat counts as a miss, with no energy inside."""

    pointing: float
    near: float
    energy: float
    empty: int
    scenes: int

    def cell(self) -> str:
        if self.empty == self.scenes:
            return "no gradient"
        return f"{self.pointing:.2f} / {self.near:.2f} / {self.energy:.2f}"


@cache
def recognised(spec: str, seeds: range = SCENES) -> tuple[tuple[Scene, ...], Tensor]:
    """Return the held-out scenes whose main object the model names, and what the model gets of them."""
    model, scenes = load_model(spec, device="cpu"), [render(seed) for seed in seeds]
    batch = torch.stack([model.preprocess(Image.fromarray(scene.pixels)) for scene in scenes])
    with torch.no_grad():
        seen = model.module(batch).argmax(dim=1).tolist()
    kept = [index for index, scene in enumerate(scenes) if OBJECTS[seen[index]] == scene.main_object]
    return tuple(scenes[index] for index in kept), batch[kept]


@cache
def measured(layer: Layer, method: str, seeds: range = SCENES) -> Localisation:
    scenes, batch = recognised(layer.model, seeds)
    module = load_model(layer.model, device="cpu").module.eval()
    targets = [ClassifierOutputTarget(OBJECTS.index(scene.main_object)) for scene in scenes]
    with getattr(pytorch_grad_cam, method)(module, [module.get_submodule(layer.name)], layer.reshape) as cam:
        maps = cam(batch, targets)
    return localisation(maps, scenes, half_cell((layer.side, layer.side), maps.shape[1:]))


def localisation(maps: np.ndarray, scenes: tuple[Scene, ...], margin: tuple[int, int]) -> Localisation:
    pairs = [(one, scene.masks[scene.main_object]) for one, scene in zip(maps, scenes, strict=True) if one.max() > 0]
    count = len(scenes)
    return Localisation(
        pointing=sum(pointing_hit(*pair) for pair in pairs) / count,
        near=sum(pointing_hit(*pair, margin) for pair in pairs) / count,
        energy=math.fsum(energy_inside(*pair) for pair in pairs) / count,
        empty=count - len(pairs),
        scenes=count,
    )


def at(model: str, role: str) -> Layer:
    (found,) = (layer for layer in LAYERS if (layer.model, layer.role) == (model, role))
    return found


def table(model: str) -> list[str]:
    """Return the lines of a Markdown table: a row per method, a column per layer."""
    layers = [layer for layer in LAYERS if layer.model == model]
    rows = [[method, *(measured(layer, method).cell() for layer in layers)] for method in METHODS]
    head = [f"`{model}`", *(f"{layer.role}, `{layer.name}`" for layer in layers)]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


@pytest.mark.thorough
def test_the_page_shows_what_is_measured() -> None:
    lines = [line for model in MODELS for line in table(model)]
    print(*(f"{model}: {len(recognised(model)[0])} of {len(SCENES)} scenes recognised" for model in MODELS), sep="\n")
    print(*lines, sep="\n")
    shown = [line for line in PAGE.read_text().splitlines() if line.startswith("|") and " / " in line]
    expected = [line for line in lines if " / " in line]
    assert [line.split("|")[1] for line in shown] == [line.split("|")[1] for line in expected]
    for line, other in zip(shown, expected, strict=True):
        assert line.count("no gradient") == other.count("no gradient")
        assert numbers(line) == pytest.approx(numbers(other), abs=0.04), line


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d\.\d\d", line)]


@pytest.mark.slow
def test_before_the_class_token_reads_the_others_grad_cam_points_better_than_at_the_patch_embedding() -> None:
    assert energy("scenes:vit", FIRST_NORM, "GradCAM") >= 1.5 * energy("scenes:vit", PATCHES, "GradCAM")


@pytest.mark.slow
def test_where_tokens_are_pooled_grad_cam_points_poorly_at_every_layer() -> None:
    blocks = [f"encoder.layers.encoder_layer_{number}" for number in range(3)]
    names = [f"{block}{part}" for block in blocks for part in ("", ".ln_1", ".ln_2", ".mlp")]
    found = [measured(Layer("scenes:vit_pooled", name, name, ALL), "GradCAM").energy for name in names]
    assert max(found) < 1.25 * energy("scenes:vit_pooled", PATCHES, "GradCAM") < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("method", "seeds"), [("HiResCAM", SCENES), ("LayerCAM", SCENES), ("ScoreCAM", FEW)])
def test_the_methods_that_the_page_recommends_point_at_the_object(model: str, method: str, seeds: range) -> None:
    assert energy(model, FIRST_NORM, method, seeds) >= 2 * energy(model, PATCHES, "GradCAM", seeds)
    assert energy(model, FIRST_NORM, method, seeds) >= 1.5 * energy(model, FIRST_NORM, "GradCAM", seeds)
    assert measured(at(model, FIRST_NORM), method, seeds).near >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("model", ["scenes:vit_pooled", "scenes:swin"])
def test_where_tokens_are_pooled_a_map_of_the_last_norm_misses_the_object(model: str) -> None:
    """Less of it lies inside than of a map that is the same everywhere."""
    scenes, _ = recognised(model)
    area = float(np.mean([scene.masks[scene.main_object].mean() for scene in scenes]))
    assert max(energy(model, LAST_NORM, method) for method in ("GradCAM", "HiResCAM", "LayerCAM")) < area


def energy(model: str, role: str, method: str, seeds: range = SCENES) -> float:
    return measured(at(model, role), method, seeds).energy


def test_at_the_last_norm_only_the_class_token_gets_a_gradient() -> None:
    gradient = gradient_at(at("scenes:vit", LAST_NORM))
    assert gradient.shape == (2, 1 + 144, 64)
    assert gradient[:, 0].abs().min() > 0
    assert (gradient[:, 1:] == 0).all()
    assert (gradient_at(at("scenes:vit", FIRST_NORM))[:, 1:].abs().sum(dim=2) > 0).all()


def test_where_tokens_are_pooled_every_place_gets_the_same_gradient() -> None:
    """The head reads the mean of the places, so each has the head's weights divided by their number."""
    for model, head, places in (("scenes:vit_pooled", "head", 144), ("scenes:swin", "head", 36)):
        gradient = gradient_at(at(model, LAST_NORM)).reshape(2, places, -1)
        weights = load_model(model, device="cpu").module.get_submodule(head).weight[0]
        torch.testing.assert_close(gradient, (weights / places).expand_as(gradient))


def gradient_at(layer: Layer) -> Tensor:
    """Return the gradient of the first class in the output of a layer, for two scenes."""
    module, kept = load_model(layer.model, device="cpu").module.eval(), []
    with torch.enable_grad():
        handle = module.get_submodule(layer.name).register_forward_hook(lambda *call: kept.append(call[2]))
        logits = module(torch.rand(2, 3, 96, 96))
        handle.remove()
        (gradient,) = torch.autograd.grad(logits[:, 0].sum(), kept)
    return gradient
