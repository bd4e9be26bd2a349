"""Turn errors of a user's model into an error of this package that names the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from xai_eval.errors import ModelMisbehaves, XaiEvalError, error_line
from xai_eval.inputs.models.own_methods import told_method
from xai_eval.inputs.models.precision import remedy_of_precision

# What torch says when it is asked for a gradient of something that was computed without.
_WITHOUT_GRADIENT = (
    "does not require grad and does not have a grad_fn",
    "appears to not have been used in the graph",
)

_PAIR = 2  # images that a model was tried on before

_NO_MEMORY = (
    "The memory is used up: end other programs, let the preprocessing make smaller images, or give the task a smaller "
    "batch, if it has that parameter."
)

# By words of torch's errors, what to do about a model that fails whatever batch it gets.
_REMEDIES = {
    "use_reentrant=True": "Give its calls of torch.utils.checkpoint use_reentrant=False, which computes the same.",
    "modified by an inplace operation": (
        "The model writes into a tensor that its gradient needs, so that it could not be trained either. Write into a "
        "copy (clone), or take what needs no gradients (the task lime, or occlusion)."
    ),
    "out of memory": (
        "The GPU has too little free memory. End other programs on it (nvidia-smi lists them), choose a smaller "
        "batch size where the task has one, or --device cpu."
    ),
    "Inference tensors cannot be saved for backward": (
        "The model keeps a tensor that it made in torch.inference_mode, through which no gradient passes (or it "
        "computes in threads of its own, which are not in that mode). Make it in torch.no_grad instead, or take what "
        "needs no gradients (the task lime, or occlusion)."
    ),
    "function being vmapped": (
        "What torch.func.vmap computes inside the model cannot be watched. Call its networks one after the other, or "
        "take a task that needs no layer (attributions, lime)."
    ),
    "can't allocate memory": _NO_MEMORY,
    "not enough memory": _NO_MEMORY,
    "MemoryError": _NO_MEMORY,
}


@contextmanager
def as_model_error(
    model: str, shape: Sequence[int], under: str = "", reason: Callable[[], str] | None = None
) -> Iterator[None]:
    """Raise ModelMisbehaves if the code inside the context raises; errors of this package and KeyboardInterrupt pass.

    The context must not be left open by a generator: to close it raises GeneratorExit, which counts as an error here.

    Args:
        model: name of the model.
        shape: shape of its input.
        under: the explanation method that calls the model, if it is not called by this package itself.
        reason: finds out why it fails and what to do, in sentences; empty if it cannot.

    Raises:
        ModelMisbehaves: anything else was raised. This includes sys.exit(), which would otherwise end the command as if
            it had succeeded, and what is no Exception, such as GeneratorExit.
    """
    try:
        yield
    except (XaiEvalError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ModelMisbehaves(
            f"{model} fails{f' under {under}' if under else ''} on a batch of shape {tuple(shape)}: "
            f"{error_line(error).rstrip('.')}. {told_method(error) or (reason and reason()) or _remedy(error, shape)}"
            f"{remedy_of_precision()}"
        ) from error


def _remedy(error: BaseException, shape: Sequence[int]) -> str:
    if not isinstance(error, Exception):
        return (
            f"{type(error).__name__} ends a program. A model has to return its answer, or to raise an Exception: "
            "remove what raises it, such as a call of sys.exit()."
        )
    if any(words in error_line(error) for words in _WITHOUT_GRADIENT):
        return (
            "The model computes its answer without gradients (no_grad, detach, rounding, or an answer kept from an "
            "earlier pass). Let gradients pass, or choose a method without gradients (scorecam, eigencam, occlusion)."
        )
    usual = "Check that the model takes such a batch: its preprocessing says how large images are, and how normalised."
    if shape and shape[0] > _PAIR:
        usual = (
            "If it takes fewer images at once, give a smaller --batch-size (where the task has one), or let it refuse "
            "more than one (assert len(images) == 1): then images are given to it one by one. Else check its "
            "preprocessing: it says how large images are, and how normalised."
        )
    return next((remedy for words, remedy in _REMEDIES.items() if words in error_line(error)), usual)
