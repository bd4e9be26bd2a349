"""What is derived of a callable is compared with torchvision's presets, and with the callable's own output."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage import data
from timm.data import create_transform
from tiny_models import Tiny
from torchvision import transforms as T
from torchvision.models import (
    Inception_V3_Weights,
    ResNet18_Weights,
    ResNet50_Weights,
    ViT_B_16_Weights,
)
from torchvision.transforms import v2

from xai_eval.errors import UsageError
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.derived.called import ViewUnknown
from xai_eval.inputs.models.derived.derived_preprocessing import DerivedPreprocessing, as_preprocessing, shown
from xai_eval.inputs.models.preprocessing import TorchvisionPreset, imagenet_preprocessing

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMAL = T.Normalize(MEAN, STD)
PRESETS = [
    ResNet18_Weights.IMAGENET1K_V1,
    ResNet50_Weights.IMAGENET1K_V2,
    ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1,
    Inception_V3_Weights.IMAGENET1K_V1,
]
SIZES = [(375, 500), (500, 333), (64, 64)]
PHOTOGRAPHS = [data.chelsea()[:150, :225], data.coffee()[:200, :125], data.astronaut()[:100, :333]]


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.RandomState(1).randint(0, 256, (height, width, 3)).astype(np.uint8))


def derived(prepare: Callable[[Image.Image], Any]) -> DerivedPreprocessing:
    made = as_preprocessing(prepare)
    assert isinstance(made, DerivedPreprocessing)
    return made


def letterbox(image: Image.Image) -> torch.Tensor:
    return T.ToTensor()(ImageOps.pad(image, (160, 96), color=(114, 114, 114)))


def with_empty_depth(image: Image.Image) -> torch.Tensor:
    colours = T.ToTensor()(image.resize((96, 64)))
    return torch.cat([colours, torch.zeros(1, 64, 96)])


def with_brightness(image: Image.Image) -> torch.Tensor:
    colours = T.ToTensor()(image.resize((96, 64)))
    return torch.cat([colours, colours.mean(0, keepdim=True)])


def blue_first(image: Image.Image) -> torch.Tensor:
    return T.PILToTensor()(image.resize((64, 48)))[[2, 1, 0]].float() - 110


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def turned(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


def half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.half()


def named(image: Image.Image) -> dict[str, Any]:
    return {"pixel_values": [T.ToTensor()(image.resize((50, 40))).numpy()]}


DERIVABLE = {
    "not square": T.Compose([T.Resize((96, 160)), T.ToTensor(), NORMAL]),
    "bicubic": T.Compose([T.Resize(118, T.InterpolationMode.BICUBIC), T.CenterCrop(112), T.ToTensor(), NORMAL]),
    "nearest": T.Compose([T.Resize((100, 130), T.InterpolationMode.NEAREST), T.ToTensor()]),
    "v2 on bytes": v2.Compose(
        [v2.ToImage(), v2.Resize((120, 90)), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    ),
    "v2 on numbers": v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Resize((120, 90))]),
    "padded": T.Compose([T.Resize(100), T.CenterCrop(130), T.ToTensor(), NORMAL]),
    "mirrored border": T.Compose([T.Resize((100, 80)), T.Pad(20, padding_mode="reflect"), T.ToTensor()]),
    "repeated border": T.Compose([T.Resize((100, 80)), T.Pad(20, padding_mode="edge"), T.ToTensor()]),
    "letterbox": letterbox,
    "one channel": T.Compose([T.Grayscale(), T.Resize((28, 28)), T.ToTensor(), T.Normalize((0.13,), (0.3,))]),
    "three grey channels": T.Compose([T.Grayscale(3), T.Resize((64, 64)), T.ToTensor(), NORMAL]),
    "four channels, one empty": with_empty_depth,
    "four channels, one of brightness": with_brightness,
    "blue first": blue_first,
    "bytes": T.Compose([T.Resize((50, 50)), T.PILToTensor()]),
    "half precision": T.Compose([T.Resize((50, 50)), T.ToTensor(), NORMAL, half]),
    "mirrored": T.Compose([T.Resize((50, 70)), mirrored, T.ToTensor()]),
    "turned": T.Compose([T.Resize((50, 70)), turned, T.ToTensor()]),
    "any size": T.Compose([T.ToTensor(), NORMAL]),
    "shorter side only": T.Compose([T.Resize(64), T.ToTensor()]),
    "cropped, then resized": T.Compose([T.CenterCrop(200), T.Resize(96), T.ToTensor()]),
    "timm": create_transform(96, is_training=False),
    "timm, with a border": create_transform(96, is_training=False, crop_mode="border", crop_pct=0.9),
    "timm, squashed": create_transform((3, 80, 112), is_training=False, crop_mode="squash", interpolation="bicubic"),
    "a random step that never happens": T.Compose([T.RandomHorizontalFlip(0), T.Resize((60, 60)), T.ToTensor()]),
    "with a batch axis": lambda image: T.ToTensor()(image.resize((40, 40)))[None],
    "pixel_values": named,
}
NOT_DERIVABLE = {
    "gamma": (lambda image: T.ToTensor()(image.resize((40, 40))) ** 1.2, "not proportional to the colours"),
    "highest colour": (lambda image: T.ToTensor()(image.convert("HSV"))[2:3], "not proportional to the colours"),
    "equalised": (T.Compose([T.Resize((60, 60)), ImageOps.equalize, T.ToTensor()]), "rest of the image"),
    "stretched": (T.Compose([T.Resize((60, 60)), ImageOps.autocontrast, T.ToTensor()]), "rest of the image"),
    "two channels": (lambda image: T.ToTensor()(image)[:2], "keep 2 of the three colour channels"),
    "constant": (lambda _: torch.zeros(3, 9, 9), "black and a white image give the same tensor"),
}


def scaled_by_itself(image: Image.Image) -> torch.Tensor:
    tensor = T.ToTensor()(image.resize((96, 64)))
    return (tensor - tensor.mean()) / tensor.std()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weights", PRESETS)
def test_of_a_torchvision_preset_all_is_derived_as_our_own_class_knows_it(weights: Any, size: tuple[int, int]) -> None:
    mine, known = derived(weights.transforms()), TorchvisionPreset(weights.transforms())
    image = noise(*size)
    assert torch.equal(mine(image), known(image))
    assert np.array_equal(mine.view(image), known.view(image))
    views = torch.from_numpy(known.view(image).copy())[None]
    assert torch.allclose(mine.from_view(views), known.from_view(views), rtol=0, atol=1e-6)
    found = mine.geometry(size)
    assert found.shown.all()
    check_origins(np.stack([found.rows, found.columns]), known, size)


def moved_by(known: TorchvisionPreset, size: tuple[int, int]) -> NDArray[np.int64]:
    """Row and column of the image that each prepared pixel shows, read bit by bit from masks: (2, H, W)."""
    places = np.indices(size)
    bits = [known.mask((places[axis] >> bit & 1).astype(bool)) for axis in (0, 1) for bit in range(9)]
    return np.stack([sum(bits[9 * axis + bit].astype(np.int64) << bit for bit in range(9)) for axis in (0, 1)])


def check_origins(origins: NDArray[Any], known: TorchvisionPreset, size: tuple[int, int]) -> None:
    """Require the preset's own origins, but where the exact origin lies on the border of two pixels."""
    preset = known.transforms
    off = origins != moved_by(known, size)
    for axis, length in enumerate(size):
        resized = int(preset.resize_size[0] * length / min(size))
        start = round((resized - preset.crop_size[0]) / 2.0)
        exact = (np.arange(preset.crop_size[0]) + start + 0.5) * length / resized
        tied = np.abs(exact - np.round(exact)) < 1e-6
        assert not off[axis].any(axis=1 - axis)[~tied].any()


