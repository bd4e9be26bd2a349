"""Faults of the model: its state, its weights, its layers, and the class that is explained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from fault import (
    ALL_TASKS,
    ERROR,
    FEW_AND_UNITS,
    FEW_TASKS,
    IMAGE_TASKS,
    LIME_TASKS,
    Fault,
    changed,
    everywhere,
    module_changed,
    replaced,
    weights_changed,
)
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from xai_eval import Classifier, load_model
from xai_eval.inputs.models.default_layer import DefaultLayer
from xai_eval.result.fields import Label
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image import subject
from xai_eval.tasks.image.target import resolve_target


def stuck_in_training(*names: str) -> Any:
    """Leave parts of the model in training mode, whatever switches it."""

    def change(module: nn.Module) -> None:
        for name in names:
            part = module.get_submodule(name)
            for each in part.modules():
                each.train(True)
                each.train = MethodType(lambda self, mode=True: self, each)

    return module_changed(change)


def hooked(module: nn.Module) -> None:
    module.layer3.register_forward_hook(lambda _m, _i, output: output * 1.1)


def silent_hook(module: nn.Module) -> None:
    module.layer4.register_forward_hook(lambda _m, _i, _o: None)


def patched_forward(module: nn.Module) -> None:
    block = module.layer2[1]
    original = block.forward
    block.forward = lambda x: original(x) * 0.97


class Ablated(nn.Module):
    """What a failed ablation leaves in place of a layer."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = self.inner(x).clone()
        output[:, 0] = 0
        return output


def left_patched(module: nn.Module) -> None:
    module.layer3[1] = Ablated(module.layer3[1])


def without_a_block(module: nn.Module) -> None:
    module.layer3[1] = nn.Identity()


def half_replaced(module: nn.Module) -> None:
    other = load_model("scenes:places", device="cpu").module
    module.layer4.load_state_dict(other.layer4.state_dict())


def softened(module: nn.Module) -> None:
    module.fc = nn.Sequential(module.fc, nn.Softmax(dim=1))


