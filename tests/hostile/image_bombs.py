"""Small image files that claim a lot of memory or time, tried in one process with little memory.

Run as a program with a folder: it makes each file in turn, reads it, and prints one line of JSON with what came of it.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hostile.reference_cost import cheapest
from PIL import Image

MEMORY = 300_000_000
SECONDS = 1.0


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, colour: int, body: bytes, *before: bytes) -> bytes:
    """A PNG of 8 bits per channel: `body` is its compressed data, `before` are further chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zero bytes as zlib compresses them, made without holding them."""
    piece, block = 1 << 20, zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = block.compress(bytes(piece)) + block.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = last.compress(bytes(count % piece)) + last.flush()
    return b"\x78\x9c" + packed * (count // piece) + end + struct.pack(">HH", count % 65521, 1)


def saved(kind: str, side: int = 64, **options: object) -> bytes:
    """A sound image of a colour gradient."""
    ramp = np.arange(side, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(90)), axis=-1)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def large_png() -> bytes:
    return png(10_000, 9_990, 6, zeros((10_000 * 4 + 1) * 9_990))


def large_jpeg() -> bytes:
    whole = bytearray(saved("JPEG"))
    at = whole.index(b"\xff\xc0") + 5
    whole[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(whole)


def many_scans() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (2048, 2048)).save(out, "JPEG", progressive=True)
    whole = out.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * 5_000 + whole[-2:]


def scans_of_a_large_image() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4000, 4000)).save(out, "JPEG", progressive=True)
    whole = out.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * 80 + whole[-2:]


def many_segments() -> bytes:
    whole = saved("JPEG")
    return whole[:2] + b"\xff\xfe\0\x02" * 2_000_000 + whole[2:]


def exif_of_many_parts() -> bytes:
    """EXIF data in segments that Pillow puts together, whose tags all claim the same large piece of it."""
    count, size = 20_000, 250_000
    tags = b"".join(struct.pack("<HHII", tag + 1, 7, size, 8) for tag in range(count))
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4 + size)
    whole, step = saved("JPEG"), 65_000
    parts = [exif[:step], *(b"Exif\0\0" + exif[at : at + step] for at in range(step, len(exif), step))]
    return whole[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts) + whole[20:]


def tiff(entries: dict[int, tuple[int, int, int]], data: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory at 8; `data` lies behind it. A tag has type, count, and value or offset."""
    packed = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", following) + data


GRAY = {
    256: (3, 1, 32),
    257: (3, 1, 32),
    258: (3, 1, 8),
    259: (3, 1, 1),
    262: (3, 1, 1),
    277: (3, 1, 1),
    273: (4, 1, 8),
    278: (3, 1, 32),
    279: (4, 1, 1024),
}


def many_pages() -> bytes:
    first = tiff(GRAY, following=2000).ljust(2000, b"\0")
    page = struct.pack("<HHHII", 1, 256, 3, 1, 32)
    pages = [page + struct.pack("<I", 2000 + 18 * (number + 1)) for number in range(100_000)]
    return first + b"".join(pages)


def tags_that_overlap() -> bytes:
    claims = dict.fromkeys(range(1000, 21000), (7, 900000, 8))
    return tiff({**GRAY, **claims}, bytes(900_000))


def one_large_tile() -> bytes:
    tiles = {322: (4, 1, 60_000), 323: (4, 1, 60_000), 324: (4, 1, 300), 325: (4, 1, 60_000)}
    rest = {tag: value for tag, value in GRAY.items() if tag not in (273, 278, 279)}
    return tiff({**rest, **tiles, 259: (3, 1, 8)}, bytes(200) + zeros(50_000_000))


def strip_of_lzw() -> bytes:
    return tiff({**GRAY, 256: (4, 1, 9_900), 257: (4, 1, 9_900), 259: (3, 1, 5), 278: (4, 1, 9_900)}, bytes(2000))


def many_strips() -> bytes:
    strips = {273: (4, 1_000_000, 122), 278: (3, 1, 1), 279: (4, 1_000_000, 122)}
    return tiff({**GRAY, **strips}, struct.pack("<I", 8) * 1_000_000)


def endless_bits() -> bytes:
    return tiff({**GRAY, 258: (4, 1, 2**31)}, bytes(1100))


def many_frames_gif() -> bytes:
    whole = saved("GIF", 16)
    at = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return whole[:at] + whole[at:-1] * 100_000 + b";"


def many_comments_gif() -> bytes:
    whole = saved("GIF")
    at = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return whole[:at] + (b"\x21\xfe\xff" + b"x" * 255 + b"\0") * 60_000 + whole[at:]


def many_frames_png() -> bytes:
    control = struct.pack(">IIIIIHHBB", 0, 64, 64, 0, 0, 1, 10, 0, 0)
    body = zlib.compress(bytes((64 * 3 + 1) * 64))
    frames = chunk(b"acTL", struct.pack(">II", 100_000, 0)) + chunk(b"fcTL", control)
    whole = png(64, 64, 2, body, frames)
    return whole[:-12] + chunk(b"fdAT", bytes(4)) * 100_000 + whole[-12:]


