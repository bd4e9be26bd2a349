"""Benign changes as data: what may differ between two machines, or two days, without anything being wrong."""

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
        name: as it stands in tables and sentences.
        context: what holds while the task runs.
        variant: the same model, computed in another way. It makes a copy; the model itself is left alone.
        params: parameters that are replaced.
        needs: parameters that a task must take to be run under this condition.
    """

    name: str
    context: Callable[[], AbstractContextManager[object]] = nullcontext
    variant: Callable[[Classifier], Classifier] = _unchanged
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    needs: tuple[str, ...] = ()

    @property
    def redraws(self) -> bool:
        """Whether it draws other samples: that moves every case its own way, and every stage that holds samples."""
        return "seed" in self.params


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def without_mkldnn() -> Iterator[None]:
    """Convolve by torch's own kernels."""
    with warnings.catch_warnings():
        # Putting the flags back touches TF32 of Intel's GPUs, of which torch warns where there is none.
        warnings.simplefilter("ignore", UserWarning)
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def channels_last(classifier: Classifier) -> Classifier:
    """Return a copy of the model whose weights, and with them all its maps, lie channels last."""
    module = copy.deepcopy(classifier.module)
    return _with_module(classifier, module.to(memory_format=torch.channels_last))


@dataclass(frozen=True)
class _InDouble:
    """A preparation whose tensors are float64. A hook on the model would do as well, but is a change of its state."""

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
        # Another one, so that no model in single precision shares it.
        return {**self.stock.describe(), "dtype": "float64"}


def in_double(classifier: Classifier) -> Classifier:
    """Return a copy of the model that computes in float64."""
    doubled = _with_module(classifier, copy.deepcopy(classifier.module).double())
    return dataclasses.replace(doubled, preprocess=_InDouble(classifier.preprocess))


def _with_module(classifier: Classifier, module: nn.Module) -> Classifier:
    return dataclasses.replace(classifier, module=module)  # with the digest of the weights as they were given


BENIGN_CHANGES = (
    BenignChange("1 thread", lambda: threads(1)),
    BenignChange("2 threads", lambda: threads(2)),
    BenignChange("mkldnn off", without_mkldnn),
    BenignChange("channels last", variant=channels_last),
    BenignChange("float64", variant=in_double),
    BenignChange("batches of 1", params={"batch_size": 1}, needs=("batch_size",)),
    BenignChange("batches of 64", params={"batch_size": 64}, needs=("batch_size",)),
    # Only explainers that are compared by distribution over seeds; far from the plain run's, so that none is shared.
    *(
        BenignChange(f"seeds from {first}", params={"seed": first}, needs=("seed", "seeds"))
        for first in (1000, 2000, 3000)
    ),
)
