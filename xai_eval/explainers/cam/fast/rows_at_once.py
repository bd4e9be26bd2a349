"""How many images to compute at once: on a GPU as many as fit beside what it holds, found once per model and device."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

# Half of the library's batch size. At 224 px the largest tensors of a ResNet then stay below 32 MB on a CPU; for larger
# ones the allocator asks the system for new memory each time, which is slow.
ON_CPU = 8
# Of small images, more are computed at once: the last layers read as many weights for 8 images as for 32.
_PIXELS_ON_CPU = ON_CPU * 224 * 224
_MOST_ON_CPU = 32
_MOST = 256
# A pass may need more than was measured: libraries of GPUs choose other algorithms for larger batches.
_SHARE = 0.5

_found: WeakKeyDictionary[nn.Module, dict[tuple[str, tuple[int, ...]], int]] = WeakKeyDictionary()


def rows_at_once(model: nn.Module, image: Tensor, reserved: int = 0) -> int:
    """Return how many copies of an image the model is to compute at once: 8 to 32, or as many as fit on a GPU.

    Args:
        model: the model.
        image: the prepared image, (1, 3, H, W), on the device of the model.
        reserved: bytes of the device that are needed for something else.
    """
    if image.device.type != "cuda":
        pixels = image.shape[-2:].numel()
        return next((rows for rows in (_MOST_ON_CPU, 16) if rows * pixels <= _PIXELS_ON_CPU), ON_CPU)
    known, key = _found.setdefault(model, {}), (str(image.device), tuple(image.shape[1:]))
    if key not in known:
        needed = _bytes_per_row(model, image)
        known[key] = rows_that_fit(_free(image.device) - reserved, needed)
    return known[key]


def fewer_rows(model: nn.Module, image: Tensor) -> int:
    """Return half of what `rows_at_once` has found, because it did not fit, and let that hold from now on."""
    known, key = _found[model], (str(image.device), tuple(image.shape[1:]))
    known[key] = max(ON_CPU, known[key] // 2)
    return known[key]


def rows_that_fit(free: int, needed: int) -> int:
    """Return the largest power of 2, from `ON_CPU` to 256, of which half of the free memory holds all rows.

    Args:
        free: free memory in bytes.
        needed: bytes for each row.
    """
    rows = _MOST
    while rows > ON_CPU and rows * needed > _SHARE * free:
        rows //= 2
    return rows


def _free(device: torch.device) -> int:
    """Return the free bytes of a GPU, with those that torch keeps for later: it gives them back before it fails."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def _bytes_per_row(model: nn.Module, image: Tensor) -> int:
    device = image.device
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    with torch.no_grad():
        model(image.expand(ON_CPU, -1, -1, -1).contiguous())
    return max(1, (torch.cuda.max_memory_allocated(device) - before) // ON_CPU)
