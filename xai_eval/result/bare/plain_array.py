"""Takes the numbers out of arrays and tensors of any library, or says in one sentence why that is not possible."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import UsageError, error_line
from xai_eval.result.bare.wrong_value import described, wrong_value


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor of torch. If torch was never imported, there are none."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_array(value: object) -> bool:
    """Whether a value is a tensor, or an array of numpy or of a library that numpy can read, such as jax."""
    return is_tensor(value) or all(hasattr(value, name) for name in ("__array__", "shape", "dtype"))


def plain_array(value: Any, where: str) -> NDArray[Any]:
    """Copy an array or tensor into a numpy array: bools, or finite floats of at least single precision.

    A tensor may be on any device, have any type and be part of a graph. One integer becomes a float; an array of
    integers is refused, because it may be anything: a map, classes, superpixels, the pixels of an image.

    Raises:
        UsageError: it is empty, its numbers cannot be read, are no real numbers, or are NaN or infinite.
    """
    array = _read(value, where)
    if not array.size:
        raise wrong_value(where, value, "It is empty: check that the explanation was computed.")
    if array.dtype.kind == "b":
        return np.array(array, dtype=np.bool_)
    if array.dtype.kind in "iu" and array.size > 1:
        advice = "Integers may be classes or superpixels. Convert a map with .astype(float), a mask with .astype(bool)."
        raise wrong_value(where, value, advice.replace(".astype(float)", ".float()") if is_tensor(value) else advice)
    if array.dtype.kind not in "fiu":
        raise wrong_value(where, value, "Only real numbers can be compared: convert it to floats first.")
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    floats: NDArray[np.floating[Any]] = np.array(array, dtype=np.float32 if single else np.float64)
    _require_finite(floats, value, where)
    return floats


def _read(value: Any, where: str) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise wrong_value(where, value, "Its masked places have no value: replace them, as with .filled(0).")
    try:
        return _of_tensor(value) if is_tensor(value) else np.asarray(value)
    except Exception as error:  # the code of any library
        raise UsageError(
            f"{where} got {described(value)}, whose numbers cannot be read ({error_line(error)}). Convert it to a "
            "numpy array first."
        ) from error


def _of_tensor(tensor: Any) -> NDArray[Any]:
    dense = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    # numpy has no bfloat16 and no smaller floats; all of them fit into single precision.
    wide = dense.float() if dense.is_floating_point() and dense.element_size() < 4 else dense
    numbers: NDArray[Any] = wide.cpu().resolve_conj().resolve_neg().numpy()
    return numbers


def _require_finite(floats: NDArray[np.floating[Any]], value: object, where: str) -> None:
    missing, infinite = int(np.isnan(floats).sum()), int(np.isinf(floats).sum())
    if missing or infinite:
        found = " and ".join(f"{n} {word}" for n, word in ((missing, "NaN"), (infinite, "infinite")) if n)
        raise UsageError(
            f"{where} got {described(value)} with {found} of {floats.size} values; expected finite numbers. Find out "
            "where the explanation divides by zero or overflows."
        )