def photograph_for(name: str) -> NDArray[np.uint8]:
    """One of the photographs, of which each has another ratio."""
    return PHOTOGRAPHS[list(DERIVABLE).index(name) % len(PHOTOGRAPHS)]


@pytest.mark.parametrize("name", DERIVABLE)
def test_the_view_leads_to_the_callables_own_tensor(name: str) -> None:
    mine, image = derived(DERIVABLE[name]), Image.fromarray(photograph_for(name))
    tensor, view = mine(image), mine.view(image)
    again = mine.from_view(torch.from_numpy(view)[None])[0]
    assert view.dtype == np.uint8
    assert view.shape == (*tensor.shape[1:], 3)
    assert again.dtype == tensor.dtype
    # A view has whole grey levels, so a value may be off by half a level.
    white, black = (mine(Image.new("RGB", (99, 99), colour)).double() for colour in ("white", "black"))
    level = float((white - black).abs().max()) / 255
    assert float((again.double() - tensor.double()).abs().max()) <= 0.51 * level + 1e-6


@pytest.mark.parametrize("name", DERIVABLE)
def test_a_mask_lands_where_a_drawing_of_it_lands(name: str) -> None:
    height, width = photograph_for(name).shape[:2]
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 3 : height // 2, width // 5 : width // 2] = True
    mine = derived(DERIVABLE[name])
    drawn = mine(Image.fromarray(np.repeat(mask[:, :, None], 3, axis=2).astype(np.uint8) * 255))[0].double()
    black = mine(Image.new("RGB", (width, height)))[0].double()
    seen = ((drawn - black) > (drawn - black).max() / 2).numpy()
    moved = mine.mask(mask)
    assert moved.shape == seen.shape
    rows, columns = moved.sum(axis=0).max(), moved.sum(axis=1).max()
    # On average, its border lies within half a pixel of that of the drawing.
    assert (moved ^ seen).sum() <= rows + columns


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(40, 300),
    width=st.integers(40, 300),
    resize=st.tuples(st.integers(24, 120), st.integers(24, 120)),
    crop=st.tuples(st.integers(24, 120), st.integers(24, 120)),
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 2)] * 3),
)
def test_any_resize_crop_and_normalisation(
    height: int, width: int, resize: Any, crop: Any, mean: Any, std: Any
) -> None:
    steps = [T.Resize(resize), T.CenterCrop(crop)]
    mine, image = derived(T.Compose([*steps, T.ToTensor(), T.Normalize(mean, std)])), noise(height, width)
    expected = np.asarray(T.Compose(steps)(image))
    view = mine.view(image)
    # The border of a crop that is larger than the image is 0 in the image.
    assert np.array_equal(view, expected)
    again = mine.from_view(torch.from_numpy(view)[None])[0]
    assert torch.allclose(again, mine(image), rtol=1e-5, atol=1e-5)
    left, top, right, bottom = mine.geometry((height, width)).box or (0, 0, 0, 0)
    for first, last, length, scaled, cut in ((top, bottom, height, 0, 0), (left, right, width, 1, 1)):
        assert last - first == pytest.approx(crop[cut] * length / resize[scaled], abs=0.02)


