"""The settings of torch that change how numbers are computed, for the whole process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Where torch keeps the precision of single-precision arithmetic since 2.9; a node leaves to the one above it what is
# `none` in it.
_NODES = ("", "cuda.matmul", "cudnn", "cudnn.conv", "cudnn.rnn", "mkldnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")
_FLAGS = (
    "cuda.matmul.allow_tf32",
    "cuda.matmul.allow_fp16_reduced_precision_reduction",
    "cuda.matmul.allow_bf16_reduced_precision_reduction",
    "cudnn.allow_tf32",
    "cudnn.benchmark",
    "cudnn.deterministic",
    "cudnn.enabled",
    "mkldnn.enabled",
)


@dataclass(frozen=True)
class _Setting:
    """One setting: its name as code writes it, and the functions that read and set it."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]


def arithmetic() -> Mapping[str, Any]:
    """Return the settings of arithmetic by name, in the order in which to set them.

    What torch does not have, or does not tell, is left out: it refuses to read an old setting after a new one was set.
    """
    found = {}
    for each in _settings():
        try:
            found[each.name] = each.get()
        except (AttributeError, RuntimeError):
            continue
    return found


def restore_arithmetic(before: Mapping[str, Any]) -> list[str]:
    """Set the settings that differ from `before` back, and return their names."""
    now = arithmetic()
    changed = [name for name, value in before.items() if name not in now or now[name] != value]
    if changed:
        # All are set, because setting one changes others.
        for each in _settings():
            if each.name in before:
                each.put(before[each.name])
        # Where torch no longer tells the older setting, because newer ones were set after it, it is set once more.
        products = _of_products()
        if products.name in before and products.name not in arithmetic():
            products.put(before[products.name])
    return changed


def _settings() -> Iterator[_Setting]:
    import torch

    yield _Setting("torch.set_num_threads", torch.get_num_threads, torch.set_num_threads)
    yield _of_products()
    for path in _FLAGS:
        yield _attribute(path)
    for node in _NODES:
        yield _attribute(f"{node}.fp32_precision".lstrip("."))


def _of_products() -> _Setting:
    import torch

    return _Setting(
        "torch.set_float32_matmul_precision",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    )


def _attribute(path: str) -> _Setting:
    import torch

    *owners, name = path.split(".")

    def owner() -> Any:
        found: Any = torch.backends
        for each in owners:
            found = getattr(found, each)
        return found

    return _Setting(
        f"torch.backends.{path}", lambda: getattr(owner(), name), lambda value: setattr(owner(), name, value)
    )
