"""Run a model on one batch and collect the outputs of the chosen layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.dissection.dissection_plan import DissectedModel
from xai_eval.inputs.models.layout import leading_tensor, possible_layouts
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.outputs import logits

_MAP, _TOKENS, _VECTOR = 4, 3, 2


def layer_outputs(model: DissectedModel, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run a model on a batch and return the outputs of its layers, on the model's device.

    Whether these are finite is not asked here: to ask means to wait for the device, once per layer. Of a layer that
    returns a tuple, the first tensor counts, as for class activation maps. A model that takes single images only gets
    the images one by one.

    Args:
        model: the model and the names of its layers.
        batch: prepared images, (n, 3, H, W).

    Returns:
        By name of the layer, float32: maps (n, J, h, w), tokens (n, tokens, J) whose first is a class token, or vectors
        (n, J), for J units. Tokens without a class token are laid over the image as maps.

    Raises:
        ModelMisbehaves: the model raises, or returns no logits.
        UsageError: a layer is not reached, or returns neither maps nor tokens nor vectors.
    """
    classifier = model.classifier
    if len(batch) > 1 and not classifier.first_answers.takes_batches:
        alone = [layer_outputs(model, image) for image in torch.split(batch, 1)]
        return {layer: torch.cat([each[layer] for each in alone]) for layer in model.layers}
    with as_model_error(classifier.name, batch.shape), torch.no_grad(), _kept(model) as kept:
        # The copy to the device comes first: in one step with a change of format, it would not run beside other work.
        given = batch.to(classifier.device, non_blocking=True)
        logits(classifier, given.contiguous(memory_format=model.memory_format))
    return {layer: _checked(model, layer, kept, batch.shape) for layer in model.layers}


def pool_positions(output: torch.Tensor) -> torch.Tensor:
    """Reduce the output of a layer to one number per image and unit, (n, J), on its device.

    Of maps this is the mean over positions, of tokens the class token (the first), of vectors the value itself.
    """
    if output.dim() == _MAP:
        output = output.mean(dim=(2, 3))
    elif output.dim() == _TOKENS:
        output = output[:, 0]
    return output


def require_finite(finite: torch.Tensor, model: str, layer: str) -> None:
    """Raise ModelMisbehaves, which names model and layer, if one of the flags is not set."""
    if not bool(finite.all()):
        raise ModelMisbehaves(
            f"{model} gives values in layer {layer!r} that are not finite; expected finite numbers. "
            "Check the weights and the precision that the model runs in."
        )


def has_maps(output: torch.Tensor) -> bool:
    """Tell whether a layer returns maps (n, J, h, w), which can be compared with pixel labels."""
    return output.dim() == _MAP


@contextmanager
def _kept(model: DissectedModel) -> Iterator[Mapping[str, Any]]:
    """Collect copies of what the layers return; without a copy, an in-place ReLU after the layer would change it."""
    kept: dict[str, Any] = {}

    def keep(layer: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: object, _inputs: object, output: Any) -> None:
            tensor = leading_tensor(output)
            kept[layer] = output if tensor is None else tensor.detach().clone(memory_format=torch.contiguous_format)

        return model.classifier.layer(layer).register_forward_hook(hook)

    handles = [keep(layer) for layer in model.layers]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _may_have_units_last(output: torch.Tensor, batch: torch.Size) -> bool:
    """Whether the shape of an output, (n, ?, ?, ?), leaves it open where the units are. Only then it is measured."""
    if output.dim() != _MAP:
        return False
    layouts = possible_layouts(tuple(output.shape[1:]), (batch[2], batch[3]))
    return not (len(layouts) == 1 and layouts[0].is_plain)


def _checked(model: DissectedModel, layer: str, kept: Mapping[str, Any], batch: torch.Size) -> torch.Tensor:
    classifier, count = model.classifier, batch[0]
    if layer not in kept:
        raise UsageError(
            f"layer {layer!r} of {classifier.name} is not called in a forward pass. Choose other --layers."
        )
    output = kept[layer]
    if (
        not isinstance(output, torch.Tensor)
        or output.dim() not in (_MAP, _TOKENS, _VECTOR)
        or len(output) != count
        or output.numel() == 0
    ):
        got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UsageError(
            f"layer {layer!r} of {classifier.name} returns {got} for {count} images; expected maps (n, units, h, w), "
            "vectors (n, units), or tokens (n, tokens, units) whose first is the class token. Choose other --layers."
        )
    if _may_have_units_last(output, batch) and layer in model.with_units_last:
        output = output.permute(0, 3, 1, 2).contiguous()
    places = model.places_of_tokens(layer) if output.dim() == _TOKENS else None
    return (output if places is None else places(output).contiguous()).float()
