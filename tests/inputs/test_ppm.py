"""Numbers of a PGM or PPM are scaled as Pillow scales them, unless they are larger than the file says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.ppm_file import read_scaled

SIDE = 16


@given(
    st.sampled_from([("P5", 1), ("P6", 3)]),
    st.sampled_from([1, 2, 7, 127, 254, 255, 256, 510, 1000, 4095, 65534, 65535]) | st.integers(1, 65535),
    st.integers(0, 9),
)
def test_numbers_become_what_pillow_makes_of_them(kind: tuple[str, int], largest: int, seed: int) -> None:
    values = np.random.RandomState(seed).randint(0, largest + 1, SIDE * SIDE * kind[1])
    values[:2] = 0, largest
    data = f"{kind[0]}\n# a comment\n{SIDE} {SIDE}\n{largest}\n".encode()
    data += values.astype(">u2" if largest > 255 else "u1").tobytes()
    found, _ = read_scaled(Path("a.ppm"), Image.open(io.BytesIO(data)), data)
    assert np.array_equal(np.asarray(found).astype(int), np.asarray(Image.open(io.BytesIO(data))).astype(int))


@given(st.integers(1, 254) | st.integers(256, 65534), st.integers(0, SIDE * SIDE - 1))
def test_one_number_that_is_too_large_is_an_error(largest: int, place: int) -> None:
    kind = np.dtype(">u2" if largest > 255 else "u1")
    values = np.zeros(SIDE * SIDE, kind)
    values[place] = largest + 1
    data = f"P5 {SIDE} {SIDE} {largest}\n".encode() + values.tobytes()
    with pytest.raises(InputUnavailable, match=f"the number {largest + 1}; expected at most {largest}"):
        read_scaled(Path("a.pgm"), Image.open(io.BytesIO(data)), data)
    with pytest.raises(InputUnavailable, match="last rows are missing"):
        read_scaled(Path("a.pgm"), Image.open(io.BytesIO(data)), data[:-1])
