from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.probes.label_maps import check_aspect, listed, read_indices, read_red_green


def png(path: Path, ids: np.ndarray, depth: int, colour_type: int = 0, palette: bytes = b"") -> Path:
    """Write a PNG of one channel by hand, as the PNG specification has it: Pillow writes no gray of 2 and 4 bits."""
    bits = np.unpackbits(ids.astype(">u2")[:, :, None].view(np.uint8), axis=2)[:, :, 16 - depth :]
    rows = np.packbits(bits.reshape(len(ids), -1), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], depth, colour_type, 0, 0, 0))]
    chunks += [(b"PLTE", palette)] if palette else []
    chunks += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def ids_up_to(largest: int) -> np.ndarray:
    return np.random.RandomState(0).randint(0, largest + 1, (18, 21))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_gray_of_any_depth_gives_the_numbers_stored(tmp_path: Path, depth: int) -> None:
    ids = ids_up_to(2**depth - 1)
    read = read_indices(png(tmp_path / "a.png", ids, depth))
    assert read.dtype == np.int32
    assert np.array_equal(read, ids)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_give_the_indices_and_not_the_colours(tmp_path: Path, depth: int) -> None:
    ids = ids_up_to(2**depth - 1)
    palette = np.random.RandomState(1).randint(0, 256, (2**depth, 3)).astype(np.uint8).tobytes()
    assert np.array_equal(read_indices(png(tmp_path / "a.png", ids, depth, colour_type=3, palette=palette)), ids)


def test_what_pillow_writes_is_read(tmp_path: Path) -> None:
    ids = ids_up_to(200).astype(np.uint8)
    for name, image in (("gray", Image.fromarray(ids)), ("palette", Image.fromarray(ids))):
        if name == "palette":
            image.putpalette([value % 256 for value in range(7, 775)])
        image.save(tmp_path / f"{name}.png", transparency=3)
        assert np.array_equal(read_indices(tmp_path / f"{name}.png"), ids)
    Image.fromarray(ids.astype(np.uint16) * 300).save(tmp_path / "deep.png")
    assert np.array_equal(read_indices(tmp_path / "deep.png"), ids.astype(int) * 300)


def test_red_and_green_make_a_number(tmp_path: Path) -> None:
    numbers = ids_up_to(65_535)
    pixels = np.stack([numbers % 256, numbers // 256, np.full_like(numbers, 9)], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_red_green(tmp_path / "a.png")
    assert read.dtype == np.int32
    assert np.array_equal(read, numbers)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colours_are_no_class_ids(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(InputUnavailable, match=rf"a\.png is a PNG of mode {mode}; expected a PNG with class ids"):
        read_indices(tmp_path / "a.png")


def test_what_loses_values_is_refused(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(InputUnavailable, match="is a JPEG of mode L; expected a PNG"):
        read_indices(tmp_path / "a.png")
    with pytest.raises(
        InputUnavailable, match="is a JPEG of mode L; expected a PNG with label numbers in red and green"
    ):
        read_red_green(tmp_path / "a.png")


@pytest.mark.parametrize("read", [read_indices, read_red_green])
def test_broken_files_are_named(tmp_path: Path, read: object) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(InputUnavailable, match=r"a\.png does not exist"):
        read(path)  # type: ignore[operator]
    Image.fromarray(np.random.RandomState(0).randint(0, 9, (40, 40, 3)).astype(np.uint8)).convert(
        "L" if read is read_indices else "RGB"
    ).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputUnavailable, match=r"a\.png is truncated or damaged"):
        read(path)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("labels", "image"),
    [
        ((360, 480), (360, 480)),
        ((180, 240), (360, 480)),
        ((720, 960), (360, 480)),
        ((112, 112), (224, 224)),
        ((113, 113), (227, 227)),
        ((167, 250), (333, 500)),
        ((166, 250), (333, 500)),
        ((48, 64), (375, 500)),
    ],
)
def test_labels_of_the_same_aspect(labels: tuple[int, int], image: tuple[int, int]) -> None:
    check_aspect("here", labels, image)


def test_any_scaling_with_any_rounding_is_the_same_aspect() -> None:
    dice = np.random.RandomState(0)
    for _ in range(500):
        image = tuple(dice.randint(16, 900, 2).tolist())
        scale = dice.uniform(0.05, 4)
        rounding = [dice.choice([np.floor, np.rint, np.ceil]) for _ in range(2)]
        labels = tuple(int(turn(side * scale)) for turn, side in zip(rounding, image, strict=True))
        # Each side is off by less than 1: |e1 w - e2 h| stays below the longer side unless both are off in opposite
        # directions.
        if rounding[0] is rounding[1]:
            check_aspect("here", labels, image)


@pytest.mark.parametrize(
    ("labels", "image"),
    [((480, 360), (360, 480)), ((360, 484), (360, 480)), ((112, 112), (112, 150)), ((240, 240), (360, 480))],
)
def test_labels_of_another_aspect(labels: tuple[int, int], image: tuple[int, int]) -> None:
    told = f"here: labels of {labels[1]} x {labels[0]} pixels for an image of {image[1]} x {image[0]}; expected"
    with pytest.raises(InputUnavailable, match=told):
        check_aspect("here", labels, image)


def test_numbers_are_listed_once_and_not_all() -> None:
    assert listed(np.array([[3, 1], [3, 1]], dtype=np.int32)) == "1, 3"
    assert listed(np.arange(9, dtype=np.int32)) == "0, 1, 2, 3, 4, 5, ..."
