"""Let pytorch-grad-cam see the tensor of a layer that returns a tuple."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from xai_eval.inputs.models.layout import Layout


@contextmanager
def tensor_alone(layer: nn.Module, layout: Layout | None) -> Iterator[Callable[[], None]]:
    """Hand the first entry of a layer's tuple to hooks that are registered now, and the tuple to the model.

    Call the function that is yielded once all those hooks are registered: it lets the model get the tuple again.

    Args:
        layer: the layer.
        layout: how its output lies over the image; nothing is done unless it says that the output is wrapped.
    """
    if layout is None or not layout.wrapped:
        yield lambda: None
        return
    whole: list[Any] = []

    def unwrap(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        whole.append(output)
        tensor: Tensor = output[0]
        return tensor

    def wrap(_module: nn.Module, _inputs: Any, tensor: Tensor) -> Any:
        return type(whole[-1])((tensor, *whole.pop()[1:]))

    handles = [layer.register_forward_hook(unwrap)]
    try:
        yield lambda: handles.append(layer.register_forward_hook(wrap))
    finally:
        for handle in handles:
            handle.remove()
