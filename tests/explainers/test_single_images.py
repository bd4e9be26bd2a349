"""A model that takes single images only is explained like the same model that takes batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import transforms

from xai_eval import Classifier, evaluate, load_images

IMAGES = load_images("scenes:1")
PREPARED = transforms.Compose([transforms.Resize((48, 48)), transforms.ToTensor()])


class Net(nn.Module):
    """Takes batches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 5, 4), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU())
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x)

    def answer(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class Refuses(Net):
    def forward(self, x: Tensor) -> Tensor:
        assert len(x) == 1
        return self.answer(x)


class ReturnsOneRow(Net):
    """Looks at the first image only, and says nothing of the others."""

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x[:1])


class Flattens(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x).flatten()[None]


class OwnForm(Net):
    """The shape of a single image is written down in the network."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x.reshape(1, 3, 48, 48)).reshape(1, 6, -1).mean(2))


KINDS: list[Callable[[], nn.Module]] = [Refuses, ReturnsOneRow, Flattens, OwnForm]
TASKS: dict[str, dict[str, object]] = {
    "cams": {"methods": ["gradcam", "scorecam", "ablationcam", "hirescam"]},
    "attributions": {"methods": ["integrated_gradients", "smoothgrad", "occlusion"], "samples": 4, "steps": 4},
    "lime": {"num_samples": 30, "seeds": 1},
}


def explained(net: nn.Module, task: str) -> dict[str, np.ndarray]:
    mine = Classifier("mine", net, PREPARED, ("a", "b", "c", "d"))
    results = evaluate(task, model=mine, images=IMAGES, device="cpu", **TASKS[task])
    maps = {name: field.array for name, field in results[0].fields.items() if hasattr(field, "array")}
    return {name: np.asarray(each, dtype=np.float64) for name, each in maps.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_takes_single_images_gives_the_same_maps(kind: Callable[[], nn.Module], task: str) -> None:
    expected, found = explained(Net(), task), explained(kind(), task)
    assert set(found) == set(expected) and any(np.ptp(each) > 0 for each in expected.values())
    for name, each in expected.items():
        np.testing.assert_allclose(found[name], each, rtol=0, atol=2e-5, err_msg=name)


def test_single_images_are_found_out_and_said() -> None:
    for kind in KINDS:
        mine = Classifier("mine", kind(), PREPARED, ("a", "b", "c", "d"))
        (result,) = evaluate("cams", model=mine, images=IMAGES, device="cpu", methods=["gradcam"])
        assert result.fields["model"].content["same answer alone and in a batch"] == "takes single images only"
