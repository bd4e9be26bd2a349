from __future__ import annotations

import itertools

import numpy as np
import pytest
import safetensors
import torch
import torchvision
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from xai_eval.inputs.downloads import bundled, bundled_entry
from xai_eval.inputs.models.narrow_resnet import narrow_resnet18
from xai_eval.scenes import OBJECTS, Scene, render

FIRST_HELD_OUT = 100_000


def test_at_full_width_it_is_torchvision_s_resnet18_with_layer4_unstrided() -> None:
    torch.manual_seed(0)
    reference = torchvision.models.resnet18(num_classes=5).eval()
    reference.layer4[0].conv1.stride = (1, 1)
    reference.layer4[0].downsample[0].stride = (1, 1)
    model = narrow_resnet18(5, width=64).eval()
    model.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(model(images), reference(images), rtol=0, atol=0)


def test_the_layers_have_torchvision_s_names_in_its_order() -> None:
    reference = torchvision.models.resnet18()
    assert [n for n, _ in narrow_resnet18(3).named_modules()] == [n for n, _ in reference.named_modules()]


@pytest.mark.parametrize(("size", "side"), [(96, 6), (64, 4), (224, 14)])
def test_layer4_keeps_a_map_to_explain(size: int, side: int) -> None:
    model, maps = narrow_resnet18(4, width=8).eval(), []
    model.layer4.register_forward_hook(lambda *call: maps.append(call[2]))
    assert model(torch.zeros(1, 3, size, size)).shape == (1, 4)
    assert maps[0].shape == (1, 64, side, side)


def test_it_is_initialised_as_torchvision_does() -> None:
    torch.manual_seed(0)
    reference = dict(torchvision.models.resnet18(num_classes=1000).named_parameters())
    for name, value in narrow_resnet18(1000, width=64).named_parameters():
        assert value.std().item() == pytest.approx(reference[name].std().item(), rel=0.05, abs=1e-6)
        assert value.mean().item() == pytest.approx(reference[name].mean().item(), abs=3e-3)


# The bundled weights


@pytest.fixture(scope="module")
def model() -> nn.Module:
    entry = bundled_entry("scenes_objects")
    model = narrow_resnet18(len(entry["classes"]), width=entry["width"])
    model.load_state_dict(load_file(bundled("scenes_objects")), strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def held_out() -> list[Scene]:
    first, last = bundled_entry("scenes_objects")["seeds"]["held_out"]
    assert (first, last) == (FIRST_HELD_OUT, 101_999)
    return [render(seed) for seed in range(first, first + 200)]


def inputs(scenes: list[Scene]) -> Tensor:
    entry = bundled_entry("scenes_objects")
    pixels = np.stack([scene.pixels for scene in scenes]) / 255
    normalised = (pixels - np.array(entry["mean"])) / np.array(entry["std"])
    return torch.from_numpy(normalised).permute(0, 3, 1, 2).float()


def test_the_file_and_the_manifest_say_the_same() -> None:
    entry, path = bundled_entry("scenes_objects"), bundled("scenes_objects")
    assert tuple(entry["classes"]) == OBJECTS
    assert entry["size_bytes"] == path.stat().st_size < 3_000_000
    assert entry["held_out_accuracy"] >= 0.95
    assert entry["held_out_scenes"] == 2000
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float32, torch.int64}  # noqa: SIM118
    assert metadata["classes"] == str(entry["classes"]).replace("'", '"')
    assert metadata["width"] == str(entry["width"])
    assert metadata["mean"] == str(entry["mean"])
    assert metadata["std"] == str(entry["std"])


def test_no_scene_is_in_two_of_training_held_out_and_evaluation() -> None:
    seeds = bundled_entry("scenes_objects")["seeds"]
    assert set(seeds) == {"evaluation", "held_out", "training"}
    bounds = sorted(tuple(pair) for pair in seeds.values())
    assert all(last < following for (_, last), (following, _) in itertools.pairwise(bounds))


def test_the_bundled_classifier_knows_scenes_it_has_never_seen(model: nn.Module, held_out: list[Scene]) -> None:
    with torch.inference_mode():
        predicted = model(inputs(held_out)).argmax(dim=1).tolist()
    right = [OBJECTS[answer] == scene.main_object for answer, scene in zip(predicted, held_out, strict=True)]
    assert np.mean(right) >= 0.95


def test_hiding_the_object_takes_the_answer_away_and_hiding_the_rest_does_not(
    model: nn.Module, held_out: list[Scene]
) -> None:
    masks = torch.from_numpy(np.stack([s.masks[s.main_object] for s in held_out]))[:, None]
    classes = torch.tensor([OBJECTS.index(s.main_object) for s in held_out])
    images = inputs(held_out)
    with torch.inference_mode():
        without, alone = (
            (model(part).argmax(dim=1) == classes).float().mean() for part in (images * ~masks, images * masks)
        )
    assert without < 0.25
    assert alone > 0.95


def test_the_evidence_at_layer4_peaks_on_the_object(model: nn.Module, held_out: list[Scene]) -> None:
    classes = torch.tensor([OBJECTS.index(s.main_object) for s in held_out])
    maps = nn.functional.interpolate(grad_cam(model, inputs(held_out), classes), size=96, mode="bilinear")
    peaks = [divmod(int(one.argmax()), 96) for one in maps]
    masks = [scene.masks[scene.main_object] for scene in held_out]
    assert np.mean([mask[peak] for mask, peak in zip(masks, peaks, strict=True)]) > 0.6
    half_a_cell = 8
    near = [distance(mask, peak) <= half_a_cell for mask, peak in zip(masks, peaks, strict=True)]
    assert np.mean(near) > 0.97


def distance(mask: NDArray[np.bool_], pixel: tuple[int, int]) -> int:
    """Pixels from a pixel to the nearest one of a mask, along rows or columns, whichever is more."""
    rows, columns = mask.nonzero()
    return int(np.maximum(abs(rows - pixel[0]), abs(columns - pixel[1])).min())


def grad_cam(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., 2017) at layer4, (N, 1, 6, 6); the logit's gradient is that of average pooling."""
    kept: list[Tensor] = []
    handle = model.layer4.register_forward_hook(lambda *call: kept.append(call[2]))
    logits = model(images)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), kept)
    return (gradient.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1, keepdim=True).relu().detach()
