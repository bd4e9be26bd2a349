"""sRGB to CIE L*a*b* and back (IEC 61966-2-1, CIE 15:2004, white D65).

Tests compare it with scikit-image, which rooms that read results do not import.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
# Of the white that RGB (1, 1, 1) is, so that greys have no colour.
_WHITE = _TO_XYZ.sum(axis=1)
_KNEE = 6.0 / 29.0


def lab_of(rgb: _Floats) -> _Floats:
    """Return L* (0 to 100), a* and b* of sRGB colours in [0, 1], both of shape (..., 3)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.moveaxis(_root(linear @ _TO_XYZ.T / _WHITE), -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def rgb_of(lab: _Floats) -> _Floats:
    """Return sRGB colours in [0, 1]; what no screen shows is clipped."""
    y = (lab[..., 0] + 16.0) / 116.0
    xyz = _cube(np.stack([y + lab[..., 1] / 500.0, y, y - lab[..., 2] / 200.0], axis=-1)) * _WHITE
    linear = np.clip(xyz @ np.linalg.inv(_TO_XYZ).T, 0.0, 1.0)
    return np.asarray(np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055))


def _root(values: _Floats) -> _Floats:
    return np.where(values > _KNEE**3, np.cbrt(values), values / (3.0 * _KNEE**2) + 4.0 / 29.0)


def _cube(values: _Floats) -> _Floats:
    return np.where(values > _KNEE, values**3, 3.0 * _KNEE**2 * (values - 4.0 / 29.0))
