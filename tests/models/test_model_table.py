"""A table of models of all kinds: each is explained as the plain library does, or refused with the true reason.

`pytest tests/models -s` prints the table. The reference of each row is pytorch-grad-cam, called on a network that
nothing of xai_eval has seen, at the layer that is expected by hand, with a `reshape_transform` that is written by hand,
on numbers that are picked from the output by hand. Expected probabilities are computed from them in double precision.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from model_row import Numbers, Row, Told
from model_rows import REAL, ROWS
from numpy.typing import NDArray
from PIL import Image
from stock_answer import StockAnswer, stock_answer
from torch import Tensor, nn
from torchvision import transforms

from xai_eval import Classifier, ImageSet, evaluate, load_images, load_model
from xai_eval.errors import XaiEvalError
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, fixed_size_preprocessing
from xai_eval.result.result import Result

# TorchScript and torch.ao.quantization are deprecated; people use them all the same.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SCENES = load_images("scenes:2")
IMAGES, REFERENCE = (dataclasses.replace(SCENES, images=(image,)) for image in SCENES.images)
# Both sides do the same operations in single precision. Where they differ at all, it is by the order of a sum.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Explained:
    """What xai_eval says of a row."""

    layer: str
    layout: str
    output: str
    map: NDArray[np.float32]
    index: int
    top: tuple[float, ...]


def _id(row: Row) -> str:
    return f"{row.name}, layer {row.asked}" if row.asked else row.name


def _parameters(refused: bool) -> list[object]:
    chosen = [row for row in ROWS if bool(row.refused) is refused]
    return [pytest.param(row, id=_id(row), marks=[pytest.mark.slow] if row.slow else []) for row in chosen]


def test_the_table_is_large() -> None:
    assert len(ROWS) >= 150
    assert len({_id(row) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", _parameters(refused=False))
def test_a_model_is_explained_as_the_library_does(row: Row, tell: Callable[[Told], None]) -> None:
    network = nn.Identity() if row.file else row.make()
    untouched = (row.reference or row.make)() if row.file or row.reference else copy.deepcopy(network)
    with _nothing_left_behind():
        found = explained(row, network)
    expected = stock_answer(row, untouched, batch_of(row), batch_of(row, REFERENCE))
    wrong = _wrong(row, found, expected)
    named = f"the map is that of pytorch-grad-cam at {row.layer_in_reference or row.layer}"
    verdict = f"wrong: {wrong}" if wrong else f"right: {named}, and so are its numbers ({row.numbers})"
    tell(Told(_id(row), found.layer, found.layout, found.output, verdict))
    assert not wrong


@pytest.mark.parametrize("row", _parameters(refused=True))
def test_a_model_that_cannot_be_explained_is_refused_for_the_true_reason(
    row: Row, tell: Callable[[Told], None]
) -> None:
    network = nn.Identity() if row.file else row.make()
    with _nothing_left_behind(), pytest.raises(XaiEvalError) as refusal:
        explained(row, network)
    sentence = " ".join(str(refusal.value).split())
    tell(Told(_id(row), row.asked or "-", "-", "-", f"refused: {sentence}"))
    assert row.refused in sentence


@pytest.mark.slow
def test_the_real_weights_know_a_cat() -> None:
    photographs = load_images("photographs")
    cats = dataclasses.replace(photographs, images=tuple(each for each in photographs.images if "cat" in each.name))
    assert len(cats.images) == 1
    classifier = _classifier(REAL[0], REAL[0].make())
    (result,) = evaluate("cams", model=classifier, images=cats, device="cpu", methods=["gradcam"])
    assert result.fields["predicted"].text in {"tabby", "Egyptian cat", "tiger cat"}


def explained(row: Row, network: nn.Module) -> Explained:
    """Explain a row as a user would."""
    asked = {"layer": row.asked} if row.asked else {}
    classifier = _classifier(row, network)
    (result,) = evaluate("cams", model=classifier, images=IMAGES, device="cpu", methods=["gradcam"], **asked)
    layer = str(result.case.params["layer"])
    findings = result.fields["model"].content
    layout = str(findings[f"layer {layer}"]).removesuffix("; gradients reach its places")
    return Explained(layer, layout, str(findings["output"]).partition(" (")[0], _map(result), *_numbers(result))


def _map(result: Result) -> NDArray[np.float32]:
    return np.asarray(result.fields["gradcam"].array)


def _numbers(result: Result) -> tuple[int, tuple[float, ...]]:
    return result.fields["explained"].index, result.fields["top5"].values


def _classifier(row: Row, network: nn.Module) -> Classifier:
    if row.file:
        return load_model(f"file:{inspect.getfile(row.make)}:{row.make.__name__}", device="cpu")
    prepared = fixed_size_preprocessing(row.size, IMAGENET_MEAN, IMAGENET_STD)
    changed = row.before or row.after or row.width
    found = wrap_module(network, row.name, _steps(row) if changed else prepared, row.output)
    return found.similar_to(REFERENCE) if row.numbers is Numbers.COSINE else found


def batch_of(row: Row, images: ImageSet = IMAGES) -> Tensor:
    """Prepare the image by torchvision alone, (1, channels, size, size)."""
    prepared: Tensor = _steps(row)(Image.fromarray(images.images[0].pixels))
    return prepared[None]


def _steps(row: Row) -> Callable[[Image.Image], Tensor]:
    resized = 256 if row.file else (row.size, row.width) if row.width else row.size
    colours = row.channels if row.before else 3
    return transforms.Compose(
        [
            transforms.Resize(resized),
            transforms.CenterCrop((row.size, row.width or row.size)),
            *([row.before] if row.before else []),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN[:colours], IMAGENET_STD[:colours]),
            *([row.after] if row.after else []),
        ]
    )


def _wrong(row: Row, found: Explained, expected: StockAnswer) -> str:
    """Say what is wrong with an explanation; nothing if it is right."""
    assert np.ptp(expected.map) > 0.5, "the reference itself is empty, so that it shows nothing"
    if found.layer != row.layer:
        return f"layer {found.layer} is explained instead of {row.layer}"
    if found.index != expected.index:
        return f"class {found.index} is explained instead of {expected.index}"
    if found.map.shape != expected.map.shape:
        return f"the map is {found.map.shape} instead of {expected.map.shape}"
    difference = float(np.abs(found.map - expected.map).max())
    if difference > ROUNDING:
        return f"the map differs by {difference:.2g}"
    top = np.sort(expected.shown)[::-1][:5]
    return "" if np.allclose(found.top, top, rtol=0, atol=ROUNDING) else f"{found.top} is shown instead of {top}"


@contextmanager
def _nothing_left_behind() -> Iterator[None]:
    """Check that a factory changes neither the working directory nor the defaults of torch."""

    def defaults() -> tuple[object, ...]:
        return (
            Path.cwd(),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
        )

    before = defaults()
    yield
    assert defaults() == before