def test_a_border_that_was_added_is_outside_of_every_mask() -> None:
    everything = derived(T.Compose([T.Resize((40, 60)), T.Pad(10), T.ToTensor()])).mask(np.ones((80, 120), dtype=bool))
    expected = np.zeros((60, 80), dtype=bool)
    expected[10:50, 10:70] = True
    assert np.array_equal(everything, expected)


@pytest.mark.parametrize("name", NOT_DERIVABLE)
def test_what_cannot_be_derived_is_said_and_the_tensor_is_there_all_the_same(name: str) -> None:
    prepare, reason = NOT_DERIVABLE[name]
    mine, image = derived(prepare), Image.fromarray(data.chelsea())
    assert torch.equal(mine(image), prepare(image))
    for call in (
        lambda: mine.view(image),
        lambda: mine.mask(np.ones((300, 451), dtype=bool)),
        lambda: mine.from_view(torch.zeros(1, 8, 8, 3, dtype=torch.uint8)),
    ):
        with pytest.raises(ViewUnknown, match=rf"cannot be derived: .*{reason}.*LIME and masks .*view, from_view"):
            call()
    assert reason in mine.describe()["view unknown"]
    assert shown(mine, image).shape == (*prepare(image).shape[1:], 3)


def test_values_scaled_by_the_image_itself() -> None:
    with pytest.raises(ViewUnknown, match="divided by their own standard deviation"):
        derived(scaled_by_itself).view(noise(90, 90))


def test_values_that_no_image_of_bytes_has() -> None:
    bicubic = v2.Resize((120, 90), interpolation=T.InterpolationMode.BICUBIC)
    mine = derived(v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), bicubic]))
    with pytest.raises(ViewUnknown, match=r"no image of bytes has the tensor .* 60 x 90 px .* grey levels"):
        mine.view(noise(90, 60))
    assert mine.mask(np.ones((90, 60), dtype=bool)).all()


def test_a_channel_that_does_not_come_from_the_image_is_named_as_the_reason() -> None:
    columns = torch.linspace(-1, 1, 40).expand(1, 40, 40)
    steps = [T.Resize((40, 40)), T.ToTensor(), T.Lambda(lambda tensor: torch.cat([tensor, columns]))]
    with warnings.catch_warnings(), pytest.raises(ViewUnknown, match=r"whatever its colours are, as coordinates have"):
        warnings.simplefilter("error")
        derived(T.Compose(steps)).view(noise(60, 60))


