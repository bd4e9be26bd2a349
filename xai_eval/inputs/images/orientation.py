"""Turn images and masks as a viewer shows them. (EXIF 2.32, tag 0x0112.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)
UPRIGHT = 1
_TURNS: dict[int, Callable[[NDArray[_T]], NDArray[_T]]] = {
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.swapaxes(np.rot90(stored, 2), 0, 1),
    8: np.rot90,
}


def turned(stored: NDArray[_T], orientation: int) -> NDArray[_T]:
    """Return an image as a viewer shows it.

    Args:
        stored: (h, w) or (h, w, channels), as it is stored.
        orientation: 1 to 8, as in EXIF; 1 is upright.

    Returns:
        The same pixels; (w, h) or (w, h, channels) if the orientation is 5 or more.
    """
    return np.ascontiguousarray(_TURNS[orientation](stored)) if orientation in _TURNS else stored
