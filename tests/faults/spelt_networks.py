"""Convolutional networks that are spelt otherwise: other containers, functions in place of modules, other files."""

from __future__ import annotations

import copy
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
from harmless import IMAGENET, LITE0, REAL, SCENES, Harmless, spelt
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, parametrizations
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import BasicBlock


def at(place: str, make: Callable[[nn.Module], nn.Module]) -> Callable[[nn.Module], None]:
    """Put what `make` makes of a part in its place."""

    def change(module: nn.Module) -> None:
        parent = module.get_submodule(place.rpartition(".")[0])
        setattr(parent, place.rpartition(".")[2], make(module.get_submodule(place)))

    return change


def twice(part: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Sequential(part))


def by_words(part: nn.Module) -> nn.Module:
    words = ("first", "second", "third", "fourth")
    return nn.Sequential(OrderedDict(zip(words, part, strict=False)))


def every_block(module: nn.Module) -> None:
    for part in list(module.modules()):
        if isinstance(part, BasicBlock):
            part.conv1, part.conv2 = nn.Sequential(part.conv1), nn.Sequential(part.conv2)


class Features(nn.Module):
    """A ResNet as features and a classifier, as VGG has them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        parts = (net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4)
        self.features = nn.Sequential(*parts)
        self.classifier = net.fc

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class InOneSequence(nn.Sequential):
    """The whole ResNet in one sequence, with pooling and flattening as modules."""

    def __init__(self, net: nn.Module) -> None:
        parts = (net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4)
        super().__init__(*parts, net.avgpool, nn.Flatten(), net.fc)


class Listed(nn.Module):
    """Stages in a `ModuleList`, called in a loop."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.stages = nn.ModuleList([net.layer1, net.layer2, net.layer3, net.layer4])
        self.head = net.fc

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean(dim=(2, 3)))


class Loop(nn.ModuleList):
    """Blocks in a list that calls them itself."""

    def forward(self, x: Tensor) -> Tensor:
        for block in self:
            x = block(x)
        return x


def block_of_functions(self: Any, x: Tensor) -> Tensor:
    out = F.relu(self.bn1(self.conv1(x)))
    out = self.bn2(self.conv2(out))
    return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class FunctionalBlock(BasicBlock):
    forward = block_of_functions


def functional_relu(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, BasicBlock):
            part.__class__ = FunctionalBlock
            del part.relu


