"""Images are read as their own tags say, whatever Pillow makes of them: compared with numbers written by hand."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.decode import decode

HEIGHT, WIDTH = 20, 24
RAMP = np.add.outer(np.arange(HEIGHT) * 6, np.arange(WIDTH) * 5).astype(np.uint8)
COLOURS = np.stack([RAMP, 255 - RAMP, RAMP[::-1]], axis=2)


def put_tiff(path: Path, values: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, values, metadata=None, **options)
    return path


def set_tag(path: Path, tag: int, *values: int) -> Path:
    """Write the values of a short tag that the file has."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[tag].overwrite(values if len(values) > 1 else values[0])
    return path


def grey(path: Path) -> np.ndarray:
    pixels = decode(path).pixels
    assert (pixels == pixels[:, :, :1]).all()
    return pixels[:, :, 0]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("white", ["miniswhite", "minisblack"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.int16])
def test_grey_of_any_depth_is_scaled_and_inverted_by_its_tags(tmp_path: Path, kind, white, compression) -> None:
    full = np.iinfo(kind).max
    values = np.linspace(0, full, HEIGHT * WIDTH).astype(kind).reshape(HEIGHT, WIDTH)
    path = put_tiff(tmp_path / "a.tif", values, photometric=white, compression=compression)
    share = values.astype(np.float64) / full
    expected = np.rint(255 * (1 - share if white == "miniswhite" else share))
    assert np.abs(grey(path) - expected).max() <= (0 if kind == np.uint8 else 1)
    assert ("inverted" in " ".join(decode(path).notes)) == (white == "miniswhite" and kind != np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_inverted_too(tmp_path: Path, bits: int) -> None:
    values = (RAMP >> (8 - bits)).astype(np.uint8)
    packed = np.packbits(np.unpackbits(values[:, :, None], axis=2)[:, :, -bits:].reshape(HEIGHT, -1), axis=1)
    for photometric, sign in ((0, -1), (1, 1)):
        tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: photometric, 277: 1, 278: HEIGHT, 279: packed.size}
        entries = [struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items()]
        entries.insert(5, struct.pack("<HHII", 273, 4, 1, 8 + 2 + 12 * 9 + 4))
        whole = b"II*\0" + struct.pack("<IH", 8, 9) + b"".join(entries) + bytes(4) + packed.tobytes()
        (tmp_path / "a.tif").write_bytes(whole)
        expected = values.astype(float) * 255 / (2**bits - 1)
        assert np.array_equal(grey(tmp_path / "a.tif"), np.rint(expected if sign > 0 else 255 - expected))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bits_of_colour_give_their_upper_half_in_any_layout(tmp_path: Path, planar, compression) -> None:
    values = np.random.RandomState(0).randint(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    stored = values if planar == "contig" else np.moveaxis(values, -1, 0)
    path = put_tiff(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, compression=compression, byteorder=">"
    )
    decoded = decode(path)
    assert np.array_equal(decoded.pixels, values >> 8)
    assert decoded.notes == ("16-bit colour taken as 8 bit: the upper half of each number",)


def test_alpha_beside_sixteen_bits_is_put_on_white(tmp_path: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH, 4), np.uint16)
    values[..., 0] = 200 * 257
    values[: HEIGHT // 2, :, 3] = 65535
    values[:, : WIDTH // 2, 1] = 99 * 257
    path = put_tiff(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    pixels = decode(path).pixels
    assert tuple(pixels[0, 0]) == (200, 99, 0) and tuple(pixels[-1, -1]) == (255, 255, 255)
    assert decode(path).notes[-1] == "transparency composited on white"


def test_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    for kind, full in ((np.uint8, 255), (np.uint16, 65535)):
        values = np.zeros((HEIGHT, WIDTH, 4), kind)
        values[..., 0], values[..., 3] = full // 5, full * 2 // 5  # half of red, 40 % opaque
        path = put_tiff(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["assocalpha"])
        assert np.abs(decode(path).pixels[0, 0].astype(int) - (204, 153, 153)).max() <= 2


def test_a_channel_without_a_name_is_left_out_and_told(tmp_path: Path) -> None:
    values = np.concatenate([COLOURS, RAMP[:, :, None]], axis=2)
    path = put_tiff(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unspecified"])
    decoded = decode(path)
    assert np.array_equal(decoded.pixels, COLOURS)
    assert decoded.notes == ("1 further channels, whose meaning the file does not name, left out",)


def test_twelve_bits_that_a_tag_names_are_scaled_by_it(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    unsaid = put_tiff(tmp_path / "unsaid.tif", values)
    said = put_tiff(tmp_path / "said.tif", values, extratags=[(281, "H", 1, 4095, True)])
    assert np.array_equal(grey(said), np.rint(values / 4095 * 255))
    assert np.array_equal(grey(unsaid), np.rint(values / 257))
    assert "its values reach only from 0 to 4095 of 65535; it was not brightened" in decode(unsaid).notes
    assert not any("reach only" in note for note in decode(said).notes)


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [
        (RAMP.astype(np.float32) / 255, {}, "floating-point pixels of 32 bits"),
        (COLOURS.astype(np.float16), {"photometric": "rgb"}, "floating-point pixels of 16 bits"),
        (RAMP.astype(np.float64), {}, "floating-point pixels of 64 bits"),
        (RAMP.astype(np.int16) - 50, {}, "16-bit values from -50"),
        (RAMP.astype(np.int8) - 20, {}, "8-bit values from -"),
        (RAMP.astype(np.uint16), {}, "nothing could be seen"),
        (np.stack([RAMP] * 5, axis=2), {"photometric": "minisblack", "planarconfig": "contig"}, "5 samples per pixel"),
        (RAMP.astype(np.complex64), {}, "complex pixels"),
    ],
)
def test_pixels_without_a_known_range_are_refused_for_the_true_reason(tmp_path, values, options, reason) -> None:
    path = put_tiff(tmp_path / "a.tif", values, **options)
    with pytest.raises(InputUnavailable, match=reason):
        decode(path)


def test_sixteen_bit_colours_that_would_turn_black_are_refused(tmp_path: Path) -> None:
    body = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOURS))
    (tmp_path / "a.png").write_bytes(png(16, 2, body))
    with pytest.raises(InputUnavailable, match="from 0 to 255 of 65535, which become the 8-bit levels 0 to 0"):
        decode(tmp_path / "a.png")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth: int, colour: int, body: bytes, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_grey_value_that_is_transparent_at_any_depth(tmp_path: Path, depth: int) -> None:
    full = 2**depth - 1
    values = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) % (min(full, 200) + 1) * (257 if depth == 16 else 1)
    if depth < 8:
        bits = np.unpackbits(values.astype(np.uint8)[:, :, None], axis=2)[:, :, -depth:].reshape(HEIGHT, -1)
        rows = [row.tobytes() for row in np.packbits(bits, axis=1)]
    else:
        rows = [row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in values]
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    through = int(values[0, 1])
    (tmp_path / "a.png").write_bytes(png(depth, 0, body, chunk(b"tRNS", struct.pack(">H", through))))
    expected = np.where(values == through, 255, np.rint(values * 255 / full))
    assert np.array_equal(grey(tmp_path / "a.png"), expected)
    assert decode(tmp_path / "a.png").notes[-1] == "transparency composited on white"


def test_a_16_bit_colour_that_is_transparent_is_compared_whole(tmp_path: Path) -> None:
    values = COLOURS.astype(np.uint16) * 256 + 7
    values[0, 1] = values[0, 0] + 1  # differs in the lower half alone
    body = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))
    through = chunk(b"tRNS", struct.pack(">3H", *values[0, 0].tolist()))
    (tmp_path / "a.png").write_bytes(png(16, 2, body, through))
    expected = np.where((values == values[0, 0]).all(axis=2)[:, :, None], 255, values >> 8)
    assert np.array_equal(decode(tmp_path / "a.png").pixels, expected)


