"""An explainer of the user: a function in a Python file, as one of the methods."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xai_eval.errors import UsageError, XaiEvalError, error_line
from xai_eval.explainers.attribution.method import Method
from xai_eval.explainers.attribution.question import Question
from xai_eval.inputs.downloads import file_sha256
from xai_eval.inputs.models.factory_file import load_function
from xai_eval.inputs.paths import given_path

PREFIX = "file:"
_EXPECTED = "a tensor or an array of real numbers: (N, h, w), or (N, C, H, W) with H and W of the batch"
_MAP, _ATTRIBUTION = 3, 4  # axes


def own_method(spec: str) -> Method:
    """Load the method with the spec `file:PATH.py:FUNCTION`. Its name is that of the function.

    Raises:
        UsageError: the spec is malformed, or the file has no such function.
        InputUnavailable: the file is missing, or raises an error.
    """
    file, _, name = spec.removeprefix(PREFIX).rpartition(":")
    if not name.isidentifier() or not file.endswith(".py"):
        raise UsageError(f"method {spec!r} is malformed; expected file:PATH.py:FUNCTION.")
    path = given_path(file)
    function = load_function(path, name)
    recorded = f"{PREFIX}{path.name}:{name}"

    def attribute(question: Question) -> Tensor:
        return _called(function, recorded, path, question)

    return Method(name, attribute, may_refuse=True, spec=recorded, digest=file_sha256(path))


def _called(function: Callable[..., Any], name: str, path: Path, question: Question) -> Tensor:
    batch = question.batch.detach().clone()
    targets = torch.tensor([question.target], device=batch.device)
    try:
        found = function(question.module, batch, targets)
    except (XaiEvalError, KeyboardInterrupt):
        raise
    # Code of the user may raise anything, and sys.exit() must not end the run as if it had succeeded.
    except BaseException as error:
        raise UsageError(
            f"{name} raises {error_line(error).rstrip('.')}{_line_of(error, path)}, called with the module, a batch "
            f"{tuple(batch.shape)} and targets {tuple(targets.shape)}. Correct the function, or leave it out of "
            "--methods."
        ) from error
    return _checked(found, name, (batch.shape[-2], batch.shape[-1]))


def _line_of(error: BaseException, path: Path) -> str:
    """Return the innermost line of the file in the traceback of an error, as ` (file:line)`; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f" ({path.name}:{own[-1].lineno})" if own else ""


def _checked(found: object, name: str, size: tuple[int, int]) -> Tensor:
    """Return what the function gave for one image as a tensor; raise UsageError unless it is an attribution of it."""
    if not isinstance(found, Tensor | np.ndarray):
        raise UsageError(f"{name} returned a {type(found).__name__}; expected {_EXPECTED}.")
    if isinstance(found, np.ma.MaskedArray):
        raise UsageError(
            f"{name} returned a masked array; expected {_EXPECTED}. Fill what is masked (array.filled(0))."
        )
    array = _of_one_image(_as_array(found, name), size)
    if array.ndim not in (_MAP, _ATTRIBUTION) or len(array) != 1 or not _fits(array.shape, size):
        height, width = size
        raise UsageError(
            f"{name} returned an array {array.shape} for one image; expected {_EXPECTED}: here (1, {height}, {width}), "
            f"(1, C, {height}, {width}), or a coarser map (1, h, w) in the proportions of the image."
        )
    if not np.isfinite(array).all():
        raise UsageError(
            f"{name} returned values that are NaN or infinite in single precision (above 3.4e38); expected finite "
            "numbers. Correct it."
        )
    if bool((found != 0).any()) and not array.any():
        raise UsageError(
            f"{name} returned values that are 0 in single precision (below 1.4e-45); expected larger ones. Multiply "
            "them by a constant."
        )
    return torch.from_numpy(array)


def _of_one_image(array: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Give a map (h, w) its axis of images, and take the axis of channels from a coarser one, (1, 1, h, w).

    The latter is what captum returns for layers.
    """
    if array.ndim == _MAP - 1:
        return array[None]
    coarser = array.ndim == _ATTRIBUTION and array.shape[1] == 1 and array.shape[-2:] != size
    return array[:, 0] if coarser else array


def _as_array(found: Tensor | NDArray[Any], name: str) -> NDArray[np.float32]:
    kind = found.dtype
    if isinstance(found, Tensor):
        real = kind != torch.bool and not found.is_complex()
        array = _dense(found, name).float().cpu().numpy() if real else None
    else:
        array = found.astype(np.float32) if found.dtype.kind in "fiu" else None
    if array is None:
        raise UsageError(f"{name} returned values of type {kind}; expected {_EXPECTED}.")
    return np.ascontiguousarray(array)


def _dense(found: Tensor, name: str) -> Tensor:
    if found.is_meta or found.layout != torch.strided or found.is_quantized or found.is_nested:
        kind = "on the device meta" if found.is_meta else "that is sparse, quantised or nested"
        raise UsageError(f"{name} returned a tensor {kind}; expected {_EXPECTED}. Return one that holds all values.")
    return found.detach()


def _fits(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Tell whether an attribution has the size of the input, or a map is coarser, in its proportions but for a cell."""
    cells = shape[-2:]
    if cells == size or len(shape) == 4:
        return cells == size
    (rows, columns), (height, width) = cells, size
    coarser = 1 <= rows <= height and 1 <= columns <= width
    return coarser and (abs(rows - columns * height / width) <= 1 or abs(columns - rows * width / height) <= 1)