def other_eps(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 1e-3


def other_padding(module: nn.Module) -> None:
    module.conv1.padding_mode = "replicate"


def noisy(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = module.layer3[0].conv1.weight
    weight.add_(0.01 * weight.std() * torch.randn(weight.shape, generator=generator))


def dead_channel(module: nn.Module) -> None:
    module.layer4[1].bn2.weight[0] = 0.0
    module.layer4[1].bn2.bias[0] = 0.0


def quantised(module: nn.Module) -> None:
    for parameter in module.parameters():
        scale = parameter.abs().max() / 127
        parameter.copy_((parameter / scale).round() * scale)


def halved(module: nn.Module) -> None:
    module.half().float()


def reset_statistics(module: nn.Module) -> None:
    module.bn1.reset_running_stats()


def logits_lowered(module: nn.Module) -> None:
    module.fc.bias.sub_(50.0)


def classes_moved(module: nn.Module) -> None:
    module.fc.weight.copy_(module.fc.weight.roll(1, 0))
    module.fc.bias.copy_(module.fc.bias.roll(1, 0))


def nan_weight(module: nn.Module) -> None:
    module.fc.weight[0, 0] = float("nan")


def names_moved(classifier: Classifier) -> Classifier:
    names = classifier.class_names
    return dataclasses.replace(classifier, class_names=(*names[1:], names[0]))


def under_autocast(classifier: Classifier) -> None:
    with_less = torch.autocast("cpu", dtype=torch.bfloat16)
    classifier.module.forward = with_less(classifier.module.forward)


def second_best(original: Any) -> Any:
    return lambda classifier, image, predicted, target: original(
        classifier, image, (predicted + 1) % len(classifier.class_names), target
    )


def explains_another(original: Any) -> Any:
    def resolve(*args: Any) -> Any:
        found = original(*args)
        index = (found.index + 1) % len(args[0].class_names)
        return dataclasses.replace(found, explained=Label(args[0].class_names[index], index))

    return resolve


def wrong_output(original: Any) -> Any:
    def call(self: Any, output: torch.Tensor) -> torch.Tensor:
        return output.roll(1, dims=-1)[..., self.category]

    return call


def gelu(_original: Any) -> Any:
    return lambda self, x: nn.functional.gelu(x)


def leaky(_original: Any) -> Any:
    return lambda self, x: nn.functional.leaky_relu(x, 0.01)


def largest(_original: Any) -> Any:
    return lambda self, x: nn.functional.adaptive_max_pool2d(x, self.output_size)


def patched_convolution(module: nn.Module) -> None:
    convolution = module.layer2[1].conv1
    original = convolution._conv_forward
    convolution._conv_forward = lambda *args: original(*args) * 0.97


def one_weight_negated(module: nn.Module) -> None:
    module.layer2[1].conv1.weight[0, 0, 0, 0].neg_()


def bounded(at: float) -> Any:
    """Give every ReLU a bound, which the answer depends on and no weight shows."""

    def change(module: nn.Module) -> None:
        for part in list(module.modules()):
            for name, child in part.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(part, name, nn.ReLU6())
        for part in module.modules():
            if isinstance(part, nn.ReLU6):
                part.max_val = at

    return module_changed(change)


@contextmanager
def hooked_before_backward(classifier: Classifier) -> Iterator[Classifier]:
    def scaled_by_class(module: nn.Module, gradients: Any) -> Any:
        return tuple(g * 1.1 for g in gradients) if isinstance(module, nn.Linear) else None

    handle = nn.modules.module.register_module_full_backward_pre_hook(scaled_by_class)
    try:
        yield classifier
    finally:
        handle.remove()


STATE, TRAINING, HOOKS = StageKind.MODULE_TYPES, StageKind.TRAINING_FLAGS, StageKind.HOOKS
FAULTS = (
    Fault("left in training mode", "model state", ALL_TASKS, TRAINING, stuck_in_training(""), "8"),
    Fault(
        "one block in training mode",
        "model state",
        FEW_AND_UNITS,
        TRAINING,
        stuck_in_training("layer3.0.bn1"),
    ),
    Fault("a hook scales a block", "model state", ALL_TASKS, HOOKS, module_changed(hooked), "6"),
    Fault(
        "a hook stays behind and does nothing", "model state", ("cams", "lime"), HOOKS, module_changed(silent_hook), "8"
    ),
    Fault(
        "one block has a forward of its own",
        "model state",
        FEW_AND_UNITS,
        HOOKS,
        module_changed(patched_forward),
    ),
    Fault(
        "a failed ablation left the model patched",
        "model state",
        FEW_AND_UNITS,
        STATE,
        module_changed(left_patched),
        "8",
    ),
    Fault("a block is missing", "model state", FEW_AND_UNITS, STATE, module_changed(without_a_block)),
    Fault("another eps of batch norm", "model state", ALL_TASKS, STATE, module_changed(other_eps)),
    Fault("another padding", "model state", ("cams", "dissection"), STATE, module_changed(other_padding)),
    # That the model returns probabilities is found, so that it is explained; what was added to it is the cause.
    Fault("softmax at the end", "model state", ("cams", *LIME_TASKS), STATE, module_changed(softened)),
    Fault(
        "half of another model",
        "model state",
        ALL_TASKS,
        Stage(StageKind.MODEL_WEIGHTS, "layer4.0"),
        weights_changed(half_replaced),
    ),
    Fault(
        "weights change in memory",
        "model state",
        ALL_TASKS,
        Stage(StageKind.MODEL_WEIGHTS, "layer3.0"),
        module_changed(noisy),
    ),
    Fault(
        "one block with noise of 1 %",
        "weights",
        FEW_AND_UNITS,
        Stage(StageKind.MODEL_WEIGHTS, "layer3.0"),
        weights_changed(noisy),
    ),
    Fault(
        "a dead channel",
        "weights",
        FEW_AND_UNITS,
        Stage(StageKind.MODEL_WEIGHTS, "layer4.1"),
        weights_changed(dead_channel),
        "9",
    ),
    Fault("8-bit weights", "weights", FEW_AND_UNITS, StageKind.MODEL_WEIGHTS, weights_changed(quantised)),
    Fault(
        "weights in half precision",
        "dtype",
        FEW_AND_UNITS,
        StageKind.MODEL_WEIGHTS,
        weights_changed(halved),
    ),
    Fault(
        "statistics of batch norm lost",
        "weights",
        FEW_AND_UNITS,
        Stage(StageKind.MODEL_WEIGHTS, "bn1"),
        weights_changed(reset_statistics),
    ),
    Fault(
        "logits lowered by 50",
        "weights",
        FEW_AND_UNITS,
        Stage(StageKind.MODEL_WEIGHTS, "fc"),
        weights_changed(logits_lowered),
        "10",
    ),
    Fault(
        "classes change places",
        "weights",
        ("cams", "lime"),
        Stage(StageKind.MODEL_WEIGHTS, "fc"),
        weights_changed(classes_moved),
    ),
    Fault("NaN in the weights", "weights", ALL_TASKS, ERROR, weights_changed(nan_weight)),
    Fault("bfloat16 under autocast", "dtype", ("cams", "dissection"), HOOKS, changed(under_autocast), "13"),
    Fault("ReLU becomes GELU", "layer", IMAGE_TASKS, StageKind.LAYER_ACTIVATIONS, replaced(nn.ReLU, "forward", gelu)),
    Fault("ReLU leaks", "layer", FEW_TASKS, StageKind.LAYER_ACTIVATIONS, replaced(nn.ReLU, "forward", leaky)),
    Fault(
        "the last pooling takes the largest",
        "layer",
        IMAGE_TASKS,
        StageKind.LOGITS,
        replaced(nn.AdaptiveAvgPool2d, "forward", largest),
    ),
    Fault(
        "another default layer",
        "layer",
        FEW_TASKS,
        StageKind.LAYER_ACTIVATIONS,
        replaced(Classifier, "found_layer", lambda _: lambda self, shape=None: DefaultLayer("layer3.1")),
    ),
    Fault(
        "another module behind the layer's name",
        "layer",
        FEW_TASKS,
        StageKind.LAYER_ACTIVATIONS,
        replaced(Classifier, "layer", lambda original: lambda self, name: original(self, "layer4.0")),
    ),
    Fault(
        "another class is predicted",
        "target",
        FEW_TASKS,
        StageKind.TARGET,
        replaced(subject, "resolve_target", second_best),
    ),
    Fault(
        "another class is explained",
        "target",
        IMAGE_TASKS,
        StageKind.TARGET,
        everywhere(resolve_target, explains_another),
    ),
    Fault("class names move by one", "target", FEW_TASKS, StageKind.TARGET, changed(names_moved)),
    Fault(
        "the library explains its neighbour",
        "target",
        ("cams",),
        StageKind.RAW_MAP,
        replaced(ClassifierOutputTarget, "__call__", wrong_output),
    ),
    Fault(
        "the library explains its neighbour",
        "target",
        LIME_TASKS,
        Stage(StageKind.FINAL_MAP, "gradcam"),
        replaced(ClassifierOutputTarget, "__call__", wrong_output),
    ),
    Fault(
        "a method of one convolution is patched",
        "model state",
        ("lime", "comparison", "dissection"),
        HOOKS,
        module_changed(patched_convolution),
    ),
    Fault(
        "a hook on every module before the backward pass",
        "model state",
        ("cams", "lime"),
        HOOKS,
        hooked_before_backward,
    ),
    Fault("activations are bounded", "model state", ("cams", "dissection"), STATE, bounded(2.0)),
    Fault(
        "one weight is negated",
        "model state",
        FEW_AND_UNITS,
        Stage(StageKind.MODEL_WEIGHTS, "layer2.1"),
        module_changed(one_weight_negated),
    ),
)
