"""Benign changes as data: what may differ between two machines, or two days, although nothing is wrong."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import Preprocessing


def _unchanged(classifier: Classifier) -> Classifier:
    return classifier


@dataclass(frozen=True)
class BenignChange:
    """One benign change.

    Attributes:
        name: its name in tables and sentences.
        context: makes a context manager, which is open while the task runs and undoes what it changed when it closes.
        variant: returns a changed copy of the model. It does not change the model itself.
        params: parameters of the task that are replaced.
        needs: parameters that a task must have. The change is left out for other tasks.
    """

    name: str
    context: Callable[[], AbstractContextManager[object]] = nullcontext
    variant: Callable[[Classifier], Classifier] = _unchanged
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    needs: tuple[str, ...] = ()

    @property
    def redraws(self) -> bool:
        """Whether other random samples are drawn. That changes every case differently, and all stages with samples."""
        return "seed" in self.params


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch compute with `number` threads while the context is open."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def without_mkldnn() -> Iterator[None]:
    """Switch off MKL-DNN while the context is open, so that torch convolves with its own kernels."""
    with warnings.catch_warnings():
        # Restoring the flags sets the TF32 flag of Intel GPUs too, and torch warns about it on machines without one.
        warnings.simplefilter("ignore", UserWarning)
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def channels_last(classifier: Classifier) -> Classifier:
    """Return a copy of the model in the memory format channels last, in which it then computes all its maps."""
    module = copy.deepcopy(classifier.module)
    return _with_module(classifier, module.to(memory_format=torch.channels_last))


@dataclass(frozen=True)
class _InDouble:
    """A preprocessing that returns float64 tensors.

    A hook on the model could convert its input as well, but hooks are part of the recorded state of a model.
    """

    stock: Preprocessing

    def __call__(self, image: Image.Image) -> Tensor:
        return self.stock(image).double()

    def view(self, image: Image.Image) -> NDArray[np.uint8]:
        return self.stock.view(image)

    def from_view(self, views: Tensor) -> Tensor:
        return self.stock.from_view(views).double()

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return self.stock.mask(mask)

    def describe(self) -> dict[str, Any]:
        # The description differs from the original one, so that no model in single precision shares cached inputs.
        return {**self.stock.describe(), "dtype": "float64"}


def in_double(classifier: Classifier) -> Classifier:
    """Return a copy of the model that computes in float64."""
    doubled = _with_module(classifier, copy.deepcopy(classifier.module).double())
    return dataclasses.replace(doubled, preprocess=_InDouble(classifier.preprocess))


def _with_module(classifier: Classifier, module: nn.Module) -> Classifier:
    # The digest stays that of the given weights, because a benign change must not look like another model.
    return dataclasses.replace(classifier, module=module)


BENIGN_CHANGES = (
    BenignChange("1 thread", lambda: threads(1)),
    BenignChange("2 threads", lambda: threads(2)),
    BenignChange("mkldnn off", without_mkldnn),
    BenignChange("channels last", variant=channels_last),
    BenignChange("float64", variant=in_double),
    BenignChange("batches of 1", params={"batch_size": 1}, needs=("batch_size",)),
    BenignChange("batches of 64", params={"batch_size": 64}, needs=("batch_size",)),
    # Only tasks with `seeds` compare distributions over seeds. The first seeds lie far apart, so that no two runs share
    # a seed.
    *(
        BenignChange(f"seeds from {first}", params={"seed": first}, needs=("seed", "seeds"))
        for first in (1000, 2000, 3000)
    ),
)