def pooled_by_mean(module: nn.Module) -> nn.Module:
    class Pool(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(dim=(2, 3), keepdim=True)

    module.avgpool = Pool()
    return module


class FunctionalHead(nn.Module):
    """Features, and then functions only: pooling, dropout, and the product with the weights of the last layer."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.renorm, self.features, self.last = net.renorm, net.features, net.classifier[1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(self.renorm(x)).mean((2, 3))
        return F.linear(F.dropout(x, 0.2, self.training), self.last.weight, self.last.bias)


class Wrapped(nn.Module):
    """Somebody's own wrapper, which only calls."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class InATuple(Wrapped):
    def forward(self, x: Tensor) -> Any:
        return (self.net(x),)


class Named(Wrapped):
    def forward(self, x: Tensor) -> Any:
        return {"logits": self.net(x)}


def functions_of_a_method(module: nn.Module) -> None:
    """The forward pass moves into a method of another name."""
    cls = type(module)

    def forward(self: Any, x: Tensor) -> Tensor:
        return self.compute(x)

    module.__class__ = type(cls.__name__, (cls,), {"compute": cls.forward, "forward": forward})


def rebuilt_convolutions(module: nn.Module) -> None:
    for name, part in list(module.named_modules()):
        if type(part) is nn.Conv2d:
            kept = (part.in_channels, part.out_channels, part.kernel_size)
            new = nn.Conv2d(
                *kept,
                stride=list(part.stride),
                padding=list(part.padding),
                dilation=1 if part.dilation == (1, 1) else part.dilation,
                groups=part.groups,
                bias=part.bias is not None,
                padding_mode="zeros",
            )
            new.load_state_dict(part.state_dict())
            at(name, lambda _, new=new: new)(module)


def zero_biases(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.bias is None:
            part.bias = nn.Parameter(torch.zeros(part.out_channels))


def folded(module: nn.Module) -> None:
    """Batch normalisation becomes part of the convolution before it, as before a model is delivered."""
    for part in list(module.modules()):
        if isinstance(part, BasicBlock):
            part.conv1, part.bn1 = fuse_conv_bn_eval(part.conv1, part.bn1), nn.Identity()
            part.conv2, part.bn2 = fuse_conv_bn_eval(part.conv2, part.bn2), nn.Identity()
    module.conv1, module.bn1 = fuse_conv_bn_eval(module.conv1, module.bn1), nn.Identity()


def eps_written_otherwise(module: nn.Module) -> None:
    import numpy as np

    for part in module.modules():
        if hasattr(part, "eps"):
            part.eps = np.float64(f"{part.eps:.3e}")


class Scaled(nn.BatchNorm2d):
    """Batch normalisation by its formula."""

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight / (self.running_var + self.eps).sqrt()
        return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


def normalised_by_formula(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.__class__ = Scaled


def without_statistics_counted(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.num_batches_tracked = None


def in_reverse(module: nn.Module) -> None:
    """Parts are declared in another order; what is called, and when, stays."""
    for part in module.modules():
        if not isinstance(part, (nn.Sequential, nn.ModuleList)):
            part._modules = dict(reversed(part._modules.items()))
            part._parameters = dict(reversed(part._parameters.items()))


def through_safetensors(module: nn.Module) -> None:
    saved = safetensors.torch.save(dict(reversed(module.state_dict().items())))
    module.load_state_dict(safetensors.torch.load(saved))


def through_torch_save(module: nn.Module) -> None:
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    module.load_state_dict(torch.load(file, weights_only=True), assign=True)


def through_pickle(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def unsaved_buffer(module: nn.Module) -> None:
    module.register_buffer("grid", torch.arange(12.0), persistent=False)


def unused_buffer(module: nn.Module) -> None:
    module.register_buffer("steps", torch.tensor(4711))


def under_two_names(module: nn.Module) -> None:
    module.head = module.fc


def second_head(module: nn.Module) -> None:
    module.auxiliary = nn.Sequential(nn.Dropout(0.5), nn.Linear(32, 7)).eval()


def weight_norm(place: str) -> Callable[[nn.Module], None]:
    return at(place, parametrizations.weight_norm)


def lazily(module: nn.Module) -> None:
    last = module.fc
    new = nn.LazyLinear(last.out_features)
    new(torch.zeros(1, last.in_features))
    new.load_state_dict(last.state_dict())
    module.fc = new


def scattered(module: nn.Module) -> None:
    """The same weights, with other strides in memory."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            parameter.data = parameter.data.transpose(0, 1).contiguous().transpose(0, 1)


def partly_frozen(module: nn.Module) -> None:
    for parameter in list(module.parameters())[::2]:
        parameter.requires_grad_(False)


def through_double(module: nn.Module) -> nn.Module:
    return module.double().float()


def shared(module: nn.Module) -> None:
    module.share_memory()


def averaged(module: nn.Module) -> nn.Module:
    return AveragedModel(module)


class Recomputed(nn.Module):
    """A stage that saves memory: its activations are computed again on the way back."""

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.stage, x, use_reentrant=False)


class ProductOnly(nn.Module):
    """A linear layer as a parameter and a product."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.matrix, self.offset = nn.Parameter(last.weight.mT.contiguous()), last.bias

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix + self.offset


def as_convolution(module: nn.Module) -> None:
    """The last layer as a convolution of one cell."""
    last = module.fc
    new = nn.Conv2d(last.in_features, last.out_features, 1)
    new.weight.data, new.bias.data = last.weight.data[:, :, None, None], last.bias.data
    module.avgpool = nn.Sequential(module.avgpool, new)
    module.fc = nn.Identity()


def copied_deeply(module: nn.Module) -> nn.Module:
    return copy.deepcopy(copy.copy(module))


def clamped(module: nn.Module) -> None:
    """ReLU6 as `Hardtanh`, which it is."""
    for name, part in list(module.named_modules()):
        if isinstance(part, nn.ReLU6):
            at(name, lambda _: nn.Hardtanh(0.0, 6.0))(module)


def without_identities(module: nn.Module) -> None:
    """Containers without the identities where batch normalisation was before it was folded."""
    for part in list(module.modules()):
        if type(part) is nn.Sequential and any(isinstance(each, nn.Identity) for each in part):
            kept = [each for each in part if not isinstance(each, nn.Identity)]
            part._modules = {str(number): each for number, each in enumerate(kept)}


class Passing(Wrapped):
    """A wrapper that hands on whatever it is given."""

    def forward(self, *args: Any, **options: Any) -> Any:
        return self.net(*args, **options)


def wrapped_blocks(module: nn.Module) -> None:
    module._blocks = nn.ModuleList([Passing(block) for block in module._blocks])


CAMS, BOTH, LIME = ("cams",), ("cams", "dissection"), ("cams", "lime")


def row(name: str, tasks: tuple[str, ...], change: Callable[[nn.Module], Any], *models: str) -> Harmless:
    return Harmless(name, tasks, spelt(change), models=models or (SCENES,))


CHANGES = (
    row("the last stage in Sequential", BOTH, at("layer4", nn.Sequential)),
    row("the last stage in Sequential twice", BOTH, at("layer4", twice)),
    row("the last stage in somebody's wrapper", BOTH, at("layer4", Wrapped)),
    row("an early stage in Sequential", BOTH, at("layer2", nn.Sequential)),
    row("the last block in Sequential", CAMS, at("layer4.1", nn.Sequential)),
    row("blocks named by words", BOTH, at("layer4", by_words)),
    row("every convolution in Sequential", CAMS, every_block),
    row("features and classifier", LIME, Features),
    row("all in one sequence", CAMS, InOneSequence),
    row("stages in a list", CAMS, Listed),
    row("blocks in a list that calls them", BOTH, at("layer4", lambda part: Loop(part))),
    row("ReLU as a function", BOTH, functional_relu),
    row("pooled by the mean", BOTH, pooled_by_mean),
    row("forward in a method", CAMS, functions_of_a_method),
    row("convolutions built anew", CAMS, rebuilt_convolutions, SCENES, IMAGENET),
    row("the model in somebody's wrapper", BOTH, Wrapped),
    row("logits in a tuple", LIME, InATuple),
    row("logits by name", CAMS, Named),
    row("batch normalisation by its formula", BOTH, normalised_by_formula, SCENES, LITE0),
    row("eps as a number of NumPy", CAMS, eps_written_otherwise, SCENES, LITE0),
    row("no batches counted", CAMS, without_statistics_counted, SCENES, LITE0),
    row("parts in another order", BOTH, in_reverse, SCENES, IMAGENET, LITE0),
    row("a stage computed again", CAMS, at("layer3", Recomputed)),
    row("the last layer as a product", CAMS, at("fc", ProductOnly)),
    row("the last layer as a convolution", CAMS, as_convolution),
    row("a second head that nobody asks", BOTH, second_head),
    row("the last layer under two names", BOTH, under_two_names),
    row("the average of an average", BOTH, averaged),
    row("pickled", CAMS, through_pickle),
    row("copied twice", CAMS, copied_deeply),
    row("the last block of a real network in Sequential", LIME, at("features.18", nn.Sequential), IMAGENET),
    row("all features in Sequential", CAMS, at("features", nn.Sequential), IMAGENET),
    row("ReLU6 as Hardtanh", CAMS, clamped, *REAL),
    row("no identities", CAMS, without_identities, IMAGENET),
    row("functions in the head", LIME, FunctionalHead, IMAGENET),
    row("each block in a wrapper", CAMS, wrapped_blocks, LITE0),
    row("head in Sequential", CAMS, at("_conv_head", nn.Sequential), LITE0),
)


def of_weights(name: str, tasks: tuple[str, ...], change: Callable[[nn.Module], Any], *models: str) -> Harmless:
    return Harmless(name, tasks, spelt(change), kind="weights", models=models or (SCENES,))


CHANGES += (
    of_weights("zeros as biases", BOTH, zero_biases, SCENES, LITE0),
    of_weights("batch normalisation folded", LIME, folded),
    of_weights("through safetensors", BOTH, through_safetensors, SCENES, LITE0),
    of_weights("through torch.save", CAMS, through_torch_save),
    of_weights("a buffer that is not saved", BOTH, unsaved_buffer),
    of_weights("a buffer that nobody reads", BOTH, unused_buffer, SCENES, IMAGENET),
    of_weights("weight norm of the last layer", LIME, weight_norm("fc")),
    of_weights("weight norm of the head of a real network", CAMS, weight_norm("classifier.1"), IMAGENET),
    of_weights("a lazy layer that is built", CAMS, lazily),
    of_weights("other strides of weights", BOTH, scattered, SCENES, LITE0),
    of_weights("partly frozen", LIME, partly_frozen, SCENES, IMAGENET),
    of_weights("there and back to double precision", CAMS, through_double, SCENES, IMAGENET),
    of_weights("in shared memory", CAMS, shared),
)
