"""Read the attention matrices of a transformer during one pass, and find out which tokens lie where in the image.

The model is not touched: calls of softmax and of torch's scaled dot product attention are recorded while it runs. So it
makes no difference which library the model comes from, or whether its attention is fused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from xai_eval.errors import UsageError
from xai_eval.explainers.attribution.question import Question

_ROUNDING = 1e-5
_SOFTMAX = (torch.softmax, Tensor.softmax, functional.softmax)
# Its body calls the other functions where a mode cannot see them.
_MULTI_HEAD = functional.multi_head_attention_forward


@dataclass(frozen=True, eq=False)
class Attention:
    """What was recorded of a pass.

    Attributes:
        matrices: attention of each layer in order, (heads, N, N) for N tokens: row i says where token i looks.
        gradients: gradient of the score of the explained class with respect to each matrix.
        patches: which tokens are patches of the image, (N,) bool; the others are class and register tokens.
        grid: rows and columns of the patches, (h, w).
    """

    matrices: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    patches: Tensor
    grid: tuple[int, int]


def read_attention(question: Question) -> Attention:
    """Run the model on the image, and on noisy copies, which show what token depends on which part of the image.

    Raises:
        UsageError: the model has no self-attention over all tokens in every layer, or the place of its tokens in the
            image is not known.
    """
    seen = _record(question, question.batch)
    matrices = tuple(_matrix(each.detach()) for each in seen.weights)
    if not matrices:
        raise _refusal("it has no softmax attention, or one that its library hides (compiled or scripted code)")
    sizes = list(dict.fromkeys(len(each[0]) for each in matrices))
    if len(sizes) > 1:
        raise _refusal(f"its layers have different numbers of tokens ({', '.join(map(str, sizes))})")
    changed = _changed(question, seen, slice(None), slice(None))
    # A class token is the same for every image, but for rounding.
    patches = changed > _ROUNDING * changed.max()
    grid = _grid(int(patches.sum()), seen.maps, question.batch)
    _check_places(question, seen, patches, grid)
    return Attention(matrices, tuple(map(_matrix, _gradients(seen))), patches, grid)


def _gradients(seen: _Seen) -> list[Tensor]:
    assert seen.output is not None
    found = torch.autograd.grad(seen.output[0, seen.target], seen.weights, allow_unused=True)
    pairs = zip(found, seen.weights, strict=True)
    return [torch.zeros_like(weights) if each is None else each for each, weights in pairs]


def _check_places(question: Question, seen: _Seen, patches: Tensor, grid: tuple[int, int]) -> None:
    """Raise UsageError unless noise in the first and in the last cell of the grid changes the tokens around this cell.

    Several tokens change, because the cells of convolutions before the first layer overlap, and by chance any of these
    may change most. So the centre of all changes is looked at: it has to be nearer than a sixth of the side, or a cell.
    Of tokens in any other order, or of channels, it is about the middle of the grid.
    """
    (rows, columns), (height, width) = grid, question.batch.shape[-2:]
    for row, column in ((0, 0), (rows - 1, columns - 1)):
        part = (
            slice(row * height // rows, (row + 1) * height // rows),
            slice(column * width // columns, (column + 1) * width // columns),
        )
        at_row, at_column = _centre(_changed(question, seen, *part)[patches].reshape(grid))
        if abs(at_row - row) > max(1.0, rows / 6) or abs(at_column - column) > max(1.0, columns / 6):
            raise _refusal(
                f"what its {rows * columns} tokens stand for in the image is not known: they are not in the order of "
                "the places, or attention is between channels"
            )


def _centre(changed: Tensor) -> tuple[float, float]:
    """Return the row and the column of the centre of what changed, (h, w); large changes count more."""
    weights = changed.cpu().double().square()
    rows, columns = (torch.arange(number, device="cpu") for number in weights.shape)
    total = weights.sum()
    return float((weights.sum(1) * rows).sum() / total), float((weights.sum(0) * columns).sum() / total)


def _changed(question: Question, seen: _Seen, rows: slice, columns: slice) -> Tensor:
    """Return how much each token changes in the first layer if noise is added to a part of the image, (N,)."""
    noisy = question.batch.detach().clone()
    noise = torch.randn(noisy.shape, generator=torch.Generator().manual_seed(0), device="cpu").to(noisy)
    noisy[..., rows, columns] += noise[..., rows, columns]
    # Heads are not added before: what changes in one head can cancel out what changes in another.
    return (_record(question, noisy.requires_grad_(True)).diagonal - seen.diagonal).abs().sum(0)


def _refusal(reason: str) -> UsageError:
    return UsageError(f"attention cannot be followed through this model: {reason}. Choose other --methods.")


@dataclass
class _Seen:
    """What is recorded of one pass.

    Attributes:
        weights: outputs of softmax attention, as the model has them.
        scores: what goes into the first softmax.
        maps: sizes (h, w) of the outputs of convolutions.
        output: scores of the model, (1, K).
        target: index of the explained class.
    """

    weights: list[Tensor] = field(default_factory=list)
    scores: Tensor | None = None
    maps: list[tuple[int, int]] = field(default_factory=list)
    output: Tensor | None = None
    target: int = 0

    @property
    def diagonal(self) -> Tensor:
        """How much each token attends to itself in the first layer, (heads, N). It is fixed for tokens that are."""
        assert self.scores is not None
        scores = self.scores.detach().float()
        return scores.flatten(0, -3).diagonal(dim1=-2, dim2=-1)


def _record(question: Question, batch: Tensor) -> _Seen:
    seen = _Seen(target=question.target)
    with _Recorder(seen):
        seen.output = question.module(batch)
    return seen


class _Recorder(TorchFunctionMode):
    """Record the attention of every layer while the mode is on."""

    def __init__(self, seen: _Seen) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return self._attention(*args, **given)
        if func in _SOFTMAX:
            return self._softmax(func, *args, **given)
        if func is _MULTI_HEAD:
            with self._inside():
                return func(*args, **given)
        found = func(*args, **given)
        if getattr(func, "__name__", "") == "conv2d":
            self._seen.maps.append((found.shape[-2], found.shape[-1]))
        return found

    @contextmanager
    def _inside(self) -> Iterator[None]:
        softmax = functional.softmax

        def recorded(*args: Any, **kwargs: Any) -> Tensor:
            return self._softmax(softmax, *args, **kwargs)

        with patch.multiple(functional, scaled_dot_product_attention=self._attention, softmax=recorded):
            yield

    def _softmax(self, func: Callable[..., Tensor], scores: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        weights = func(scores, *args, **kwargs)
        if scores.dim() >= 3:
            self._keep(scores, weights)
        return weights

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Compute what torch's fused attention computes, by its definition in the documentation of torch."""
        if enable_gqa:
            key, value = (each.repeat_interleave(query.shape[-3] // each.shape[-3], -3) for each in (key, value))
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attn_mask is not None:
            hidden = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -math.inf) if hidden else scores + attn_mask
        weights = scores.softmax(dim=-1)
        self._keep(scores, weights)
        return weights @ value

    def _keep(self, scores: Tensor, weights: Tensor) -> None:
        if self._seen.scores is None:
            self._seen.scores = scores
        self._seen.weights.append(weights)


def _matrix(weights: Tensor) -> Tensor:
    """Return the attention of one layer, (heads, N, N). Three axes are what torch's multi-head attention has."""
    if weights.dim() > 4 or (weights.dim() == 4 and weights.shape[0] != 1):
        raise _refusal(f"it attends within windows of the image (attention of shape {tuple(weights.shape)})")
    if weights.shape[-1] != weights.shape[-2]:
        shape = f"{weights.shape[-2]} tokens to {weights.shape[-1]}"
        raise _refusal(f"a layer attends from {shape}, so that tokens are pooled or merged on the way")
    return weights[0] if weights.dim() == 4 else weights


def _grid(patches: int, maps: Sequence[tuple[int, int]], batch: Tensor) -> tuple[int, int]:
    """Return rows and columns of the patches: those of a convolution's output, or else of the shape of the input."""
    fitting = [each for each in maps if each[0] * each[1] == patches]
    if fitting:
        return fitting[-1]
    height, width = batch.shape[-2:]
    rows = math.isqrt(patches * height // width)
    if rows and patches % rows == 0 and rows * width == patches // rows * height:
        return rows, patches // rows
    raise _refusal(f"{patches} of its tokens depend on the image, and they form no grid over {height}x{width} pixels")
