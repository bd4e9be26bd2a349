"""Named arrays to bytes and back: an npz archive without pickle and without time stamps."""

from __future__ import annotations

import functools
import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import StorageError

# A result is a few megabytes; an archive that claims to unpack to more is damaged or hostile.
MAX_UNPACKED_BYTES = 256 * 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LOCAL_HEADER = 30  # bytes before the name of a member; the lengths of name and extra field end it
_ARRAY_START = 10  # bytes of an array file before its header: magic, version, length of the header


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Pack `arrays` so that equal arrays give equal bytes: sorted names, fixed dates, one compression level."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(arrays[name]), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def unpack_arrays(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """Unpack what `pack_arrays` made; `where` names the file in errors.

    `zipfile` finds the members, but neither it nor `np.load` reads them: together they spend more time on thirty
    arrays of a few hundred bytes than on all maps.

    Raises:
        StorageError: not such an archive, damaged, holding pickled objects, or unreasonably large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
        if sum(info.file_size for info in members) > MAX_UNPACKED_BYTES:
            raise StorageError(f"{where} unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB; it is no result.")
        return {info.filename.removesuffix(".npy"): _array(_member(data, info)) for info in members}
    except StorageError:
        raise
    except Exception as error:  # damaged archives raise whatever zlib, zipfile and numpy think of
        raise StorageError(f"{where} is damaged or no array archive ({error}).") from error


def _member(data: bytes, info: zipfile.ZipInfo) -> bytes:
    """Return the content of one member, which is exactly as long as the archive says and has its checksum."""
    lengths = data[info.header_offset + _LOCAL_HEADER - 4 : info.header_offset + _LOCAL_HEADER]
    name, extra = int.from_bytes(lengths[:2], "little"), int.from_bytes(lengths[2:], "little")
    start = info.header_offset + _LOCAL_HEADER + name + extra
    content = data[start : start + info.compress_size]
    if info.compress_type == zipfile.ZIP_DEFLATED:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, info.file_size + 1)
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise ValueError(f"{info.filename} does not have the length or checksum that the archive says")
    return content


def _array(content: bytes) -> NDArray[Any]:
    if content[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("an array is of another format than version 1.0")
    end = _ARRAY_START + int.from_bytes(content[8:_ARRAY_START], "little")
    shape, fortran, dtype = _header(content[:end])
    if dtype.hasobject:
        raise ValueError("an array holds pickled objects")
    values = np.frombuffer(content, dtype, offset=end)
    return values.reshape(shape, order="F" if fortran else "C").copy()


@functools.lru_cache(maxsize=1024)
def _header(start: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Parse the header of an array; most arrays of most results have one that was seen before."""
    return np.lib.format.read_array_header_1_0(io.BytesIO(start[8:]))
