"""Fold batch normalisation into the convolutions before it, while many images run through a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from xai_eval.explainers.model.overrides import overridden_forward
from xai_eval.explainers.model.reproduction import disagreement


@contextmanager
def folded_batch_norms(model: nn.Module, example: Tensor, memory_format: torch.memory_format) -> Iterator[None]:
    """Fold every batch norm whose input is the unchanged output of a convolution, until the context is left.

    Parameters are not changed; `forward` of the two modules is replaced. The pairs are found by watching which modules
    `model(example)` calls. Code between the modules cannot be watched, so the logits are compared afterwards: if they
    differ by more than rounding, nothing is folded.

    Args:
        model: a model in evaluation mode.
        example: prepared images, (N, 3, H, W).
        memory_format: how the folded weights are stored; convolutions compute in the format of their weights.
    """
    expected, pairs = _watched_pass(model, example)
    with ExitStack() as stack:
        for pair in pairs:
            stack.enter_context(_folded(pair, memory_format))
        if disagreement(model(example), expected):
            stack.close()
        yield


@dataclass(frozen=True)
class _Pair:
    convolution: nn.Conv2d
    norm: nn.BatchNorm2d


def _watched_pass(model: nn.Module, example: Tensor) -> tuple[Tensor, list[_Pair]]:
    """Run the model once; return its logits, and each convolution with the batch norm that took its output."""
    pairs: list[_Pair] = []
    calls: Counter[nn.Module] = Counter()
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # holding the tensors keeps Python from reusing their ids

    def note_convolution(module: nn.Conv2d, _: Any, output: Tensor) -> None:
        calls[module] += 1
        outputs[id(output)] = module, output

    def note_norm(module: nn.BatchNorm2d, args: Any) -> None:
        calls[module] += 1
        if id(args[0]) in outputs:
            pairs.append(_Pair(outputs[id(args[0])][0], module))

    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, nn.Conv2d) and type(module).forward is nn.Conv2d.forward:
                stack.callback(module.register_forward_hook(note_convolution).remove)
            elif isinstance(module, nn.BatchNorm2d) and _is_affine_map(module):
                stack.callback(module.register_forward_pre_hook(note_norm).remove)
        logits = model(example)
    return logits, [pair for pair in pairs if calls[pair.convolution] == calls[pair.norm] == 1]


def _is_affine_map(norm: nn.BatchNorm2d) -> bool:
    ordinary = type(norm).forward is nn.BatchNorm2d.forward
    return ordinary and not norm.training and norm.running_mean is not None


@contextmanager
def _folded(pair: _Pair, memory_format: torch.memory_format) -> Iterator[None]:
    convolution, norm = pair.convolution, pair.norm
    assert norm.running_mean is not None and norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    stored = weight.contiguous(memory_format=memory_format)
    compute = partial(convolution._conv_forward, weight=stored, bias=bias)
    with overridden_forward(convolution, lambda _: compute), overridden_forward(norm, lambda _: lambda x: x):
        yield
