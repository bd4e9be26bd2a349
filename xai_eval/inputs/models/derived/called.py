"""Call a preprocessing of the user, and read the tensor from whatever it returns."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from xai_eval.errors import UsageError, XaiEvalError, error_line

Given = Callable[[Image.Image], Any]
Prepare = Callable[[Image.Image], torch.Tensor]

# Image processors of transformers return their tensor under this name.
_TENSOR_NAME = "pixel_values"
_MOST_CHANNELS = 4


class NotDerived(Exception):
    """Something about a preprocessing cannot be derived; the text is the reason, without a full stop."""


class ViewUnknown(UsageError):
    """It cannot be found out how an image looks to the model. Only LIME and masks need to know that."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"how an image looks after the preprocessing {name} cannot be derived: {reason}. LIME and masks need to "
            "know that. Give the classifier a preprocessing with the methods of xai_eval.Preprocessing (view, "
            "from_view, mask, describe), or one that only resizes, crops, pads and normalises."
        )


def prepared(given: Given, image: Image.Image) -> torch.Tensor:
    """Return the tensor (C, H, W) that a callable makes of an RGB image.

    The callable may return a tensor or a numpy array, (C, H, W) or (1, C, H, W), or a mapping that has one under
    `pixel_values`, as the image processors of transformers do. Whole numbers become floating-point numbers.

    Raises:
        UsageError: the callable raises, or returns something else.
    """
    try:
        output = given(image)
    except (XaiEvalError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise UsageError(
            f"the preprocessing {name_of(given)} fails on an RGB image of {image.width} x {image.height} px: "
            f"{error_line(error)}. Expected a callable that takes a PIL image and returns a tensor (C, H, W)."
        ) from error
    return _checked(_one_image(_array(output)), given)


def name_of(given: Given) -> str:
    """Return a name of a callable for messages: that of the function, or that of its type."""
    return str(getattr(given, "__qualname__", type(given).__name__))


def text_of(given: Given) -> str:
    """Return the text form of a callable in one line, without addresses in memory."""
    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(given)).split())


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Set the random states of Python, numpy and PyTorch back on leaving."""
    states = _random_states()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def draws_random_numbers(given: Given, image: Image.Image) -> bool:
    """Tell whether a callable draws random numbers of Python, numpy or PyTorch when it prepares an image."""
    with random_state_kept():
        before = _comparable(_random_states())
        prepared(given, image)
        return _comparable(_random_states()) != before


def _random_states() -> tuple[Any, Any, torch.Tensor]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _comparable(states: tuple[Any, Any, torch.Tensor]) -> tuple[str, ...]:
    python, numpy_state, pytorch = states
    return repr(python), repr([np.asarray(part).tolist() for part in numpy_state]), repr(pytorch.tolist())


def _array(output: object) -> object:
    if isinstance(output, Mapping) and _TENSOR_NAME in output:
        output = output[_TENSOR_NAME]
    if isinstance(output, list | tuple) and len(output) == 1:
        output = output[0]
    return torch.as_tensor(output) if isinstance(output, np.ndarray) else output


def _one_image(output: object) -> object:
    if isinstance(output, torch.Tensor) and output.dim() == 4 and len(output) == 1:
        return output[0]
    return output


def _checked(output: object, given: Given) -> torch.Tensor:
    if not isinstance(output, torch.Tensor):
        raise UsageError(
            f"the preprocessing {name_of(given)} returns a {type(output).__name__}; expected a tensor (C, H, W). "
            "Add a last step that makes a tensor of the image, such as torchvision's ToTensor()."
        )
    shape = tuple(output.shape)
    if len(shape) == 3 and shape[0] > _MOST_CHANNELS >= shape[2]:
        raise UsageError(
            f"the preprocessing {name_of(given)} returns a tensor of shape {shape}, with its channels last; expected "
            "(C, H, W). Add .permute(2, 0, 1) as its last step."
        )
    if len(shape) != 3 or 0 in shape:
        raise UsageError(
            f"the preprocessing {name_of(given)} returns a tensor of shape {shape} for one image; expected "
            "(C, H, W). Let it return one crop of the image, without other axes."
        )
    # torchvision's own kind of tensor would change what later steps return.
    plain = output.detach().as_subclass(torch.Tensor)
    # Whole numbers, such as bytes, have no gradients.
    return plain if plain.is_floating_point() or plain.is_complex() else plain.float()
