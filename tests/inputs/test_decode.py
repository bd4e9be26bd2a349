from __future__ import annotations

import hashlib
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets.folder import pil_loader

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode


def noise(height: int = 40, width: int = 60, channels: int = 3) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (height, width, channels)).astype(np.uint8)


def smooth(mode: str) -> Image.Image:
    """A colour gradient, which every mode and codec can hold."""
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([x * 4, y * 5, 255 - x * 2], axis=2).astype(np.uint8)).convert(mode)


def png_header(width: int, height: int, filling: int = 0) -> bytes:
    """A PNG that announces its size and then holds next to nothing, but for so many bytes of an unknown block."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    unknown = chunk(b"abCd", bytes(filling))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + unknown + chunk(b"IDAT", zlib.compress(b"\0"))


def test_lossless_rgb_keeps_every_pixel_and_digests_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise()).save(path)
    decoded = decode(path)
    assert np.array_equal(decoded.pixels, noise())
    assert decoded.pixels.dtype == np.uint8
    assert decoded.notes == ()
    assert decoded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("mode", "suffix", "note"),
    [
        ("RGB", "jpg", ()),
        ("RGB", "webp", ()),
        ("L", "jpg", ("grayscale converted to RGB",)),
        ("L", "png", ("grayscale converted to RGB",)),
        ("1", "png", ("1-bit converted to RGB",)),
        ("P", "png", ("palette converted to RGB",)),
        ("CMYK", "jpg", ("CMYK converted to RGB",)),
        ("CMYK", "tif", ("CMYK converted to RGB",)),
    ],
)
def test_modes_are_read_as_imagefolder_reads_them(
    tmp_path: Path, mode: str, suffix: str, note: tuple[str, ...]
) -> None:
    path = tmp_path / f"a.{suffix}"
    smooth(mode).save(path)
    decoded = decode(path)
    assert decoded.notes == note
    assert np.array_equal(decoded.pixels, np.asarray(pil_loader(str(path))))


def test_exif_orientation_is_noted_and_not_applied_as_in_imagefolder(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth("RGB").save(path, exif=exif)
    decoded = decode(path)
    assert decoded.pixels.shape == (48, 64, 3)
    assert np.array_equal(decoded.pixels, np.asarray(pil_loader(str(path))))
    assert decoded.notes == ("EXIF orientation 6 not applied, as in torchvision's ImageFolder",)


def test_upright_exif_needs_no_note(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 1
    smooth("RGB").save(path, exif=exif)
    assert decode(path).notes == ()


def test_an_image_with_damaged_exif_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    smooth("RGB").save(path, exif=b"Exif\0\0not a TIFF header")
    assert decode(path).pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 64 * 48).round().astype(np.uint16).reshape(48, 64)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(values).save(path)
    decoded = decode(path)
    assert np.array_equal(decoded.pixels[:, :, 1], np.rint(values / 257).astype(np.uint8))
    assert (decoded.pixels == decoded.pixels[:, :, :1]).all()
    assert decoded.notes == ("16-bit grayscale scaled to 8 bit and converted to RGB",)


def test_32_bit_integers_within_16_bits_are_scaled_too(tmp_path: Path) -> None:
    values = np.full((20, 20), 65535, dtype=np.int32)
    values[0] = 0
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    assert Image.open(path).mode == "I"
    pixels = decode(path).pixels
    assert (pixels[0] == 0).all()
    assert (pixels[1:] == 255).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((20, 20), 70_000, dtype=np.int32), "32-bit values from 70000 to 70000"),
        (np.full((20, 20), -1, dtype=np.int32), "32-bit values from -1"),
        (np.full((20, 20), 0.5, dtype=np.float32), "floating-point pixels"),
    ],
)
def test_values_of_unknown_range_are_refused(tmp_path: Path, values: np.ndarray, message: str) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(InputUnavailable, match=message):
        decode(path)


def test_alpha_is_composited_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((20, 30, 4), dtype=np.uint8)
    rgba[:, :10] = (200, 0, 0, 255)
    rgba[:, 10:20] = (200, 0, 0, 0)
    rgba[:, 20:] = (200, 0, 0, 51)
    path = tmp_path / "a.png"
    Image.fromarray(rgba).save(path)
    decoded = decode(path)
    assert tuple(decoded.pixels[0, 0]) == (200, 0, 0)
    assert tuple(decoded.pixels[0, 10]) == (255, 255, 255)
    # 0.2 * colour + 0.8 * white
    assert tuple(decoded.pixels[0, 20]) == (244, 204, 204)
    assert decoded.notes == ("transparency composited on white",)


def test_alpha_beside_gray_is_composited_too(tmp_path: Path) -> None:
    gray = np.full((20, 20, 2), (90, 0), dtype=np.uint8)
    gray[:10, :, 1] = 255
    path = tmp_path / "a.png"
    Image.fromarray(gray, "LA").save(path)
    decoded = decode(path)
    assert tuple(decoded.pixels[0, 0]) == (90, 90, 90)
    assert tuple(decoded.pixels[19, 19]) == (255, 255, 255)
    assert decoded.notes == ("grayscale converted to RGB", "transparency composited on white")


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_transparent_colour_is_composited_too(tmp_path: Path, mode: str) -> None:
    image = smooth(mode)
    corner = image.getpixel((0, 0))
    path = tmp_path / "a.png"
    image.save(path, transparency=corner)
    decoded = decode(path)
    same = np.asarray(image).reshape(48, 64, -1) == np.asarray(image)[0, 0]
    expected = np.where(same.all(axis=2)[:, :, None], 255, np.asarray(image.convert("RGB")))
    assert np.array_equal(decoded.pixels, expected)
    assert tuple(decoded.pixels[0, 0]) == (255, 255, 255)
    assert decoded.notes[-1] == "transparency composited on white"


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    red, blue = Image.new("RGB", (20, 20), (255, 0, 0)), Image.new("RGB", (20, 20), (0, 0, 255))
    red.save(path, save_all=True, append_images=[blue, red.rotate(90)])
    decoded = decode(path)
    assert (decoded.pixels == (255, 0, 0)).all()
    assert "first of" in decoded.notes[0]


def test_the_format_counts_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "image.data"
    Image.fromarray(noise()).save(path, format="PNG")
    assert np.array_equal(decode(path).pixels, noise())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match=r"gone\.png does not exist"):
        decode(tmp_path / "gone.png")


def test_folder_instead_of_file(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match="cannot be read"):
        decode(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch()
    with pytest.raises(InputUnavailable, match=r"a\.png is empty \(0 bytes\)"):
        decode(path)


def test_text_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputUnavailable, match="not an image that Pillow can read"):
        decode(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_truncated_file(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise()).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputUnavailable, match=r"truncated or damaged|damaged header|not an image"):
        decode(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "webp", "ppm"])
def test_random_damage_is_either_decoded_or_reported(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    smooth("RGB").save(path)
    whole = path.read_bytes()
    dice = random.Random(0)
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(min(len(damaged), 400))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            outcomes.add(decode(path).pixels.shape[2])
        except InputUnavailable as error:
            assert str(path) in str(error)
            outcomes.add("reported")
    assert "reported" in outcomes


@pytest.mark.parametrize("size", [(1, 1), (15, 100), (100, 15)])
def test_too_small(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", size).save(path)
    with pytest.raises(InputUnavailable, match=f"is {size[0]} x {size[1]} pixels; expected at least 16"):
        decode(path)


def test_sixteen_pixels_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (16, 16)).save(path)
    assert decode(path).pixels.shape == (16, 16, 3)


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (20_000, 20_000), (200_000, 200_000)])
def test_too_large_is_known_from_the_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(width, height))
    with pytest.raises(InputUnavailable, match="expected at most 100 megapixels"):
        decode(path)


def test_a_small_file_that_would_take_much_memory_is_known_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(10_000, 9_900))
    with pytest.raises(
        InputUnavailable, match="10000 x 9900 pixels, which take 693 MB to decode; expected at most 268"
    ):
        decode(path)


@pytest.mark.parametrize(("width", "height"), [(400_000, 16), (16, 1_601), (3_201, 32)])
def test_a_strip_that_resizing_would_blow_up_is_known_from_the_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(width, height))
    with pytest.raises(InputUnavailable, match=f"is {width} x {height} pixels; expected one side at most 100 times"):
        decode(path)


def test_a_long_strip_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (1_600, 16)).save(path)
    assert decode(path).pixels.shape == (16, 1_600, 3)


def test_within_the_limit_pillow_does_not_warn(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(10_000, 9_900, filling=12_000_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputUnavailable, match="truncated or damaged"):
            decode(path)
