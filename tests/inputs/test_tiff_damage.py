"""A TIFF whose strips end before their last row is told, where Pillow takes what is missing for black."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images import damage, tiff_damage
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.heard import Heard
from xai_eval.inputs.images.tiff_tags import read_directory

PIXELS = np.random.RandomState(0).rand(32, 32) > 0.5
_STRIP_SIZES = 279


def tiff(kind: str, length: int | None = None) -> bytes:
    """A TIFF of one strip, of which only the first bytes are said to be there."""
    out = io.BytesIO()
    Image.fromarray(PIXELS if kind != "jpeg" else PIXELS.astype(np.uint8) * 255).save(out, "TIFF", compression=kind)
    whole = out.getvalue()
    tags = read_directory(whole)
    assert tags is not None
    new = struct.pack("<HHII", _STRIP_SIZES, 4, 1, tags.number(_STRIP_SIZES, 0) if length is None else length)
    return whole.replace(tags.entries[_STRIP_SIZES].raw, new)


@pytest.mark.parametrize("kind", ["tiff_ccitt", "group3", "group4", "jpeg"])
def test_a_strip_that_ends_anywhere_before_its_last_row_is_told(kind: str, tmp_path: Path) -> None:
    path, tags = tmp_path / "a.tif", read_directory(tiff(kind))
    assert tags is not None
    path.write_bytes(tiff(kind))
    assert not any("libtiff" in note for note in decode(path).notes)
    # The last bytes of a strip hold its end, not its rows.
    for length in range(1, tags.number(_STRIP_SIZES, 0) - 4, 5):
        path.write_bytes(tiff(kind, length))
        with pytest.raises(InputUnavailable, match="damaged"):
            decode(path)


@pytest.mark.parametrize("heard", [Heard(False, False, ()), Heard(True, False, ()), Heard(True, True, ())])
def test_where_libtiff_is_not_heard_it_is_said(heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_damage, "decoded_by_opencv", lambda *_: heard)
    monkeypatch.setattr(damage, "_SOUND", {})
    tiff_damage._libtiff_speaks.cache_clear()
    (tmp_path / "a.tif").write_bytes(tiff("group4"))
    assert "not checked for missing rows" in str(decode(tmp_path / "a.tif").notes)
    tiff_damage._libtiff_speaks.cache_clear()


def test_lines_of_others_are_not_taken_for_those_of_libtiff(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff("group4", 3))
    with pytest.raises(InputUnavailable, match="Fax4Decode"):
        decode(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""
