"""A device that is only pretended: its tensors are computed on the CPU, and every wait for it is counted.

Tensors of a network that was moved there, and whatever is computed from them, say that their device is `cuda`. A value
that is asked for (`.item()`, `.cpu()`, `if tensor:`) would make the CPU wait for a GPU; each is counted. A copy into
pinned memory that does not block is no wait. What a GPU computes otherwise is not simulated.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda", 0)
_ASKS = {"item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__array__", "equal", "allclose"}
_ASKS |= {"nonzero", "argwhere", "masked_select", "unique", "is_nonzero", "bincount", "_local_scalar_dense"}
_MAKES = {"empty", "zeros", "ones", "full", "tensor", "as_tensor", "arange", "rand", "randn", "randint", "randperm"}


class Far(torch.Tensor):
    """A tensor that pretends to be on the device."""


def _is_far(value):
    if isinstance(value, (list, tuple)):
        return any(map(_is_far, value))
    return isinstance(value, Far)


def _device_in(values):
    for each in values:
        if isinstance(each, (torch.device, str)):
            return torch.device(each)
        if isinstance(each, torch.Tensor):
            return CUDA if _is_far(each) else each.device
    return None


class FarDevice(TorchFunctionMode):
    """Counts waits while it is open.

    Attributes:
        waits: what was asked for, and how often.
        copies: copies to the device from ordinary memory.
        pinned: tensors of pinned memory.
    """

    def __init__(self):
        super().__init__()
        self.pinned = set()
        self.begin()

    def begin(self):
        """Begin to count."""
        self.waits, self.copies = Counter(), 0

    def __enter__(self):
        self._patch = torch.cuda.current_stream
        torch.cuda.current_stream = lambda _device=None: self
        return super().__enter__()

    def __exit__(self, *given):
        torch.cuda.current_stream = self._patch
        return super().__exit__(*given)

    def synchronize(self):
        self.waits["synchronize"] += 1

    def moved(self, network: nn.Module) -> nn.Module:
        """Move a network to the device."""
        for part in network.modules():
            for name, each in part._parameters.items():
                if each is not None:
                    part._parameters[name] = nn.Parameter(each.detach().as_subclass(Far), each.requires_grad)
            for name, each in part._buffers.items():
                part._buffers[name] = None if each is None else each.as_subclass(Far)
        return network

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), func.__name__
        far = bool(args) and _is_far(args[0])
        if name == "__get__" and far:
            owner = getattr(func, "__self__", None)
            if owner is torch.Tensor.device:
                return CUDA
            if owner is torch.Tensor.is_cuda:
                return True
        if name in ("to", "cpu", "cuda"):
            return self._to(name, args, kwargs)
        if name in _MAKES:
            return self._made(func, args, kwargs)
        if name == "copy_":
            return self._copied(args, kwargs)
        by_mask = name in ("__getitem__", "__setitem__") and _selects(args[1])
        if (name in _ASKS or by_mask) and (far or any(map(_is_far, args))):
            self.waits[name] += 1
            args = [each.as_subclass(torch.Tensor) if name == "numpy" and _is_far(each) else each for each in args]
        return func(*args, **kwargs)

    def _to(self, name, args, kwargs):
        source, rest = args[0], args[1:]
        target = {"cpu": torch.device("cpu"), "cuda": CUDA}.get(name)
        target = target or _device_in([*rest, *kwargs.values()])
        dtype = [each for each in (*rest, *kwargs.values()) if isinstance(each, torch.dtype)]
        far = _is_far(source)
        value = source.to(*dtype) if dtype else source
        if target is None:
            return value
        if target.type == "cpu":
            self.waits.update(["cpu"] * far)
            return value.as_subclass(torch.Tensor) if far else value
        self.copies += not far
        return value if far else value.as_subclass(Far)

    def _made(self, func, args, kwargs):
        device = kwargs.pop("device", None)
        pinned = kwargs.pop("pin_memory", False)
        made = func(*args, **kwargs)
        if pinned:
            self.pinned.add(made.untyped_storage().data_ptr())
        if device is None or torch.device(device).type == "cpu":
            return made
        self.copies += func.__name__ in ("tensor", "as_tensor")
        return made.as_subclass(Far)

    def _copied(self, args, kwargs):
        target, source = args[:2]
        if _is_far(source) and not _is_far(target):
            pinned = target.untyped_storage().data_ptr() in self.pinned
            self.waits.update([] if pinned and kwargs.get("non_blocking") else ["copy_"])
            target.copy_(source.as_subclass(torch.Tensor))
            return target
        return target.copy_(source, **kwargs)


def _selects(index):
    """Whether an index chooses by values of the device: the number of rows is not known before."""
    every = index if isinstance(index, tuple) else (index,)
    return any(_is_far(each) and each.dtype in (torch.bool, torch.uint8) for each in every)
