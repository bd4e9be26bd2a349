"""More models that are spelt otherwise: tensors registered otherwise, other names of layers, parts that do nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from harmless import POOLED, SCENES, SWIN, TRANSFORMERS, VIT, Harmless, spelt
from spelt_networks import Wrapped, at
from torch import Tensor, nn
from torch.ao.quantization import DeQuantStub, QuantStub
from torch.nn.utils import fuse_conv_bn_eval, parametrizations, parametrize
from torchvision.models.resnet import BasicBlock
from torchvision.models.vision_transformer import EncoderBlock
from torchvision.ops import FrozenBatchNorm2d, StochasticDepth

# --- tensors that are registered otherwise ----------------------------------------------------------------------------


def as_buffer(part: nn.Module, name: str, *, persistent: bool = True) -> None:
    tensor = getattr(part, name).detach()
    delattr(part, name)
    part.register_buffer(name, tensor, persistent=persistent)


def as_parameter(part: nn.Module, name: str) -> None:
    tensor = getattr(part, name)
    delattr(part, name)
    part.register_parameter(name, nn.Parameter(tensor, requires_grad=False))


def norms(module: nn.Module) -> Iterator[nn.Module]:
    return (part for part in module.modules() if isinstance(part, nn.BatchNorm2d | nn.LayerNorm))


def scales_as_buffers(module: nn.Module) -> None:
    for part in norms(module):
        as_buffer(part, "weight")


def unsaved_scales(module: nn.Module) -> None:
    for part in norms(module):
        as_buffer(part, "weight", persistent=False)
        as_buffer(part, "bias", persistent=False)


def one_scale_as_buffer(module: nn.Module) -> None:
    as_buffer(module.layer3[0].bn1, "bias")


def last_weight_as_buffer(module: nn.Module) -> None:
    as_buffer(module.fc, "weight")


def all_as_buffers_but_the_last(module: nn.Module) -> None:
    """A network without any parameter is explained by no method of grad-cam."""
    for part in list(module.modules())[:-1]:
        for name, _ in list(part.named_parameters(recurse=False)):
            as_buffer(part, name)


def statistics_as_parameters(module: nn.Module) -> None:
    for part in norms(module):
        as_parameter(part, "running_mean")
        as_parameter(part, "running_var")


def unsaved_statistics(module: nn.Module) -> None:
    for part in norms(module):
        as_buffer(part, "running_var", persistent=False)


def registered_in_reverse(module: nn.Module) -> None:
    """Only the order of tensors within each module."""
    for part in module.modules():
        part._parameters = dict(reversed(part._parameters.items()))
        part._buffers = dict(reversed(part._buffers.items()))


def frozen_norms(module: nn.Module) -> None:
    """The batch normalisation of detection, which keeps all in buffers."""
    for name, part in list(module.named_modules()):
        if type(part) is nn.BatchNorm2d:
            frozen = FrozenBatchNorm2d(part.num_features, eps=part.eps)
            values = part.state_dict()
            values.pop("num_batches_tracked")
            frozen.load_state_dict(values)
            at(name, lambda _, frozen=frozen: frozen)(module)


class PlainTensors(nn.Module):
    """A last layer whose weights are attributes that nothing registers."""

    def __init__(self, last: nn.Linear) -> None:
        super().__init__()
        self.values = [last.weight.detach(), last.bias.detach()]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, *self.values)


def tokens_as_buffers(module: nn.Module) -> None:
    if hasattr(module, "class_token"):
        as_buffer(module, "class_token")
    as_buffer(module.encoder, "pos_embedding")


def swin_tables_as_buffers(module: nn.Module) -> None:
    for part in module.modules():
        if hasattr(part, "relative_position_bias_table"):
            as_buffer(part, "relative_position_bias_table")


def indices_as_parameters(module: nn.Module) -> None:
    for part in module.modules():
        if "relative_position_index" in part._buffers:
            as_buffer(part, "relative_position_index", persistent=False)


# --- parametrizations, shared and empty parts -------------------------------------------------------------------------


def parametrized_by_nothing(module: nn.Module) -> None:
    parametrize.register_parametrization(module.fc, "weight", nn.Identity())
    parametrize.register_parametrization(module.layer3[1].conv1, "weight", nn.Identity())


def norm_removed(module: nn.Module) -> None:
    """Weights are given a norm and lose it again; each moves to the end of its module, and none changes."""
    for part in (module.fc, module.conv1):
        before = part.weight.detach().clone()
        parametrizations.weight_norm(part)
        parametrize.remove_parametrizations(part, "weight")
        part.weight.data = before


class Spectral(nn.Module):
    """A parametrization of somebody, which gives back what it gets."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.clone()


def parametrized_blocks(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, BasicBlock):
            parametrize.register_parametrization(part.conv2, "weight", Spectral())


def one_relu_for_all(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, BasicBlock):
            part.relu = module.relu


class OwnRelus(BasicBlock):
    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu2(out)


