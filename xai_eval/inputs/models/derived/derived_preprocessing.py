"""A `Preprocessing` that is derived from a callable: its view, its inverse and its masks come from measurements."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from xai_eval.errors import UsageError
from xai_eval.inputs.models.derived.called import (
    Given,
    NotDerived,
    ViewUnknown,
    draws_random_numbers,
    name_of,
    prepared,
    random_state_kept,
    text_of,
)
from xai_eval.inputs.models.derived.geometry import Geometry, measure_geometry
from xai_eval.inputs.models.derived.values import Values, measure_values
from xai_eval.inputs.models.preprocessing import Preprocessing

_OWN_METHODS = ("view", "from_view", "mask", "describe")
# The sizes (height, width) whose geometry is described.
_DESCRIBED = ((240, 320), (320, 240))
_KEPT = 16
# If random numbers were drawn, so many more tries must give the same tensor.
_TRIES = 32


@dataclass(frozen=True, eq=False)
class DerivedPreprocessing:
    """A callable from an RGB image to a tensor, with all that a `Preprocessing` can do besides.

    Attributes:
        given: the callable; it alone computes the input of the model.
    """

    given: Given
    _geometries: OrderedDict[tuple[int, int], Geometry] = field(default_factory=OrderedDict, repr=False)

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the callable's own tensor (C, H, W)."""
        return prepared(self.given, image)

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the image that has this tensor, uint8 (H, W, 3); a grey image if the model sees no colours.

        Raises:
            ViewUnknown: no image has this tensor, or the values of the callable cannot be computed backwards.
        """
        tensor = self(image)
        values = self._known_values()
        view = np.clip(np.round(values.backwards(tensor)), 0, 255).astype(np.uint8)
        again = values.forwards(torch.from_numpy(view)[None])[0]
        off = np.abs((again.cpu().double() - tensor.cpu().double()).numpy()).max(axis=(1, 2))
        wrong = off > _rounding(values, tensor)
        if wrong.any():
            size = f"{image.width} x {image.height} px"
            raise ViewUnknown(name_of(self.given), _why_no_image(off[wrong], values.level[wrong], size))
        return view

    def from_view(self, views: torch.Tensor) -> torch.Tensor:
        """Turn views, uint8 (N, H, W, 3), into the model's input (N, C, H, W), on the device of the views.

        Raises:
            ViewUnknown: the values of the callable cannot be computed from a view.
        """
        return self._known_values().forwards(views)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Carry a mask (h, w) of an image to the view, (H, W), by nearest neighbour; false in an added border.

        Raises:
            ViewUnknown: it cannot be found out where the pixels of the view come from.
        """
        height, width = mask.shape
        return np.asarray(self.geometry((height, width)).carry(mask), dtype=bool)

    def labels(self, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """Carry a label map (h, w) like a mask, (H, W); 0 in an added border.

        Raises:
            ViewUnknown: it cannot be found out where the pixels of the view come from.
        """
        height, width = labels.shape
        return np.asarray(self.geometry((height, width)).carry(labels), dtype=np.int32)

    def describe(self) -> dict[str, Any]:
        """Return the text form of the callable, what was measured of it, and a sketch of a prepared test image."""
        measured: dict[str, Any]
        try:
            geometries = [self.geometry(size).describe() for size in _DESCRIBED]
            measured = {"values": self._known_values().describe(), "geometry": geometries}
        except ViewUnknown as error:
            measured = {"view unknown": str(error.__cause__ or self._values)}
        return {"kind": "callable", "callable": text_of(self.given), **measured, "sketch": self._sketch}

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """Return where the pixels of prepared images come from, for images of a height and width.

        Raises:
            ViewUnknown: it cannot be found out.
        """
        if size not in self._geometries:
            values = self._known_values()
            try:
                with random_state_kept():
                    self._geometries[size] = measure_geometry(self, values, size)
            except NotDerived as error:
                raise ViewUnknown(name_of(self.given), str(error)) from error
            if len(self._geometries) > _KEPT:
                self._geometries.popitem(last=False)
        return self._geometries[size]

    @cached_property
    def _values(self) -> Values | NotDerived:
        try:
            with random_state_kept():
                return measure_values(self)
        except NotDerived as error:
            return error

    def _known_values(self) -> Values:
        if isinstance(self._values, NotDerived):
            raise ViewUnknown(name_of(self.given), str(self._values))
        return self._values

    @cached_property
    def _sketch(self) -> list[float]:
        """A few numbers, four digits each, that differ if a test image is prepared in another way."""
        with random_state_kept():
            tensor = self(_noise()).cpu().double().flatten(1)
        weights = torch.cos(torch.arange(tensor.shape[1], dtype=torch.float64, device="cpu"))
        found = [*tensor.mean(1), *tensor.std(1), *(tensor @ weights)]
        return [float(f"{float(value):.4g}") for value in found]


def _why_no_image(off: NDArray[np.float64], level: NDArray[np.float64], size: str) -> str:
    """Say why no image has the tensor that was given for an image of a size, from the channels that are off."""
    if not level.all():
        return (
            f"one of its channels has other values at other places of an image of {size}, whatever its colours are, as "
            "coordinates have"
        )
    return (
        f"no image of bytes has the tensor that it gives for an image of {size} (the nearest one is off by "
        f"{float((off / level).max()):.1f} grey levels), as when an image is resized by a bicubic filter after it was "
        "turned into floating-point numbers"
    )


def as_preprocessing(given: Preprocessing | Given) -> Preprocessing:
    """Return a preprocessing as it is, or make one of a callable from an RGB image to a tensor.

    Such callables are the transforms of torchvision and timm, the image processors of transformers, and functions.

    Raises:
        UsageError: it is not callable, has only some of the methods of a `Preprocessing`, fails on an image, returns
            something other than a tensor (C, H, W), or gives different tensors for one image.
    """
    missing = [name for name in _OWN_METHODS if not callable(getattr(given, name, None))]
    if not callable(given):
        raise UsageError(
            f"the preprocessing is a {type(given).__name__}; expected a callable that takes a PIL image and returns a "
            "tensor (C, H, W), such as a torchvision Compose."
        )
    if not missing:
        return given  # type: ignore[return-value]  # it has all methods of the protocol
    if {"view", "from_view", "mask"} - set(missing):
        raise UsageError(
            f"the preprocessing {type(given).__name__} lacks {', '.join(missing)}. Add what is missing (see "
            f"xai_eval.Preprocessing), or remove {', '.join(sorted(set(_OWN_METHODS) - set(missing)))}; then they are "
            "derived."
        )
    _check_repeatable(given)
    return DerivedPreprocessing(given)


def shown(preprocess: Preprocessing, image: Image.Image) -> NDArray[np.uint8]:
    """Return what a person should see of a prepared image, uint8 (H, W, 3).

    That is the view. If there is none, it is the prepared tensor itself, stretched to the range from 0 to 255.
    """
    try:
        return preprocess.view(image)
    except ViewUnknown:
        return _stretched(preprocess(image))


def _check_repeatable(given: Callable[[Image.Image], Any]) -> None:
    image = _noise()
    drawn = draws_random_numbers(given, image)
    with random_state_kept():
        first = prepared(given, image)
        if torch.isnan(first).any():  # NaN differs from itself, which is not the fault of random steps
            raise UsageError(
                f"the preprocessing {name_of(given)} gives NaN for an image; expected numbers. Check what it divides "
                "by, and its mean."
            )
        for _ in range(_TRIES if drawn else 1):
            again = prepared(given, image)
            if again.shape != first.shape or not torch.equal(first, again):
                raise UsageError(
                    f"the preprocessing {name_of(given)} gives different tensors for one image, so no explanation "
                    "could be repeated. Give the preprocessing for evaluation, without random steps."
                )


def _rounding(values: Values, tensor: torch.Tensor) -> NDArray[np.float64]:
    """Return by how much each channel may differ because a view has whole grey levels, (C,)."""
    half = 0.505 * values.level
    if not values.dtype.is_floating_point:
        return half + 0.5
    return half + 4 * torch.finfo(values.dtype).eps * float(tensor.abs().max())


def _stretched(tensor: torch.Tensor) -> NDArray[np.uint8]:
    values = tensor.cpu().double().numpy()
    low, high = float(values.min()), float(values.max())
    levels = np.round((values - low) / (high - low or 1.0) * 255).astype(np.uint8)
    colours = levels[:3] if len(levels) >= 3 else np.repeat(levels[:1], 3, axis=0)
    return np.ascontiguousarray(colours.transpose(1, 2, 0))


def _noise() -> Image.Image:
    pixels = np.random.RandomState(1).randint(0, 256, (240, 320, 3)).astype(np.uint8)
    return Image.fromarray(pixels)
