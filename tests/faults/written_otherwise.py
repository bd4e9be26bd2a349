"""The same model written otherwise: other names, other forms of settings, wrappers. None of it changes an answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from fault import Benign, Inject, changed, module_changed
from torch import nn
from torchvision.models.resnet import BasicBlock

from xai_eval import Classifier

# What a model is written as is described once for all tasks, so most rows run in the quickest. A dissection finds its
# layers by their names, which wrappers change.
TASKS = ("cams",)
WITH_NAMES = ("cams", "dissection")


class OwnBlock(BasicBlock):
    """The block of torchvision under a name of somebody else."""


def renamed(module: nn.Module) -> None:
    for part in module.modules():
        if type(part) is BasicBlock:
            part.__class__ = OwnBlock
    module.__class__ = type("OwnNetwork", (type(module),), {})


def pooled_to(size: int | tuple[int, int]) -> Callable[[nn.Module], None]:
    def change(module: nn.Module) -> None:
        module.avgpool = nn.AdaptiveAvgPool2d(size)

    return change


def set_everywhere(kind: type[nn.Module], convert: Callable[[object], object], *names: str) -> Inject:
    def change(module: nn.Module) -> None:
        for part in module.modules():
            for name in names if isinstance(part, kind) else ():
                setattr(part, name, convert(getattr(part, name)))

    return module_changed(change)


def as_number(value: object) -> object:
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def as_pair(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


def padded_by_name(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.stride == (1, 1) and 2 * part.padding[0] == part.kernel_size[0] - 1:
            part.padding = "same"


def with_unused_identity(module: nn.Module) -> None:
    module.unused = nn.Identity()


def with_unused_dropout(module: nn.Module) -> None:
    """A dropout before the last layer does nothing in evaluation mode."""
    module.fc = nn.Sequential(nn.Dropout(0.3), module.fc).eval()


def put(place: str, make: Callable[[nn.Module], nn.Module]) -> Inject:
    def change(module: nn.Module) -> None:
        setattr(module, place, make(getattr(module, place)).eval())

    return module_changed(change)


def wrapped(make: Callable[[nn.Module], nn.Module]) -> Inject:
    def change(classifier: Classifier) -> Classifier:
        return dataclasses.replace(classifier, module=make(classifier.module))

    return changed(change)


def after_nothing(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Identity(), module)


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")


CHANGES = (
    Benign("classes renamed", ("lime", "dissection"), module_changed(renamed)),
    Benign("pooled to 1", TASKS, module_changed(pooled_to(1))),
    Benign("pooled to a pair", TASKS, module_changed(pooled_to((1, 1)))),
    Benign("sizes of kernels as one number", TASKS, set_everywhere(nn.Conv2d, as_number, "kernel_size", "stride")),
    Benign("paddings as one number", TASKS, set_everywhere(nn.Conv2d, as_number, "padding", "dilation")),
    Benign("windows as pairs", TASKS, set_everywhere(nn.MaxPool2d, as_pair, "kernel_size", "stride", "padding")),
    Benign("paddings by name", TASKS, module_changed(padded_by_name)),
    Benign("ReLU not in place", TASKS, set_everywhere(nn.ReLU, lambda _: False, "inplace")),
    Benign("an identity that nobody calls", TASKS, module_changed(with_unused_identity)),
    Benign("a dropout in evaluation mode", TASKS, module_changed(with_unused_dropout)),
    Benign("statistics of several devices", TASKS, put("bn1", nn.SyncBatchNorm.convert_sync_batchnorm)),
    Benign("the stem in Sequential", TASKS, put("conv1", nn.Sequential)),
    Benign("the last stage in DataParallel", WITH_NAMES, put("layer4", nn.DataParallel)),
    Benign("the model in Sequential", ("lime",), wrapped(nn.Sequential)),
    Benign("the model in Sequential after nothing", TASKS, wrapped(after_nothing)),
    Benign("the model in DataParallel", ("dissection",), wrapped(nn.DataParallel)),
    Benign("the model compiled", TASKS, wrapped(compiled)),
    Benign("a layer by its name in DataParallel", ("cams",), wrapped(nn.DataParallel), {"layer": "module.layer4.1"}),
    Benign("a layer by its name in Sequential", ("cams",), wrapped(nn.Sequential), {"layer": "0.layer4.1"}),
    Benign("a layer by its name when compiled", ("cams",), changed(lambda c: None), {"layer": "_orig_mod.layer4.1"}),
)