def relus_of_their_own(module: nn.Module) -> None:
    for part in module.modules():
        if type(part) is BasicBlock:
            part.relu1, part.relu2, part.__class__ = nn.ReLU(inplace=True), nn.ReLU(), OwnRelus
            del part.relu


class Shortcut(BasicBlock):
    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.shortcut(x) + self.bn2(self.conv2(out)))


def shortcuts(module: nn.Module) -> None:
    """What is added has another name, and is there in every block."""
    for part in module.modules():
        if type(part) is BasicBlock:
            part.shortcut = nn.Sequential() if part.downsample is None else part.downsample
            part.__class__ = Shortcut
            del part.downsample


def identity_between(stage: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Identity(), stage[0], nn.Identity(), *stage[1:])


def dropout_between(stage: nn.Module) -> nn.Module:
    return nn.Sequential(*(part for block in stage for part in (block, nn.Dropout2d(0.2)))).eval()


def stochastic_depth(module: nn.Module) -> None:
    module.layer2 = nn.Sequential(*module.layer2, StochasticDepth(0.2, "row")).eval()


class Adapted(nn.Module):
    """A linear layer beside an adapter of rank 2 that has learnt nothing yet."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base, self.down = base, nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


class Scaled(nn.Module):
    """A layer scale of ones."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part, self.gamma = part, nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * self.part(x)


class Stubs(nn.Module):
    """Prepared for quantisation, and not quantised."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.quant, self.net, self.dequant = QuantStub(), net, DeQuantStub()

    def forward(self, x: Tensor) -> Tensor:
        return self.dequant(self.net(self.quant(x)))


# --- other code -------------------------------------------------------------------------------------------------------


def compiled_stage(part: nn.Module) -> nn.Module:
    return torch.compile(part, backend="eager")


class Unrolled(nn.Module):
    """Blocks as attributes of the network, under the names of somebody else."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(net.conv1, net.bn1, nn.ReLU())
        for stage, name in enumerate(("layer1", "layer2", "layer3", "layer4"), 1):
            for number, block in enumerate(getattr(net, name)):
                setattr(self, f"block{stage}_{number}", block)
        self.names = [name for name, _ in self.named_children() if name.startswith("block")]
        self.pool, self.head = net.maxpool, net.fc

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        for name in self.names:
            x = getattr(self, name)(x)
        return self.head(x.mean((-1, -2)))


class ByName(nn.Module):
    """Stages in a `ModuleDict`."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.stages = nn.ModuleDict({f"s{i}": getattr(net, f"layer{i}") for i in range(1, 5)})
        self.avgpool, self.fc = net.avgpool, net.fc

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages.values():
            x = stage(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Backbone(nn.Module):
    """A model in two parts, as detection has it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.head = net.fc
        net.fc = nn.Identity()
        self.backbone = net

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


class InHalves(nn.Module):
    """A convolution in two, for the first and the second half of its channels."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        half = conv.out_channels // 2
        self.parts = nn.ModuleList()
        for weight in (conv.weight.data[:half], conv.weight.data[half:]):
            part = nn.Conv2d(conv.in_channels, len(weight), conv.kernel_size, conv.stride, conv.padding, bias=False)
            part.weight.data = weight.clone()
            self.parts.append(part)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.parts], dim=1)


def stem_folded(module: nn.Module) -> None:
    module.conv1, module.bn1 = fuse_conv_bn_eval(module.conv1, module.bn1), nn.Identity()


def counted_from_one(stage: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict((str(number), block) for number, block in enumerate(stage, 1)))


def through_half(module: nn.Module) -> None:
    """A layer whose values all are numbers of half precision is stored so, and read again."""
    for name, buffer in list(module.named_buffers()):
        if name.endswith("num_batches_tracked"):
            buffer.copy_(buffer.to(torch.int32).to(torch.int64))


def summed(part: nn.Linear) -> nn.Module:
    class Sums(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("nc,kc->nk", x, self.weight) + self.bias

    part.__class__ = Sums
    return part


# --- transformers -----------------------------------------------------------------------------------------------------


class NormOfOthers(nn.Module):
    """A layer norm as others write it: other names of its weights."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(norm.weight.data), nn.Parameter(norm.bias.data)
        self.eps, self.shape = norm.eps, norm.normalized_shape

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, self.gamma, self.beta, self.eps)


def norms_of_others(module: nn.Module) -> None:
    for name, part in list(module.named_modules()):
        if type(part) is nn.LayerNorm:
            at(name, NormOfOthers)(module)


class Perceptron(nn.Module):
    """Two layers as attributes, with GELU as a function."""

    def __init__(self, block: nn.Sequential) -> None:
        super().__init__()
        self.fc1, self.fc2 = (part for part in block if isinstance(part, nn.Linear))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def perceptrons(module: nn.Module) -> None:
    for part in module.modules():
        if hasattr(part, "mlp"):
            part.mlp = Perceptron(part.mlp)


