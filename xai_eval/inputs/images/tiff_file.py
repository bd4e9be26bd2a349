"""Take apart a TIFF: what decides the pixels of its first page, and whether its tags describe what can be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.images.budget import MOST_FRAMES, check_memory, check_size
from xai_eval.inputs.images.essence import LONGEST_PROFILE, Essence
from xai_eval.inputs.images.tiff_tags import Directory, count_pages, read_directory

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES = 256, 257, 258, 259, 262, 277
PLANAR, TILE_WIDTH, TILE_HEIGHT, EXTRA, SAMPLE_FORMAT, LARGEST_SAMPLE = 284, 322, 323, 338, 339, 281
_ORIENTATION, _SUBSAMPLING, _PROFILE, _STRIPS, _TILES = 274, 530, 34675, 273, 324
_ROWS_PER_STRIP, _STRIP_SIZES = 278, 279
_SMALLEST_TILE = 16
# Size, depth, compression and its tables, place of the data, palette, alpha, colour.
DECIDE = frozenset(
    {
        *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, 273, SAMPLES, 278, 279, PLANAR, 292, 293),
        *(317, 320, TILE_WIDTH, TILE_HEIGHT, 324, 325, 332, EXTRA, SAMPLE_FORMAT, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, _SUBSAMPLING, 531, 532),
    }
)
_KINDS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "untyped", 5: "complex", 6: "complex"}
_MOST_SAMPLES, _MOST_BITS = 64, 64


@dataclass(frozen=True)
class Layout:
    """How the pixels of a TIFF are stored.

    Attributes:
        width, height: in pixels.
        bits: of each sample; the largest if samples differ.
        samples: per pixel.
        photometric: what the samples mean, as the TIFF numbers it (0: gray, smallest is white; 1: gray; 2: RGB).
        kind: 1 unsigned, 2 signed, 3 floating point.
        planar: whether each channel is stored alone.
        extra: what samples beyond those of the colour mean (0 unknown, 1 premultiplied alpha, 2 alpha).
        compression: as the TIFF numbers it; 1 is none.
        largest: largest value of a sample that the file names, or else the depth allows.
    """

    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    kind: int
    planar: bool
    extra: tuple[int, ...]
    compression: int
    largest: int


def tiff_essence(path: Path, data: bytes) -> Essence:
    """Return what decides the pixels of the first page of a TIFF.

    Raises:
        InputUnavailable: the first directory is damaged, or describes pixels that cannot be read, or too many.
    """
    tags = read_directory(data)
    if tags is None:
        raise InputUnavailable(f"{path} has a damaged header (its list of tags is cut). Get the file again.")
    shape = layout(tags)
    check_size(path, shape.width, shape.height)
    _check_tiles(path, tags, shape)
    _check_kind(path, tags, shape)
    entry = tags.entries.get(_PROFILE)
    too_long = entry is not None and entry.count > LONGEST_PROFILE
    return Essence(
        tags.alone(DECIDE),
        frames=count_pages(tags, MOST_FRAMES + 1),
        orientation=tags.number(_ORIENTATION, 1) if 1 <= tags.number(_ORIENTATION, 1) <= 8 else 1,
        profile=None if entry is None else b"" if too_long else tags.bytes_of(_PROFILE),
        notes=(*_notes(shape), *_strip_notes(tags, shape)),
        library=shape.samples * max(1, shape.bits // 8),
        tags=tags,
    )


def layout(tags: Directory) -> Layout:
    """Read how the pixels of a TIFF are stored; what a tag does not say is as TIFF 6.0 says."""
    bits = min(max(tags.numbers(BITS) or (1,)), _MOST_BITS + 1)  # 2 to the power of what a file claims has no end
    kind = max(tags.numbers(SAMPLE_FORMAT) or (1,))
    most = 2 ** (bits - 1) - 1 if kind == 2 else 2**bits - 1
    named = tags.number(LARGEST_SAMPLE, most)
    return Layout(
        tags.number(WIDTH, 0),
        tags.number(HEIGHT, 0),
        bits,
        tags.number(SAMPLES, 1),
        tags.number(PHOTOMETRIC, 0),
        kind,
        tags.number(PLANAR, 1) == 2,
        tags.numbers(EXTRA),
        tags.number(COMPRESSION, 1),
        named if 255 < named < most else most,
    )


def _check_tiles(path: Path, tags: Directory, shape: Layout) -> None:
    """Refuse tiles that are larger than memory allows, whatever the size of the image."""
    width, height = tags.number(TILE_WIDTH, 0), tags.number(TILE_HEIGHT, 0)
    per_pixel = max(1, shape.samples * shape.bits // 8)
    if shape.samples > _MOST_SAMPLES or shape.bits > _MOST_BITS:
        raise InputUnavailable(
            f"{path} is a TIFF of {shape.samples} samples of {shape.bits} bits per pixel; expected gray or RGB, with "
            "or without alpha. Save the channels that show the image as an 8-bit PNG."
        )
    _check_pieces(path, tags, shape)
    check_memory(path, len(tags.data), width or shape.width, height or shape.height, per_pixel)


def _check_pieces(path: Path, tags: Directory, shape: Layout) -> None:
    """Refuse more strips than there are rows, or more tiles than there is room for: Pillow goes through all of them."""
    tiles = (shape.width // _SMALLEST_TILE + 1) * (shape.height // _SMALLEST_TILE + 1)
    for tag, most in ((_STRIPS, shape.height), (_TILES, tiles)):
        pieces = tags.entries[tag].count if tag in tags.entries else 0
        if pieces > most * max(1, shape.samples):
            raise InputUnavailable(
                f"{path} has a damaged header: a TIFF of {shape.width} x {shape.height} pixels cannot have {pieces:,} "
                "strips or tiles. Get the file again."
            )


def _check_kind(path: Path, tags: Directory, shape: Layout) -> None:
    """Refuse pixels whose meaning the tags leave open, or that nothing here reads as they are meant."""
    if shape.kind not in (1, 2, 4):
        raise InputUnavailable(
            f"{path} holds {_KINDS.get(shape.kind, 'unknown')} pixels of {shape.bits} bits, whose range is unknown; "
            "expected 8 or 16 bits per channel. Save it as an 8-bit PNG."
        )
    if shape.photometric == 6 and shape.samples == 1:
        return
    if shape.bits > 8 and shape.photometric in (3, 6, 8):
        raise InputUnavailable(
            f"{path} is a TIFF with a palette, in YCbCr or in Lab, of {shape.bits} bits; expected 8. Save it as PNG."
        )
    colours = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}.get(shape.photometric)
    if colours is None or not colours <= shape.samples <= colours + 3 or (colours == 1 and shape.samples > 2):
        raise InputUnavailable(
            f"{path} is a TIFF of {shape.samples} samples per pixel with the photometric interpretation "
            f"{shape.photometric}; expected gray, RGB, a palette, CMYK, YCbCr or Lab, with or without alpha. Save the "
            "channels that show the image as an 8-bit PNG."
        )
    subsampled = tags.numbers(_SUBSAMPLING) or (2, 2)
    if shape.photometric == 6 and shape.compression not in (6, 7) and shape.samples == 3 and subsampled != (1, 1):
        raise InputUnavailable(
            f"{path} is a TIFF in YCbCr whose colours are stored at a lower resolution, without JPEG; nothing here "
            "reads that. Save it as an 8-bit PNG."
        )


def _notes(shape: Layout) -> list[str]:
    unnamed = sum(meaning == 0 for meaning in shape.extra)
    return [f"{unnamed} further channels, whose meaning the file does not name, left out"] if unnamed else []


def _strip_notes(tags: Directory, shape: Layout) -> list[str]:
    """Say that a file names strips without compression shorter than their rows: readers take what follows them."""
    rows = min(tags.number(_ROWS_PER_STRIP, shape.height), shape.height)
    sizes = tags.numbers(_STRIP_SIZES)
    if shape.compression != 1 or not sizes or not rows:
        return []
    row = (shape.width * shape.bits * (1 if shape.planar else shape.samples) + 7) // 8
    strips = -(-shape.height // rows)
    wanted = (row * min(rows, shape.height - at % strips * rows) for at in range(len(sizes)))
    if all(size >= least for size, least in zip(sizes, wanted, strict=True)):
        return []
    return ["the file says that its strips are shorter than their rows; what follows them in the file was read as rows"]
