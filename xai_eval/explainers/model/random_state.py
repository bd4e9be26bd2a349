"""Contain the use of the global random generators by code that is not ours."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from xai_eval.explainers.cam.side_effects import seeded


@contextmanager
def all_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of numpy, torch and Python while the context is open, then restore their state."""
    state = random.getstate()
    random.seed(seed)
    try:
        with seeded(seed), torch.random.fork_rng(devices=_devices()):
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(state)


def _devices() -> range | None:
    """Return the GPUs whose generators are restored; None for all devices of another kind.

    Torch by itself would start CUDA in a process that computes on its CPU, and warn of several GPUs.
    """
    if not torch.cuda.is_available():
        return None
    cuda: Any = torch.cuda
    return range(cuda.device_count() if cuda.is_initialized() else 0)


def noise_of_the_cpu(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which `torch.normal` draws what it draws on a CPU, so that one golden serves all devices.

    From the same seed, generators of GPUs draw other numbers.
    """
    return nullcontext() if device.type == "cpu" else _NoiseOfTheCpu()


class _NoiseOfTheCpu(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        place = next((each.device for each in args if isinstance(each, torch.Tensor)), None)
        if func is not torch.normal or place is None:
            return func(*args, **(kwargs or {}))
        given = (each.cpu() if isinstance(each, torch.Tensor) else each for each in args)
        return func(*given, **(kwargs or {})).to(place)
