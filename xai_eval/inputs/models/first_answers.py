"""Ask a model for two answers before it is used. They tell how its output is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.attributes import attribute
from xai_eval.inputs.models.detections import are_boxes, classes_of
from xai_eval.inputs.models.found_reading import (
    AS_AN_IMAGE,
    LIKE_AN_IMAGE,
    check_proportions,
    found_reading,
    may_be_an_image,
)
from xai_eval.inputs.models.host_state import settings_kept
from xai_eval.inputs.models.layers import evaluating, noise_image
from xai_eval.inputs.models.layout import HALVES
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import hooks_of, keep_hooks, lent
from xai_eval.inputs.models.one_by_one import OneByOne
from xai_eval.inputs.models.other_inputs import why_not
from xai_eval.inputs.models.output_entries import FEATURES_REMEDY
from xai_eval.inputs.models.own_methods import buffers_of, parameters_of
from xai_eval.inputs.models.reading import Boxes, Maps, OutputKind, Reading, Scoring
from xai_eval.inputs.models.squashing import at_extremes

_PROBLEMS = {
    "multi_label_classification": OutputKind.MULTILABEL,
    "regression": OutputKind.REGRESSION,
}


# Two answers to one image differ by less of their size, by the order of a sum or in half precision.
_ALIKE = 5e-3


@dataclass(frozen=True)
class FirstAnswers:
    """What two passes told about a model.

    Attributes:
        reading: how its output is read.
        writes_into_input: whether a pass changes the batch that it is given, be it that it asks for its gradient.
        dtype: type of the model's numbers.
        is_plain: whether the model itself returns scores (N, C) in single or double precision.
        takes_batches: whether it takes several images at once.
        needs_contiguous: whether it fails on images whose channels come last in memory, such as by a `view`.
    """

    reading: Reading
    writes_into_input: bool
    dtype: torch.dtype
    is_plain: bool
    takes_batches: bool
    needs_contiguous: bool = False

    def scoring(self, module: nn.Module) -> nn.Module:
        """Return a model that returns scores (N, C): the module itself if it does, else one that wraps it."""
        scoring = self._scoring(module)
        return scoring if self.takes_batches else OneByOne(scoring).eval()

    def maps(self, module: nn.Module) -> nn.Module:
        """Return a model that returns the maps (N, C, h, w) of a segmentation."""
        scoring = self._scoring(module)
        assert isinstance(scoring, Scoring)
        maps = Maps(scoring, self.reading)
        return (maps if self.takes_batches else OneByOne(maps)).eval()

    def detector(self, module: nn.Module) -> nn.Module:
        """Return a model that returns the boxes of each image."""
        scoring = self._scoring(module)
        assert isinstance(scoring, Scoring)
        boxes = Boxes(scoring)
        return (boxes if self.takes_batches else OneByOne(boxes)).eval()

    def _scoring(self, module: nn.Module) -> nn.Module:
        as_given = not self.writes_into_input and not self.needs_contiguous
        if self.is_plain and as_given and self.dtype is torch.float32:
            return module
        return Scoring(module, self.reading, self.dtype, self.writes_into_input, self.needs_contiguous).eval()


def first_answers(
    module: nn.Module, input_shape: tuple[int, ...], kind: OutputKind | None, names: int | None, model: str
) -> FirstAnswers:
    """Run a model on two images of noise. It is restored afterwards.

    Args:
        module: the model.
        input_shape: shape (channels, H, W) of one prepared image.
        kind: kind of its output, if the user gave it.
        names: number of names of classes that come with it; None if it has none.
        model: its name, for errors.

    Raises:
        ModelMisbehaves: the model raises, or returns nothing that can be explained.
        UsageError: it returns a single number, and nothing says what it is; or the given kind does not fit.
    """
    if kind is not OutputKind.EMBEDDING:
        _check_head(module, model)
    _check_values(module, model)
    batches = [noise_image(module, input_shape, seed) for seed in (0, 1)]
    _initialise(module, batches[0], model)
    reason = partial(why_not, module, batches[0].clone())
    with evaluating(module), lent(module), as_model_error(model, batches[0].shape, reason=reason):
        first = _answer(module, batches[0])
        hooks, kept = hooks_of(module), [each.detach().clone() for each in _tensors(first)]
        second, needs_contiguous = _answer_to_channels_last(module, batches[1])
        _check_kept(first, kept, model)
    keep_hooks(hooks)
    with evaluating(module), lent(module):
        together = _answer_to_both(module, input_shape)
    told = _told(module) if kind is None else None
    names = classes_of(module) or names if are_boxes(first) else names
    with evaluating(module), lent(module):
        extremes = at_extremes(module, noise_image(module, input_shape), module)
        reading = found_reading(first, second, kind or told, names, model, extremes)
    if reading.kind is OutputKind.SEGMENTATION:
        check_proportions(reading.maps(first), (input_shape[1], input_shape[2]), model)
    if may_be_an_image(reading, first, input_shape, names):
        reading = replace(reading, why=AS_AN_IMAGE, numbers=LIKE_AN_IMAGE)
    if told is not None:
        reading = replace(reading, why="found: the configuration of the model says so")
    writes = any(_is_changed(batch, noise_image(module, input_shape, seed)) for seed, batch in enumerate(batches))
    takes_batches = _is_an_answer_to_both(together, reading)
    if takes_batches:
        _check_own_answers(reading, first, second, together, model)
    plain = _is_plain(first, reading)
    return FirstAnswers(reading, writes, batches[0].dtype, plain, takes_batches, needs_contiguous)


def _answer_to_channels_last(module: nn.Module, batch: Tensor) -> tuple[Any, bool]:
    """Return an answer, and whether the model fails on images in the memory format in which torchvision prepares them.

    Batches of a loader are contiguous, so that nobody noticed in training.
    """
    try:
        return _answer(module, batch.contiguous(memory_format=torch.channels_last)), False
    except KeyboardInterrupt:
        raise
    except BaseException:  # if it is not the memory format, it fails again
        return _answer(module, batch), True


def _tensors(output: Any) -> Iterator[Tensor]:
    """Yield the dense tensors of an output."""
    if isinstance(output, Tensor) and output.layout is torch.strided and not output.is_nested:
        yield output
    elif isinstance(output, Mapping | tuple | list):
        for each in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(each)


def _check_kept(output: Any, kept: list[Tensor], model: str) -> None:
    """Refuse a model whose second answer was written over its first one."""
    pairs = zip(_tensors(output), kept, strict=True)
    if not all(bool(((now == before) | before.isnan()).all()) for now, before in pairs):
        raise ModelMisbehaves(
            f"{model} returns the same memory in every pass (a buffer that each pass fills anew), so that an answer is "
            "another one as soon as the next image is seen. Return a copy of it: output.clone()."
        )


def _is_changed(batch: Tensor, before: Tensor) -> bool:
    """Whether a model wrote into a batch, or asked for its gradient (`requires_grad_`), which stays with the batch."""
    return batch.requires_grad or not torch.equal(batch, before)


def _answer_to_both(module: nn.Module, input_shape: tuple[int, ...]) -> Any:
    both = torch.cat([noise_image(module, input_shape, seed) for seed in (0, 1)])
    try:
        return _answer(module, both)
    except KeyboardInterrupt:
        raise
    except BaseException:  # it takes single images only, or says itself what is wrong with others
        return None


def _is_an_answer_to_both(output: Any, reading: Reading) -> bool:
    try:
        scores = reading.scores(output)
    except Exception:  # of another form than the answer to one image
        return False
    return tuple(scores.shape) == (2, reading.classes)


def _check_own_answers(reading: Reading, first: Any, second: Any, together: Any, model: str) -> None:
    """Refuse a model that gives all images of a batch the answer to one of them, be it the first or the last."""
    one, other = reading.scores(together)
    if torch.equal(one, other) and not torch.allclose(reading.scores(first), reading.scores(second), rtol=_ALIKE):
        raise ModelMisbehaves(
            f"{model} gives two different images of a batch the same answer, and alone they have different ones; "
            "expected a row of its own for each image. Does it compute one image and expand that (x[0], x[:1], "
            "expand)? Let it compute all of them, or refuse more than one (assert len(images) == 1): then images are "
            "given to it one by one."
        )


def _is_plain(output: Any, reading: Reading) -> bool:
    rows = isinstance(output, Tensor) and output.dim() == 2 and output.dtype not in HALVES
    return rows and reading.kind is not OutputKind.EMBEDDING and reading.outputs == reading.classes


def _told(module: nn.Module) -> OutputKind | None:
    """Return what the configuration of a model of transformers, or of one inside the module, says of its output."""
    configured = (attribute(attribute(part, "config"), "problem_type") for part in module.modules())
    return next((_PROBLEMS[each] for each in configured if isinstance(each, str) and each in _PROBLEMS), None)


def _initialise(module: nn.Module, batch: Tensor, model: str) -> None:
    """Let lazy layers take their shape from a first pass, as they do when they are trained."""
    if any(is_lazy(each) for each in (*parameters_of(module), *buffers_of(module))):
        with evaluating(module), torch.no_grad(), as_model_error(model, batch.shape), settings_kept():
            module(batch.clone())


def _check_head(module: nn.Module, model: str) -> None:
    """Refuse a model that says itself that it has no classes, as timm's do when they are made to return features."""
    if attribute(module, "num_classes") == 0:
        raise ModelMisbehaves(
            f"{model} has no head (num_classes is 0): it returns features of the image, of which none is a class. "
            "Create it with the classes that it was trained for, or wrap it in a module that returns a score per "
            f"class. {FEATURES_REMEDY}"
        )


