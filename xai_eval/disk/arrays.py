"""Converts named arrays to bytes and back: safetensors in a gzip file, which other tools can open, too."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from xai_eval.disk.quick_zlib import quick_zlib
from xai_eval.errors import StorageError

# A result takes a few megabytes. A file that would unpack to more than this is damaged or malicious. While it is read,
# it takes twice as much.
MAX_UNPACKED_BYTES = 128 * 2**20
# The names, types and shapes of all arrays, of which a result has some hundreds.
MAX_HEADER_BYTES = 2**20
# Of goldens, which are in version control. Level 9 takes five times as long as level 6, and saves less than one byte in
# 300.
_LEVEL = 6
# Small arrays of different kinds follow each other. With less memory zlib makes shorter blocks, each with its own
# Huffman code, which takes up to a tenth fewer bytes than with its default of 8.
_MEMORY = 6
# Of results of a run, which are larger, and which nobody keeps for long.
_QUICK_LEVEL = 1
# This value tells zlib to write and read the gzip format, without a time stamp.
_GZIP = 16 + zlib.MAX_WBITS
# A gzip file ends with the size of its content, so that the size is known before anything is unpacked.
_SIZE_BYTES = 4
# Safetensors begins with the length of its header.
_LENGTH_BYTES = 8
_MOST_LAYOUTS = 16
_MAGIC = b"\x1f\x8b"
_ADVICE = "Restore it from version control, or run again and accept a new result."


class _Place(NamedTuple):
    """Where in a file an array begins, and what it is."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


# By the header and the size of a file that safetensors has read. A run has thousands with the same.
_LAYOUTS: dict[tuple[bytes, int], tuple[_Place, ...]] = {}


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return `arrays` as safetensors. Equal arrays give equal bytes, whatever their order.

    Raises:
        StorageError: an array contains anything but booleans, integers or floats of at most 64 bits.
    """
    for name, array in arrays.items():
        if not _is_kept(array.dtype):
            raise StorageError(
                f"array {name!r} is of dtype {array.dtype}; results keep booleans, integers and floats of at most "
                "64 bits. Convert it to one of these."
            )
    # np.ascontiguousarray is not used, because it turns a zero-dimensional array into a one-dimensional one.
    return bytes(save({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}))


def unpack_arrays(content: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Return the arrays that `pack_arrays` packed; `where` names the file in errors.

    They are views of `content`, which cannot be written to: safetensors itself would copy each.

    Raises:
        StorageError: `content` is not safetensors, is truncated, is longer than its header says, or has a dtype that
            results do not keep.
    """
    header = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if header > MAX_HEADER_BYTES:
        raise StorageError(f"{where} is damaged: it says that it names arrays in {header:,} bytes. {_ADVICE}")
    try:
        places = _places(content, content[: _LENGTH_BYTES + header])
    except Exception as error:  # safetensors and numpy raise many kinds of errors
        raise StorageError(f"{where} is damaged or holds no arrays of a result ({error!r}). {_ADVICE}") from error
    foreign = next((each for each in places if not _is_kept(each.dtype)), None)
    if foreign is not None:
        raise StorageError(f"{where} holds {foreign.name!r} of dtype {foreign.dtype}, which no result keeps. {_ADVICE}")
    return {name: np.ndarray(shape, dtype, content, start) for name, shape, dtype, start in places}


def _places(content: bytes, head: bytes) -> tuple[_Place, ...]:
    """Return where the arrays lie: safetensors checks that the header tells of every byte behind it once."""
    found = _LAYOUTS.get((head, len(content)))
    if found is None:
        arrays, described = load(content), json.loads(head[_LENGTH_BYTES:])
        starts = {name: len(head) + described[name]["data_offsets"][0] for name in arrays}
        found = tuple(_Place(name, each.shape, each.dtype, starts[name]) for name, each in arrays.items())
        if len(_LAYOUTS) >= _MOST_LAYOUTS:
            _LAYOUTS.clear()
        _LAYOUTS[head, len(content)] = found
    return found


def deflated(content: bytes) -> bytes:
    """Return `content` as a gzip file without a time stamp: the same zlib gives equal bytes for equal content.

    Another version of zlib may give other bytes, so no digest may be computed from them.

    Raises:
        StorageError: `content` is larger than what `inflated` reads.
    """
    _require_bounded(content)
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP, _MEMORY)
    return stream.compress(content) + stream.flush()


def deflated_quickly(content: bytes) -> bytes:
    """Return `content` as a gzip file, a little larger than that of `deflated`; another processor may give other bytes.

    Raises:
        StorageError: `content` is larger than what `inflated` reads.
    """
    _require_bounded(content)
    stream = quick_zlib.compressobj(_QUICK_LEVEL, zlib.DEFLATED, _GZIP)
    packed: bytes = stream.compress(content) + stream.flush()
    return packed


def inflated(packed: bytes, where: str) -> bytes:
    """Return the content of what `deflated` or `deflated_quickly` wrote; `where` names the file in errors.

    At most as many bytes are unpacked as the last bytes of the file say, and none if these say more than
    `MAX_UNPACKED_BYTES`, so that a malicious file cannot fill the memory.

    Raises:
        StorageError: `packed` is not gzip, is truncated, has further bytes at its end, or is too large.
    """
    if not packed.startswith(_MAGIC):
        raise StorageError(f"{where} is damaged: it is not a gzip file. {_ADVICE}")
    size = int.from_bytes(packed[-_SIZE_BYTES:], "little")
    if size > MAX_UNPACKED_BYTES:
        raise StorageError(
            f"{where} is damaged or too large: its last bytes say that it unpacks to {size >> 20} MiB, {_limit()}. "
            f"{_ADVICE}"
        )
    stream = quick_zlib.decompressobj(_GZIP)
    try:
        content: bytes = stream.decompress(packed, size + 1)
    except (zlib.error, quick_zlib.error) as error:
        raise StorageError(f"{where} is damaged ({error}). {_ADVICE}") from error
    if len(content) != size or not stream.eof or stream.unused_data:
        raise StorageError(f"{where} is damaged: it does not unpack to the size that its last bytes say. {_ADVICE}")
    return content


def _require_bounded(content: bytes) -> None:
    if len(content) > MAX_UNPACKED_BYTES:
        raise StorageError(f"the arrays of a result take {len(content) >> 20} MiB, {_limit()}. Store fewer of them.")


def _is_kept(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8


def _limit() -> str:
    return f"and a result may take {MAX_UNPACKED_BYTES >> 20} MiB"
