"""Named arrays to bytes and back: safetensors, deflated into a gzip file that any other tool opens, too."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from xai_eval.errors import StorageError

# A result is a few megabytes; a file that claims to unpack to more is damaged or hostile.
MAX_UNPACKED_BYTES = 256 * 2**20
# Level 9 takes five times as long as level 6 and saves less than one byte in 300.
_LEVEL = 6
# Many small arrays of different kinds follow each other: a smaller memory means shorter blocks, each with a code of its
# own, which takes up to a tenth fewer bytes than zlib's default of 8.
_MEMORY = 6
# Tells zlib to write and read the gzip format, with the time left out.
_GZIP = 16 + zlib.MAX_WBITS
# A gzip file ends with the size of its content, so that it is known before anything is unpacked.
_SIZE_BYTES = 4
_MAGIC = b"\x1f\x8b"
_ADVICE = "Restore it from version control, or run again and accept a new result."


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return `arrays` as safetensors: equal arrays give equal bytes, in whatever order they come.

    Raises:
        StorageError: an array holds anything but booleans, integers or floats of at most 64 bits.
    """
    for name, array in arrays.items():
        if not _is_kept(array.dtype):
            raise StorageError(
                f"array {name!r} is of dtype {array.dtype}; results keep booleans, integers and floats of at most "
                "64 bits. Store it as one of these."
            )
    # Not ascontiguousarray, which turns a single number into a row of one.
    return bytes(save({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}))


def unpack_arrays(content: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Return the arrays that `pack_arrays` packed; `where` names the file in errors.

    Raises:
        StorageError: no safetensors, cut short, longer than its header says, or of a dtype that results do not keep.
    """
    try:
        arrays: dict[str, NDArray[Any]] = load(content)
    except Exception as error:  # safetensors, its numpy part and numpy each raise their own
        raise StorageError(f"{where} is damaged or holds no arrays of a result ({error!r}). {_ADVICE}") from error
    foreign = next((name for name, array in arrays.items() if not _is_kept(array.dtype)), None)
    if foreign is not None:
        raise StorageError(
            f"{where} holds {foreign!r} of dtype {arrays[foreign].dtype}, which no result keeps. {_ADVICE}"
        )
    return arrays


def deflated(content: bytes) -> bytes:
    """Return `content` as a gzip file without a time: equal content gives equal bytes with the same zlib.

    Another zlib may give other bytes, so nothing may be signed by these.

    Raises:
        StorageError: `content` is larger than what `inflated` reads.
    """
    if len(content) > MAX_UNPACKED_BYTES:
        raise StorageError(f"the arrays of a result take {len(content) >> 20} MiB, {_limit()}. Store fewer of them.")
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP, _MEMORY)
    return stream.compress(content) + stream.flush()


def inflated(packed: bytes, where: str) -> bytes:
    """Return the content of what `deflated` made; `where` names the file in errors.

    However much the file unpacks to, no more than the size that stands at its end is unpacked, and nothing where that
    is above `MAX_UNPACKED_BYTES`.

    Raises:
        StorageError: no such file, cut short, followed by something, or too large.
    """
    if not packed.startswith(_MAGIC):
        raise StorageError(f"{where} is damaged: it is no gzip file. {_ADVICE}")
    size = int.from_bytes(packed[-_SIZE_BYTES:], "little")
    if size > MAX_UNPACKED_BYTES:
        raise StorageError(
            f"{where} is damaged or too large: its last bytes say that it unpacks to {size >> 20} MiB, {_limit()}. "
            f"{_ADVICE}"
        )
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise StorageError(f"{where} is damaged ({error}). {_ADVICE}") from error
    if len(content) != size or not stream.eof or stream.unused_data:
        raise StorageError(f"{where} is damaged: it does not unpack to the size that its last bytes say. {_ADVICE}")
    return content


def _is_kept(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8


def _limit() -> str:
    return f"and a result may take {MAX_UNPACKED_BYTES >> 20} MiB"