def head_alone(module: nn.Module) -> None:
    module.heads = module.heads[-1]


def layers_in_list(module: nn.Module) -> None:
    class Loop(nn.ModuleList):
        def forward(self, x: Tensor) -> Tensor:
            for block in self:
                x = block(x)
            return x

    module.encoder.layers = Loop(module.encoder.layers)


def all_blocks_wrapped(module: nn.Module) -> None:
    module.encoder.layers = nn.Sequential(
        OrderedDict((name, Wrapped(block)) for name, block in module.encoder.layers.named_children())
    )


class Added(EncoderBlock):
    def forward(self, tokens: Tensor) -> Tensor:
        x = self.ln_1(tokens)
        x = tokens + self.self_attention(x, x, x, need_weights=False)[0]
        return self.mlp(self.ln_2(x)) + x


def blocks_in_other_words(module: nn.Module) -> None:
    for part in module.modules():
        if type(part) is EncoderBlock:
            part.__class__ = Added


CAMS, DISSECTION, BOTH, SEVERAL = ("cams",), ("dissection",), ("cams", "dissection"), ("cams", "lime", "dissection")


def row(name: str, tasks: tuple[str, ...], change: Callable[[nn.Module], Any], *models: str) -> Harmless:
    return Harmless(name, tasks, spelt(change), models=models or (SCENES,))


CHANGES = (
    row("scales of norms as buffers", SEVERAL, scales_as_buffers, SCENES, *TRANSFORMERS),
    row("scales of norms that are not saved", BOTH, unsaved_scales, SCENES, VIT),
    row("one bias as a buffer", SEVERAL, one_scale_as_buffer),
    row("the last weights as a buffer", BOTH, last_weight_as_buffer),
    row("all weights as buffers but the last", SEVERAL, all_as_buffers_but_the_last, SCENES, POOLED),
    row("statistics as parameters", SEVERAL, statistics_as_parameters),
    row("statistics that are not saved", BOTH, unsaved_statistics),
    row("tensors registered in reverse", BOTH, registered_in_reverse, SCENES, VIT),
    row("frozen batch norms", SEVERAL, frozen_norms),
    row("weights that nothing registers", BOTH, at("fc", PlainTensors)),
    row("tokens as buffers", BOTH, tokens_as_buffers, VIT, POOLED),
    row("tables of positions as buffers", BOTH, swin_tables_as_buffers, SWIN),
    row("indices that are not saved", CAMS, indices_as_parameters, SWIN),
    row("parametrized by nothing", BOTH, parametrized_by_nothing),
    row("blocks parametrized by nothing", BOTH, parametrized_blocks),
    row("a norm of weights that is removed", BOTH, norm_removed),
    row("one ReLU for all", BOTH, one_relu_for_all),
    row("each ReLU of its own", SEVERAL, relus_of_their_own),
    row("shortcuts", BOTH, shortcuts),
    row("identities between blocks", DISSECTION, at("layer4", identity_between)),
    row("dropout between blocks", BOTH, at("layer4", dropout_between)),
    row("stochastic depth at rest", BOTH, stochastic_depth),
    row("an adapter that has learnt nothing", BOTH, at("fc", Adapted)),
    row("a layer scale of ones", BOTH, at("layer3", Scaled)),
    row("the last stage scaled by one", BOTH, at("layer4", Scaled)),
    row("prepared for quantisation", DISSECTION, Stubs),
    row("a compiled stage", BOTH, at("layer4", compiled_stage)),
    row("blocks as attributes", CAMS, Unrolled),
    row("stages by name", CAMS, ByName),
    row("backbone and head", DISSECTION, Backbone),
    row("a convolution in halves", BOTH, at("layer2.0.conv1", InHalves)),
    row("the stem folded", SEVERAL, stem_folded),
    row("blocks counted from one", BOTH, at("layer4", counted_from_one)),
    row("counters there and back", CAMS, through_half),
    row("the last layer by einsum", BOTH, at("fc", summed)),
    row("layer norms of others", BOTH, norms_of_others, *TRANSFORMERS),
    row("perceptrons of others", BOTH, perceptrons, *TRANSFORMERS),
    row("the head alone", BOTH, head_alone, VIT),
    row("blocks of a transformer in a list", DISSECTION, layers_in_list, VIT, POOLED),
    row("each block of a transformer in a wrapper", BOTH, all_blocks_wrapped, VIT, POOLED),
    row("blocks of a transformer in other words", BOTH, blocks_in_other_words, VIT, POOLED),
)

# What these show is not shown by others; the rest is tried by a thorough run only.
_OFTEN = {
    "scales of norms as buffers",
    "scales of norms that are not saved",
    "statistics as parameters",
    "tensors registered in reverse",
    "identities between blocks",
    "blocks counted from one",
    "backbone and head",
    "blocks of a transformer in a list",
    "tables of positions as buffers",
}
RARELY = {change.name for change in CHANGES} - _OFTEN