@pytest.mark.parametrize("maximum", [1, 100, 255, 4095, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_pnm_is_scaled_by_the_maximum_that_it_names(tmp_path: Path, maximum: int, plain: bool) -> None:
    values = np.linspace(0, maximum, HEIGHT * WIDTH).astype(np.int64).reshape(HEIGHT, WIDTH)
    head = f"P{2 if plain else 5}\n# made by hand\n{WIDTH} {HEIGHT}\n{maximum}\n".encode()
    binary = values.astype(">u2" if maximum > 255 else np.uint8).tobytes()
    body = " ".join(map(str, values.ravel())).encode() if plain else binary
    (tmp_path / "a.pgm").write_bytes(head + body)
    assert np.abs(grey(tmp_path / "a.pgm") - values * 255 / maximum).max() <= 1


def test_cmyk_is_taken_as_inverted_and_it_is_told_if_adobe_does_not_say_so(tmp_path: Path) -> None:
    image = Image.new("CMYK", (64, 64), (0, 200, 100, 30))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=100)
    whole = out.getvalue()
    start = whole.index(b"\xff\xee")
    without = whole[:start] + whole[start + 2 + int.from_bytes(whole[start + 2 : start + 4]) :]
    (tmp_path / "adobe.jpg").write_bytes(whole)
    (tmp_path / "plain.jpg").write_bytes(without)
    cyan, magenta, yellow, black = 0, 200, 100, 30
    expected = [(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)]
    for name, notes in (("adobe", 1), ("plain", 2)):
        decoded = decode(tmp_path / f"{name}.jpg")
        assert np.abs(decoded.pixels.reshape(-1, 3) - expected).max() <= 4 and len(decoded.notes) == notes
    assert "CMYK without Adobe's mark taken as inverted" in decoded.notes[0]


def test_a_profile_is_told_with_what_it_would_change_unless_it_is_srgb(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "srgb.png", icc_profile=srgb)
    image.save(tmp_path / "lab.png", icc_profile=b"not a profile")
    assert decode(tmp_path / "srgb.png").notes == ()
    assert decode(tmp_path / "lab.png").notes == ("its ICC profile could not be read and is not applied",)
    Image.fromarray(RAMP).save(tmp_path / "grey.png", icc_profile=grey_profile(gamma=1.0))
    (note,) = decode(tmp_path / "grey.png").notes[1:]
    assert "not applied, as in torchvision's ImageFolder: it would change colours by up to" in note


def grey_profile(gamma: float) -> bytes:
    """A grey ICC profile of version 2 with one curve, written by hand (ICC.1:2001-04)."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(4 + 4 + 2 + 1 + 67)
    name += bytes(-len(name) % 4)
    at, table, body = 128 + 4 + 3 * 12, b"", b""
    for tag, data in ((b"kTRC", curve), (b"wtpt", white), (b"desc", name)):
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    size = struct.pack(">I", at + len(body))
    head = size + bytes(4) + b"\2\x10\0\0" + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28)
    return (head + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0") + struct.pack(">I", 3) + table + body


def test_a_gain_map_and_a_gamma_are_told(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(COLOURS).save(out, "JPEG")
    whole, told = out.getvalue(), b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version='1.0'/>"
    (tmp_path / "a.jpg").write_bytes(whole[:2] + b"\xff\xe1" + struct.pack(">H", len(told) + 2) + told + whole[2:])
    assert decode(tmp_path / "a.jpg").notes == ("gain map not applied: the image for usual screens is taken",)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in COLOURS))
    (tmp_path / "a.png").write_bytes(png(8, 2, body, chunk(b"gAMA", struct.pack(">I", 100_000))))
    assert decode(tmp_path / "a.png").notes == ("gamma 1 of the file not applied, as in torchvision's ImageFolder",)


def test_a_png_with_much_text_is_read(tmp_path: Path) -> None:
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in COLOURS))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(5_000_000)))
    (tmp_path / "a.png").write_bytes(png(8, 2, body, text))
    decoded = decode(tmp_path / "a.png")
    assert np.array_equal(decoded.pixels, COLOURS) and decoded.notes == ()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_png_with_a_changed_bit_is_never_read_as_another_image(tmp_path_factory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "bit.png"
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in COLOURS), 0)  # stored, so that any byte is data
    whole = bytearray(png(8, 2, body))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    try:
        assert np.array_equal(decode(path).pixels, COLOURS)
    except InputUnavailable as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("white", [0, 1])
def test_packed_twelve_bits(tmp_path: Path, white: int) -> None:
    values = RAMP.astype(np.int64) * 16
    pairs = values.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
    tags = {256: WIDTH, 257: HEIGHT, 258: 12, 259: 1, 262: white, 277: 1, 278: HEIGHT, 279: packed.size}
    entries = [struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items()]
    entries.insert(5, struct.pack("<HHII", 273, 4, 1, 8 + 2 + 12 * 9 + 4))
    whole = b"II*\0" + struct.pack("<IH", 8, 9) + b"".join(entries) + bytes(4) + packed.astype(np.uint8).tobytes()
    (tmp_path / "a.tif").write_bytes(whole)
    share = values / 4095
    assert np.array_equal(grey(tmp_path / "a.tif"), np.rint(255 * (share if white else 1 - share)))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("white", ["miniswhite", "minisblack"])
def test_alpha_beside_grey_is_not_inverted(tmp_path: Path, kind, white: str) -> None:
    full = int(np.iinfo(kind).max)
    values = np.stack([RAMP.astype(kind) * (full // 255), np.full(RAMP.shape, full, kind)], axis=2)
    values[0, :, 1] = 0
    path = put_tiff(tmp_path / "a.tif", values, photometric=white, extrasamples=["unassalpha"], planarconfig="contig")
    expected = 255 - RAMP if white == "miniswhite" else RAMP.copy()
    expected[0] = 255
    assert np.array_equal(grey(path), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_of_either_order_and_size_of_offsets(tmp_path: Path, order: str, big: bool) -> None:
    values = COLOURS.astype(np.uint16) * 257
    path = put_tiff(tmp_path / "a.tif", values, photometric="rgb", byteorder=order, bigtiff=big)
    assert np.array_equal(decode(path).pixels, COLOURS)
    tifffile.imwrite(path, np.stack([values, values]), photometric="rgb", byteorder=order, bigtiff=big, metadata=None)
    assert decode(path).notes[0] == "first of 2 frames taken"


def test_orientations_in_texts_of_a_png_are_known(tmp_path: Path) -> None:
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in COLOURS))
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    text = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode()
    texts = (
        chunk(b"tEXt", b"Raw profile type exif\0" + text),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
        chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
        chunk(b"eXIf", exif[6:]),
    )
    for each in texts:
        (tmp_path / "a.png").write_bytes(png(8, 2, body, chunk(b"tEXt", b"Comment\0x"), each))
        with Image.open(tmp_path / "a.png") as image:
            assert image.getexif()[0x0112] == 6
        assert decode(tmp_path / "a.png").orientation == 6


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339]),
        st.tuples(
            st.sampled_from([1, 3, 4, 5, 12, 16]), st.sampled_from([0, 1, 3, 70_000, 2**32 - 1]), st.integers(0, 70_000)
        ),
        max_size=6,
    )
)
def test_any_tags_of_a_tiff_lead_to_an_image_or_to_an_error_that_names_it(tmp_path_factory, changed) -> None:
    path = tmp_path_factory.getbasetemp() / "tags.tif"
    tags = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 1, 277: 1, 278: HEIGHT, 279: RAMP.size}
    entries = {**{tag: (3, 1, value) for tag, value in tags.items()}, 273: (4, 1, 400), **changed}
    packed = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(entries.items()))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    path.write_bytes(head.ljust(400, b"\0") + RAMP.tobytes())
    try:
        pixels = decode(path).pixels
    except InputUnavailable as error:
        assert str(path) in str(error)
    else:
        assert pixels.shape[2] == 3 and pixels.dtype == np.uint8
