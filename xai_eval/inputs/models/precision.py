"""The precision in which a model computes, as a run asks for it: settings of torch, set for a while and set back.

TF32 rounds inputs of products and convolutions to ten bits, on GPUs that have it. Autocast lets torch compute products
and convolutions in half precision, and the rest in single precision; weights stay as they are. Both hold for all that
is computed inside the context. What this package itself computes from numbers of a model (weights of attention,
similarities, metrics) is excepted by `in_single`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.errors import ModelMisbehaves, UsageError, error_line
from xai_eval.inputs.models.arithmetic import arithmetic, restore_arithmetic
from xai_eval.result.precisions import BFLOAT16, DEFAULT, FLOAT16, HALVES, TF32, check_precision, coarseness

_DTYPES = {BFLOAT16: torch.bfloat16, FLOAT16: torch.float16}
_KINDS = ("cpu", "cuda", "mps", "xpu")
_AMPERE = 8  # the first compute capability with TF32
_LEAVE_OUT = "or leave --precision out"
_asked: ContextVar[str] = ContextVar("asked_precision", default=DEFAULT)


def asked_precision() -> str:
    """Return the precision that the surrounding `computing_in` asks for; `default` outside of one."""
    return _asked.get()


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Let models compute in a precision while the context is open, and set everything back.

    Args:
        precision: one of `PRECISIONS`; `default` sets nothing, so that torch and the program around decide.
        device: where the models are.

    Raises:
        UsageError: the precision is unknown.
    """
    token = _asked.set(check_precision(precision))
    try:
        with _setting(precision, device):
            yield
    finally:
        _asked.reset(token)


def _setting(precision: str, device: torch.device) -> AbstractContextManager[object]:
    if precision in _DTYPES:
        # Without a cache of rounded weights, so that whoever changes weights meanwhile gets no old ones.
        return torch.autocast(device.type, dtype=_DTYPES[precision], cache_enabled=False)
    return nullcontext() if precision == DEFAULT else _single(device, tf32=precision == TF32)


@contextmanager
def _single(device: torch.device, *, tf32: bool) -> Iterator[None]:
    before = arithmetic()
    try:
        set_single(tf32=tf32)
        with _without_autocast(device):
            yield
    finally:
        restore_arithmetic(before)


def set_single(*, tf32: bool) -> None:
    """Let single precision be rounded to TF32 in products and convolutions, or nowhere."""
    torch.backends.cudnn.allow_tf32 = tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    # In torch 2.9 and later, these also hold where a program has set another precision for all of a library.
    for library, precision in ((torch.backends.cudnn, "tf32" if tf32 else "ieee"), (torch.backends.mkldnn, "ieee")):
        for name in ("conv", "rnn"):
            node: Any = getattr(library, name, None)
            if node is not None and hasattr(node, "fp32_precision"):
                node.fp32_precision = precision


def convolutions_in_tf32() -> bool:
    """Whether convolutions on a GPU are rounded to TF32."""
    try:
        return bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:  # torch refuses to tell after one of its newer settings was set
        cudnn: Any = torch.backends.cudnn
        return bool(cudnn.conv.fp32_precision == "tf32")


def in_single(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which everything is computed in single precision: nothing in half precision, nor in TF32."""
    return _single(device, tf32=False)


def _without_autocast(device: torch.device) -> AbstractContextManager[object]:
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def autocast_in_use() -> str:
    """Return the type in which autocast lets torch compute now, such as `bfloat16`; empty if it is off."""
    found = (torch.get_autocast_dtype(kind) for kind in _KINDS if torch.is_autocast_enabled(kind))
    return next((str(dtype).removeprefix("torch.") for dtype in found), "")


def allowed_difference(usual: float) -> float:
    """Return by how much two answers to one image may differ now: in bfloat16 by more than in float16 or less."""
    return usual * coarseness(autocast_in_use())


def check_available(precision: str, device: torch.device) -> None:
    """Refuse a precision that a device lacks.

    Raises:
        UsageError: the precision is unknown, or the device would compute in another one without saying so.
    """
    if check_precision(precision) == TF32 and not _has_tf32(device):
        raise UsageError(
            f"precision tf32 is arithmetic of NVIDIA GPUs since Ampere (compute capability 8.0), and the device is "
            f"{_named(device)}. Choose --precision highest (float32), {_LEAVE_OUT}."
        )
    if precision in _DTYPES:
        reason = _lacking(_DTYPES[precision], device)
        if reason:
            other = next(each for each in HALVES if each != precision)
            raise UsageError(
                f"precision {precision} cannot be had on {_named(device)}: {reason}. Choose --precision {other}, "
                f"{_LEAVE_OUT}."
            )


def _has_tf32(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= _AMPERE


def _named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"a {device.type.upper()}"


def _lacking(dtype: torch.dtype, device: torch.device) -> str:
    """Return why products and convolutions cannot be computed in half precision; empty if they can."""
    if not torch.amp.is_autocast_available(device.type):
        return "torch has no autocast for it"
    if device.type == "cuda" and dtype is torch.bfloat16 and not torch.cuda.is_bf16_supported(False):  # no emulation
        return "it only imitates bfloat16"
    image, weights = torch.ones(1, 3, 8, 8, device=device), torch.ones(4, 3, 3, 3, device=device)
    try:
        with warnings.catch_warnings(), torch.autocast(device.type, dtype=dtype), torch.no_grad():
            warnings.simplefilter("ignore")  # torch warns, and goes on in single precision
            maps = torch.nn.functional.conv2d(image, weights)
            found = torch.nn.functional.linear(maps.flatten(1), torch.ones(2, maps[0].numel(), device=device))
    except RuntimeError as error:
        return error_line(error).rstrip(".")
    return "" if {maps.dtype, found.dtype} == {dtype} else "torch goes on in single precision"


def check_not_lost(values: NDArray[np.floating[Any]], method: str, asked: str) -> None:
    """Refuse an explanation of which half precision left nothing: it must not pass for a map without evidence.

    Args:
        values: the map, or the weights.
        method: what explained, for the message.
        asked: the precision in which the model was asked to compute, as `asked_precision` told there.

    Raises:
        ModelMisbehaves: half precision was asked for, and the values are zero everywhere, or some are not finite.
    """
    if asked not in HALVES or (values.any() and np.isfinite(values).all()):
        return
    found = "is zero everywhere" if not values.any() else "has values that are not finite"
    other = f"--precision {BFLOAT16}, which has the range of float32, " if asked == FLOAT16 else ""
    raise ModelMisbehaves(
        f"{method} {found} in {asked}. In {asked}, numbers below {torch.finfo(_DTYPES[asked]).smallest_normal:.0e} are "
        f"rounded or lost, and those above {torch.finfo(_DTYPES[asked]).max:.0e} are infinite. Choose {other}"
        f"{_LEAVE_OUT}; if it is the same then, the model has no such gradient."
    )


def remedy_of_precision() -> str:
    """Return a sentence for errors of a model that was asked to compute in another precision; empty if it was not."""
    asked = asked_precision()
    if asked == DEFAULT:
        return ""
    return f" It was asked to compute in --precision {asked}: if it works without, leave that out."