def _check_values(module: nn.Module, model: str) -> None:
    """Refuse a model whose weights were never loaded, or are no dense tensors."""
    tensors = (*nn.Module.named_parameters(module), *nn.Module.named_buffers(module))
    empty = next((name for name, weights in tensors if weights.is_meta), None)
    if empty is not None:
        raise ModelMisbehaves(
            f"{model} has weights without values: {empty!r} is on the device meta. Create it on another device, and "
            "load its weights."
        )
    sparse = next((name for name, each in tensors if each.layout is not torch.strided), None)
    if sparse is not None:
        raise ModelMisbehaves(
            f"{model} has weights that are no dense tensors, first {sparse!r}; expected dense ones, which can be kept "
            "and compared. Make them dense (to_dense) before the model is explained."
        )


def _answer(module: nn.Module, batch: Tensor) -> Any:
    # The gradient is traced because it names the last step. The batch itself takes no part in that, so that the model
    # may write into it.
    for parameter in parameters_of(module):
        parameter.requires_grad_(parameter.is_floating_point())
    with torch.inference_mode(False):
        try:
            with torch.enable_grad():
                return _called(module, batch)
        except (KeyboardInterrupt, ModelMisbehaves):
            raise
        except BaseException:
            # Some models run without gradients only. If this one fails for another reason, it fails again.
            with torch.no_grad():
                return _called(module, batch)


def _called(module: nn.Module, batch: Tensor) -> Any:
    """Run a model, and refuse one that changes for the whole process how torch computes."""
    with settings_kept() as changed:
        output = module(batch)
    if changed:
        raise ModelMisbehaves(
            f"the forward pass of {type(module).__name__} changes {', '.join(dict.fromkeys(changed))} for the whole "
            "process; expected a pass that leaves the settings of torch as they are. Else the next pass, other models "
            "and what is measured are computed otherwise. Set it back at the end of the forward pass (try, finally), "
            "or set it once, before xai_eval runs (in a conftest.py)."
        )
    return output