def test_what_is_shown_is_the_view_if_there_is_one() -> None:
    image = noise(50, 60)
    assert np.array_equal(shown(imagenet_preprocessing(), image), imagenet_preprocessing().view(image))


@pytest.mark.parametrize(
    "prepare",
    [
        T.Compose([T.Resize((60, 60)), T.RandomHorizontalFlip(), T.ToTensor()]),
        T.Compose([T.RandomResizedCrop(60), T.ToTensor()]),
        v2.Compose([v2.ToImage(), v2.RandomApply([v2.GaussianBlur(5)], 0.2), v2.ToDtype(torch.float32, scale=True)]),
        lambda image: T.ToTensor()(image) + random.random(),
        lambda image: T.ToTensor()(image) + np.random.rand(),
        lambda image: T.ToTensor()(image) + np.random.default_rng().random(),
    ],
)
def test_a_random_preprocessing_is_refused(prepare: Any) -> None:
    with pytest.raises(UsageError, match=r"different tensors for one image.*without random steps"):
        as_preprocessing(prepare)


def test_numbers_that_are_none_are_not_called_random() -> None:
    with pytest.raises(UsageError, match="gives NaN for an image; expected numbers"):
        as_preprocessing(lambda image: torch.full((3, 8, 8), float("nan")))


def test_random_states_are_left_as_they_were() -> None:
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    mine = derived(DERIVABLE["a random step that never happens"])
    mine.describe()
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (T.Resize(60), r"returns a Image; expected a tensor .*ToTensor\(\)"),
        (lambda image: torch.from_numpy(np.array(image)), r"\(240, 320, 3\), with its channels last.*permute"),
        (lambda image: torch.stack([T.ToTensor()(image)] * 10), r"\(10, 3, 240, 320\) for one image"),
        (lambda image: image.shape, r"<lambda> fails on an RGB image of 320 x 240 px: AttributeError"),
        ("resize to 224", r"is a str; expected a callable"),
    ],
)
def test_what_makes_no_tensor_of_an_image(prepare: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        as_preprocessing(prepare)


class HalfOfOne:
    def __call__(self, image: Image.Image) -> torch.Tensor:
        return T.ToTensor()(image)

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        return np.asarray(image)


def test_a_preprocessing_with_some_methods_only() -> None:
    with pytest.raises(UsageError, match=r"HalfOfOne lacks from_view, mask, describe"):
        as_preprocessing(HalfOfOne())


def test_a_whole_preprocessing_passes_as_it_is() -> None:
    whole = imagenet_preprocessing()
    assert as_preprocessing(whole) is whole
    mine = derived(DERIVABLE["bicubic"])
    assert as_preprocessing(mine) is mine


def test_descriptions_are_json_and_differ_where_tensors_differ() -> None:
    prepares = [
        *(DERIVABLE[name] for name in ("bicubic", "letterbox", "one channel", "mirrored", "bytes", "timm")),
        T.Compose([T.Resize(118), T.CenterCrop(112), T.ToTensor(), NORMAL]),
        lambda image: T.ToTensor()(image.resize((40, 40), Image.Resampling.BICUBIC)),
        lambda image: T.ToTensor()(image.resize((40, 40), Image.Resampling.BILINEAR)),
        *(prepare for prepare, _ in NOT_DERIVABLE.values()),
    ]
    texts = [json.dumps(derived(prepare).describe()) for prepare in prepares]
    assert len(set(texts)) == len(prepares)
    assert not any("0x" in text for text in texts)


def test_a_description_can_be_repeated() -> None:
    assert derived(letterbox).describe() == derived(letterbox).describe()
    assert derived(letterbox).describe()["geometry"][0] == {
        "from": [240, 320],
        "to": [96, 160],
        "box": [-40.0, 0.0, 360.0, 240.0],
    }


def test_a_classifier_takes_any_callable() -> None:
    mine = Classifier("mine", Tiny(), T.Compose([T.Resize((40, 60)), T.ToTensor()]), ("cat", "dog"))
    assert mine.input_shape == (3, 40, 60)
    assert mine.preprocess.view(noise(80, 120)).shape == (40, 60, 3)
    with pytest.raises(UsageError, match="without random steps"):
        Classifier("mine", Tiny(), T.Compose([T.RandomCrop(40), T.ToTensor()]), ("cat", "dog"))