def many_frames_webp() -> bytes:
    def block(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    image = saved("WEBP", 16, lossless=True)[12:]
    place = bytes(6) + b"\x0f\0\0" * 2 + b"\x0a\0\0\0"
    canvas = block(b"VP8X", b"\x02\0\0\0" + b"\x0f\0\0" * 2) + block(b"ANIM", bytes(6))
    body = b"WEBP" + canvas + block(b"ANMF", place + image) * 100_000
    return b"RIFF" + struct.pack("<I", len(body)) + body


def large_canvas_webp() -> bytes:
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + (9_999).to_bytes(3, "little") * 2
    body = b"WEBP" + canvas + saved("WEBP", lossless=True)[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def icon(images: list[bytes], repeated: int = 1) -> bytes:
    """An icon; every image is listed `repeated` times."""
    count, out, at = len(images) * repeated, [], 6 + 16 * len(images) * repeated
    for image in images:
        out += [struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(image), at)] * repeated
        at += len(image)
    return struct.pack("<HHH", 0, 1, count) + b"".join(out) + b"".join(images)


def large_icon() -> bytes:
    return icon([png(9_000, 9_000, 6, zeros((9_000 * 4 + 1) * 9_000))])


def large_bitmap_icon() -> bytes:
    return icon([struct.pack("<IiiHHIIiiII", 40, 20_000, 40_000, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(5_000)])


def many_icons() -> bytes:
    return icon([saved("PNG", 32)], 65_535)


def many_icns() -> bytes:
    block = b"ic07" + struct.pack(">I", 16) + bytes(8)
    return b"icns" + struct.pack(">I", 8 + 16 * 200_000) + block * 200_000


def large_profile() -> bytes:
    return png(64, 64, 2, zlib.compress(bytes((64 * 3 + 1) * 64)), chunk(b"iCCP", b"x\0\0" + zeros(1_000_000_000)))


def many_texts() -> bytes:
    text = chunk(b"zTXt", b"x\0\0" + zeros(1_000_000))
    return png(64, 64, 2, zlib.compress(bytes((64 * 3 + 1) * 64)), *[text] * 500)


def tiny_chunks() -> bytes:
    return png(64, 64, 2, zlib.compress(bytes((64 * 3 + 1) * 64)), *[chunk(b"abCd", b"")] * 500_000)


def exif_in_avif() -> bytes:
    count, size = 4_000, 1_000_000
    tags = b"".join(struct.pack("<HHII", tag + 1, 7, size, 8) for tag in range(count))
    return saved("AVIF", exif=b"Exif\0\0II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4 + size))


def many_tiles_jpeg2000() -> bytes:
    whole = bytearray(saved("JPEG2000"))
    at = whole.index(b"\xff\x4f\xff\x51") + 8
    whole[at : at + 32] = struct.pack(">8I", 9_000, 9_000, 0, 0, 36, 36, 0, 0)
    return bytes(whole)


def run_length_bitmap() -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, 9_900, 9_900, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + header + bytes(1024) + b"\xff\x01" * 400_000


def run_length_tga() -> bytes:
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 9_900, 9_900, 32, 8) + b"\xff\1\2\3\4" * 800_000


def long_comment() -> bytes:
    return b"P6\n#" + b"x" * 20_000_000 + b"\n64 64\n255\n" + bytes(64 * 64 * 3)


def long_space() -> bytes:
    return b"P6\n" + b" " * 20_000_000 + b"64 64\n255\n" + bytes(64 * 64 * 3)


def many_comments() -> bytes:
    return b"P2 64 64 255\n" + b"#\n" * 500_000 + b"1 " * 64 * 64


def many_written_numbers() -> bytes:
    return b"P3 1000 1000 255\n" + b"1 " * 1000


def odd_largest_number() -> bytes:
    return b"P6 1000 1000 254\n" + bytes(3_000_000)


def large_fax() -> bytes:
    out = io.BytesIO()
    Image.new("1", (4_000, 4_000)).save(out, "TIFF", compression="group4", strip_size=2**25)
    return out.getvalue()


# Those that are refused, and those that can be read all the same because what they claim is not needed.
REFUSED: tuple[Callable[[], bytes], ...] = (
    *(large_png, large_jpeg, many_scans, many_segments, one_large_tile, strip_of_lzw, large_canvas_webp, large_icon),
    *(large_bitmap_icon, many_icns, tiny_chunks, exif_in_avif, many_tiles_jpeg2000, run_length_bitmap),
    *(scans_of_a_large_image, many_strips, endless_bits, run_length_tga, long_comment, long_space),
    *(many_comments, many_written_numbers),
)
READ: tuple[Callable[[], bytes], ...] = (
    *(exif_of_many_parts, many_pages, tags_that_overlap, many_frames_gif, many_comments_gif, many_frames_png),
    *(many_frames_webp, many_icons, large_profile, many_texts, odd_largest_number, large_fax),
)


def _read(path: Path, name: str) -> str:
    from xai_eval.errors import InputUnavailable
    from xai_eval.inputs.images.decode import decode

    try:
        return f"read: {decode(path).pixels.shape} {decode(path).notes}"
    except InputUnavailable as error:
        return f"refused: {str(error).replace(str(path), name)}"
    except BaseException as error:
        return f"failed: {type(error).__name__}: {error}"


def main(folder: Path) -> None:
    """Read each file with little memory, and print what came of it."""
    from xai_eval.inputs.images.decode import decode

    made = {each.__name__: folder / each.__name__ for each in (*REFUSED, *READ)}
    for each in (*REFUSED, *READ):
        made[each.__name__].write_bytes(each())
    made["sparse"] = folder / "sparse"
    with made["sparse"].open("wb") as file:
        file.truncate(20_000_000_000)
    (folder / "warm.jpg").write_bytes(saved("JPEG"))
    decode(folder / "warm.jpg")  # libraries are loaded
    _limit()
    for name, path in made.items():
        came, seconds = cheapest(partial(_read, path, name), SECONDS)
        print(json.dumps({"name": name, "came": came, "seconds": seconds}), flush=True)


def _limit() -> None:
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
