"""Layers that lie over another part of the image than a map is drawn over are told, and the others are not."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from xai_eval import Classifier, evaluate, load_model
from xai_eval.inputs.models.displacement import placement
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing

SIDE, PLACES = 64, 8


class Net(nn.Module):
    """A patch embedding and a convolution over 8 x 8 places, behind something that changes the image."""

    def __init__(self, before: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before = before
        self.body = nn.Sequential(nn.Conv2d(3, 12, 8, 8), nn.GELU(), nn.Conv2d(12, 12, 3, padding=1), nn.GELU())
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.before(x)).mean((2, 3)))


def shifted(x: Tensor) -> Tensor:
    """By 12 pixels down, which are 1.5 places."""
    return pad(x, (0, 0, 12, 0))[:, :, :SIDE]


def cropped(x: Tensor) -> Tensor:
    return interpolate(x[:, :, 16:48, 16:48], size=(SIDE, SIDE), mode="bilinear")


def resized(x: Tensor) -> Tensor:
    return interpolate(x, size=(96, 96), mode="bilinear", antialias=True)


def in_frequencies(x: Tensor) -> Tensor:
    return torch.fft.fft2(x).abs().log1p()


def in_another_order(x: Tensor) -> Tensor:
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    patches = nn.functional.unfold(x, 16, stride=16)[:, :, order]
    return nn.functional.fold(patches, (SIDE, SIDE), 16, stride=16)


MOVED = {
    shifted: r"about \d\d % of the height down of it",
    cropped: r"the middle 5\d % of the image, as after a crop",
    in_frequencies: "at no place in particular",
    in_another_order: "at no place in particular, or at places far from it",
}


def remarks(before: Callable[[Tensor], Tensor]) -> str:
    model = Classifier("mine", Net(before), fixed_size_preprocessing(SIDE, (0.5,) * 3, (0.5,) * 3), tuple("abcd"))
    (result,) = evaluate("cams", model=model, images="scenes:1", methods=["gradcam"], device="cpu")
    return result["remarks"].text if "remarks" in result.fields else ""


@pytest.mark.parametrize("before", MOVED, ids=lambda each: each.__name__)
def test_a_model_that_moves_the_image_is_told(before: Callable[[Tensor], Tensor]) -> None:
    told = remarks(before)
    assert "mine: the places of layer 'body' do not lie where maps are drawn" in told

    assert re.search(MOVED[before], told)


def quarter_with_most_light(x: Tensor) -> Tensor:
    """A glimpse: each image is cut out where it is brightest."""
    places = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), SIDE // 2, SIDE // 4).flatten(1).argmax(1).tolist()
    cuts = [(each // 3 * SIDE // 4, each % 3 * SIDE // 4) for each in places]
    parts = [
        one[:, row : row + SIDE // 2, column : column + SIDE // 2] for one, (row, column) in zip(x, cuts, strict=True)
    ]
    return torch.stack(parts)


def without_its_border(x: Tensor) -> Tensor:
    edge = SIDE // 6
    return interpolate(x[:, :, edge:-edge, edge:-edge], size=(SIDE, SIDE))


@pytest.mark.parametrize("before", [quarter_with_most_light, without_its_border], ids=lambda each: each.__name__)
def test_a_model_that_sees_a_part_of_the_image_alone_is_told(before: Callable[[Tensor], Tensor]) -> None:
    assert re.search(r"sees nothing but rows \d+ to \d+ of \d+ and columns \d+ to \d+", remarks(before))


@pytest.mark.parametrize("before", [nn.Identity(), resized], ids=["plain", "resized"])
def test_a_model_that_keeps_the_image_where_it_is_is_not(before: Callable[[Tensor], Tensor]) -> None:
    assert remarks(before) == ""


@pytest.mark.parametrize("name", ["scenes:objects", "scenes:vit", "scenes:swin"])
def test_trained_networks_are_not(name: str) -> None:
    (result,) = evaluate("cams", model=load_model(name), images="scenes:1", methods=["gradcam"], device="cpu")
    assert "remarks" not in result.fields


def answers(down: float, right: float, blur: float, common: float, noise: float, seed: int) -> Tensor:
    """What each of 8 x 8 places answers to nine parts, drawn pixel by pixel by scipy, with another gain per place."""
    random = np.random.default_rng(seed)
    places = []
    for row in range(3):
        for column in range(3):
            part = np.zeros((96, 96))
            part[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = 1
            part = np.roll(
                gaussian_filter(part, blur * 96, mode="constant"), (round(down * 12), round(right * 12)), (0, 1)
            )
            places.append(part.reshape(8, 12, 8, 12).mean((1, 3)) + common)
    gain = random.uniform(0.5, 2, (8, 8))
    return torch.from_numpy(np.array(places) * gain * random.uniform(1 - noise, 1 + noise, (9, 8, 8)))


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(0, 0.1), st.floats(0, 0.5), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_what_lies_within_half_a_place_is_never_told(
    down: float, right: float, blur: float, common: float, seed: int
) -> None:
    assert str(placement(answers(down, right, blur, common, 0.1, seed))) == ""


@given(st.floats(1.1, 1.9), st.sampled_from([-1, 1]), st.floats(0, 0.05), st.floats(0, 0.3), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_what_lies_a_place_away_is_told_with_how_far(
    far: float, sign: int, blur: float, common: float, seed: int
) -> None:
    found = placement(answers(sign * far, 0, blur, common, 0.1, seed))
    assert found.down * 8 == pytest.approx(sign * far, abs=0.5) and abs(found.right * 8) < 0.5


@given(st.integers(0, 99), st.floats(0, 0.1))
@settings(max_examples=15, deadline=None)
def test_places_in_another_order_are_told_row_by_row(seed: int, blur: float) -> None:
    mirrored = answers(0, 0, blur, 0, 0.1, seed)
    mirrored[:, 1::2] = mirrored[:, 1::2].flip(2)
    assert placement(mirrored).mixed == pytest.approx(0.4, abs=0.1), "the middle of the mirrored rows stays"


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_an_image_on_the_middle_half_is_told_to_be(blur: float) -> None:
    """Each of 3 x 3 parts is drawn on the middle half of 12 x 12 places, as a model that pads shows it."""
    parts = np.zeros((9, 96, 96))
    for n in range(9):
        row, column = 24 + n // 3 * 16, 24 + n % 3 * 16
        parts[n, row : row + 16, column : column + 16] = 1
    seen = np.stack([gaussian_filter(each, blur) for each in parts]).reshape(9, 12, 8, 12, 8).mean((2, 4))
    found = placement(torch.from_numpy(seen))
    assert found.magnified == pytest.approx(0.5, abs=0.1) and "as after padding inside the model" in str(found)


def test_few_places_tell_nothing() -> None:
    assert str(placement(torch.rand(9, 2, 2))) == ""
