"""A device that is only pretended: its tensors are computed on the CPU, and every wait for it is counted.

Tensors of a network that was moved there, and whatever is computed from them, say that their device is `cuda`. A value
that is asked for (`.item()`, `.cpu()`, `if tensor:`) would make the CPU wait for a GPU; each is counted. A copy into
pinned memory that does not block is no wait: it arrives when the stream is waited for, and holds NaN until then. What
was copied to the device without blocking must not be written to before. Tensors of several devices in one operation
are an error, as they are in torch. Random numbers are others than those of the CPU. What a GPU computes otherwise is
not simulated.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from unittest.mock import patch

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda", 0)
_ASKS = {"item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__array__", "equal", "allclose"}
_ASKS |= {"nonzero", "argwhere", "masked_select", "unique", "is_nonzero", "bincount", "_local_scalar_dense"}
_MAKES = {"empty", "zeros", "ones", "full", "tensor", "as_tensor", "arange", "rand", "randn", "randint", "randperm"}
_MAKES |= {"eye", "linspace"}
# They take tensors of several devices: attributes, conversions, indices and values on the CPU.
_MIX = {"__get__", "__set__", "__getitem__", "__setitem__", "as_subclass", "type_as", "backward", "grad"}
_MIX |= {"_has_compatible_shallow_copy_type"}


class Far(torch.Tensor):
    """A tensor that pretends to be on the device."""

    place = CUDA

    def __deepcopy__(self, _memo):
        copied = self.detach().as_subclass(torch.Tensor).clone().as_subclass(type(self))
        return nn.Parameter(copied, self.requires_grad) if isinstance(self, nn.Parameter) else copied


class Farther(Far):
    """A tensor that pretends to be on a second device."""

    place = torch.device("cuda", 1)


def _is_far(value):
    if isinstance(value, (list, tuple)):
        return any(map(_is_far, value))
    return isinstance(value, Far)


def _places_in(values):
    """Yield the devices of tensors that are more than a number."""
    for each in values:
        if isinstance(each, (list, tuple)):
            yield from _places_in(each)
        elif isinstance(each, Far):
            yield each.place
        elif isinstance(each, torch.Tensor) and torch.Tensor.dim(each):
            yield torch.device("cpu")


def _device_in(values):
    for each in values:
        if isinstance(each, (torch.device, str)):
            return torch.device(each)
        if isinstance(each, torch.Tensor):
            return each.place if _is_far(each) else each.device
    return None


class FarDevice(TorchFunctionMode):
    """Counts waits while it is open.

    Attributes:
        waits: what was asked for, and how often.
        copies: copies to the device from ordinary memory.
        pinned: tensors of pinned memory.
        free: bytes of the device that are free.
        needed: bytes that a pass over eight rows takes.
        lacks: a type of numbers that it does not have, as MPS has no float64.
        by_default: whether new tensors are made there, as after `torch.set_default_device`.
    """

    def __init__(self, free=2**36, needed=2**20, lacks=None, by_default=False):
        super().__init__()
        self.free, self.needed, self.lacks, self.by_default = free, needed, lacks, by_default
        self.pinned, self.coming, self.leaving = set(), [], []
        self._generator = torch.Generator().manual_seed(1234)
        self.begin()

    def begin(self):
        """Begin to count."""
        self.waits, self.copies = Counter(), 0

    def __enter__(self):
        self._patches = ExitStack()
        for name, stand_in in {
            "current_stream": lambda _device=None: self,
            "synchronize": lambda _device=None: self.synchronize(),
            "get_device_name": lambda _device=None: "pretended",
            "mem_get_info": lambda _device=None: (self.free, self.free),
            "reset_peak_memory_stats": lambda _device=None: None,
            "memory_allocated": lambda _device=None: 0,
            "memory_reserved": lambda _device=None: 0,
            "max_memory_allocated": lambda _device=None: self.needed,
        }.items():
            self._patches.enter_context(patch.object(torch.cuda, name, stand_in))
        if self.by_default:
            self._patches.enter_context(patch.object(torch, "get_default_device", lambda: CUDA))
        return super().__enter__()

    def __exit__(self, *given):
        self._patches.close()
        return super().__exit__(*given)

    def synchronize(self):
        """Wait for all copies."""
        self.waits["synchronize"] += 1
        self._arrive()

    def _arrive(self):
        for target, values in self.coming:
            target.copy_(values)
        for source, values in self.leaving:
            assert source.equal(values), "memory was written to while the device was still copying from it"
        self.coming.clear()
        self.leaving.clear()

    def moved(self, network: nn.Module, far=Far) -> nn.Module:
        """Move a network to the device."""
        for part in network.modules():
            for name, each in part._parameters.items():
                if each is not None:
                    part._parameters[name] = nn.Parameter(each.detach().as_subclass(far), each.requires_grad)
            for name, each in part._buffers.items():
                part._buffers[name] = None if each is None else each.as_subclass(far)
        return network

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = self._called(func, args, kwargs)
        for each in found if isinstance(found, (list, tuple)) else [found]:
            if self.lacks and isinstance(each, Far) and torch.Tensor.dtype.__get__(each) == self.lacks:
                raise TypeError(f"{func.__name__} gives {self.lacks}, which the device lacks")
        return found

    def _called(self, func, args, kwargs):
        kwargs, name = dict(kwargs or {}), func.__name__
        far = bool(args) and _is_far(args[0])
        if name == "__get__" and far:
            owner = getattr(func, "__self__", None)
            if owner is torch.Tensor.device:
                return args[0].place
            if owner is torch.Tensor.is_cuda:
                return True
        if name == "pin_memory":
            assert not far, "only memory of the CPU can be pinned"
            return self._pinned(args[0].clone())
        if name in ("to", "cpu", "cuda"):
            return self._to(name, args, kwargs)
        if name in _MAKES:
            return self._made(func, args, kwargs)
        if name == "copy_":
            return self._copied(args, kwargs)
        self._check_places(func, name, args, kwargs)
        if name == "normal" and any(map(_is_far, args)):
            kwargs["generator"] = self._generator
        by_mask = name in ("__getitem__", "__setitem__") and _selects(args[1])
        if (name in _ASKS or by_mask) and (far or any(map(_is_far, args))):
            self.waits[name] += 1
            args = [each.as_subclass(torch.Tensor) if name == "numpy" and _is_far(each) else each for each in args]
        return func(*args, **kwargs)

    def _check_places(self, func, name, args, kwargs):
        places = set(_places_in([*args, *kwargs.values()])) if name not in _MIX else ()
        if len(places) > 1:
            raise RuntimeError(f"Expected all tensors of {name} to be on the same device, found {places}")

    def _pinned(self, made):
        self.pinned.add(made.untyped_storage().data_ptr())
        return made

    def _is_pinned(self, tensor):
        return tensor.untyped_storage().data_ptr() in self.pinned

    def _to(self, name, args, kwargs):
        source, rest = args[0], args[1:]
        target = {"cpu": torch.device("cpu"), "cuda": CUDA}.get(name)
        target = target or _device_in([*rest, *kwargs.values()])
        dtype = [each for each in (*rest, *kwargs.values()) if isinstance(each, torch.dtype)]
        dtype += [each.dtype for each in rest if isinstance(each, torch.Tensor)]
        far = _is_far(source)
        value = source.to(*dtype[:1]) if dtype else source
        if target is None:
            return value
        if target.type == "cpu":
            self.waits.update(["cpu"] * far)
            return value.as_subclass(torch.Tensor) if far else value
        if far and source.place.index == (target.index or 0):
            return value
        kind = Farther if target.index else Far
        if not far and kwargs.get("non_blocking") and self._is_pinned(source):
            self.leaving.append((source, source.clone()))
        else:
            self.copies += not far
        return value.as_subclass(torch.Tensor).clone().as_subclass(kind) if value is source else value.as_subclass(kind)

    def _made(self, func, args, kwargs):
        device = kwargs.pop("device", None) or (CUDA if self.by_default else None)
        generator = kwargs.get("generator")
        if generator is not None and torch.device(device or "cpu").type != generator.device.type:
            raise RuntimeError(f"Expected a {device} device type for generator but found {generator.device}")
        pinned = kwargs.pop("pin_memory", False)
        made = func(*args, **kwargs)
        if pinned:
            self._pinned(made)
        if device is None or torch.device(device).type == "cpu":
            return made
        self.copies += func.__name__ in ("tensor", "as_tensor")
        return made.as_subclass(Farther if torch.device(device).index else Far)

    def _copied(self, args, kwargs):
        target, source = args[:2]
        if _is_far(source) and not _is_far(target):
            values = source.detach().as_subclass(torch.Tensor)
            if self._is_pinned(target) and kwargs.get("non_blocking"):
                self.coming.append((target, values.clone()))
                target.fill_(torch.nan if target.is_floating_point() else 0)
            else:
                self.waits.update(["copy_"])
                target.copy_(values)
            return target
        return target.copy_(source, **kwargs)


def _selects(index):
    """Whether an index chooses by values of the device: the number of rows is not known before."""
    every = index if isinstance(index, tuple) else (index,)
    return any(_is_far(each) and each.dtype in (torch.bool, torch.uint8) for each in every)
