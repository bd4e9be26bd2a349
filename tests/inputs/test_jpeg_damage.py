"""A JPEG whose data is damaged is told, whatever Pillow makes of it."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images import damage, heard, jpeg_damage
from xai_eval.inputs.images.decode import decode

PIXELS = np.random.RandomState(0).randint(0, 256, (12, 12, 3)).astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)


def jpeg(**options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, "JPEG", quality=80, **options)
    return out.getvalue()


def rows_wrong(found: np.ndarray, sound: np.ndarray) -> int:
    return int((np.abs(found.astype(int) - sound).max(axis=(1, 2)) > 40).sum())


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
def test_most_damage_that_spoils_an_image_is_told(tmp_path: Path, options: dict[str, object]) -> None:
    whole, path, dice = jpeg(**options), tmp_path / "a.jpg", random.Random(0)
    path.write_bytes(whole)
    sound = decode(path).pixels
    data = range(whole.index(b"\xff\xda") + 14, len(whole) - 2)
    silent = 0
    for _ in range(60):
        damaged = bytearray(whole)
        at = dice.choice(data)
        damaged[at : at + 8] = bytes(dice.randrange(255) for _ in range(8))
        path.write_bytes(damaged)
        try:
            decoded = decode(path)
        except InputUnavailable as error:
            assert "damaged" in str(error) and str(path) in str(error)
            continue
        silent += rows_wrong(decoded.pixels, sound) > 40
    # Damage that libjpeg decodes without a doubt cannot be told from an image.
    assert silent <= 6


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 2}])
def test_a_sound_image_has_no_note(tmp_path: Path, options: dict[str, object]) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(**options))
    assert decode(tmp_path / "a.jpg").notes == ()


def test_data_that_nobody_asked_for_is_a_sign_of_damage(tmp_path: Path) -> None:
    whole = jpeg()
    (tmp_path / "a.jpg").write_bytes(whole[:-2] + bytes(range(1, 100)) + whole[-2:])
    with pytest.raises(InputUnavailable, match=r"extraneous bytes before marker 0xd9.*save it again if it looks right"):
        decode(tmp_path / "a.jpg")


def test_careless_but_sound_data_is_a_note(tmp_path: Path) -> None:
    whole = bytearray(jpeg())
    whole[whole.index(b"\xff\xda") + 12] = 0  # the end of the spectrum, which a sequential JPEG does not need
    (tmp_path / "a.jpg").write_bytes(whole)
    assert "libjpeg warns (Invalid SOS parameters" in decode(tmp_path / "a.jpg").notes[0]


def test_a_warning_that_comes_first_does_not_hide_damage(tmp_path: Path) -> None:
    whole = bytearray(jpeg())
    whole[11] = 9  # a version of JFIF that libjpeg warns of; it tells only its first warning
    middle = whole.index(b"\xff\xda") + (len(whole) - whole.index(b"\xff\xda")) // 2
    (tmp_path / "a.jpg").write_bytes(bytes(whole[:middle]) + b"\xff\xd9")
    with pytest.raises(InputUnavailable, match="truncated or damaged"):
        decode(tmp_path / "a.jpg")


def test_what_others_write_to_standard_error_meanwhile_still_arrives(capfd) -> None:
    said = heard.heard(
        lambda: os.write(2, b"a line of somebody else\nCorrupt JPEG data: 3 bytes\n"), jpeg_damage._WARNING
    )
    assert said is not None and b"Corrupt" in said
    assert capfd.readouterr().err == "a line of somebody else\n"


def test_where_libjpeg_is_silent_it_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(jpeg_damage, "_libjpeg_speaks", lambda: False)
    monkeypatch.setattr(damage, "_SOUND", {})
    (tmp_path / "a.jpg").write_bytes(jpeg())
    assert "not checked for damage" in decode(tmp_path / "a.jpg").notes[0]
