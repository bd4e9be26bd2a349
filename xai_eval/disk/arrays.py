"""Named arrays to bytes and back: an npz archive without pickle and without time stamps."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import StorageError

# A result is a few megabytes; an archive that claims to unpack to more is damaged or hostile.
MAX_UNPACKED_BYTES = 256 * 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)
# Parts of an archive (PKWARE's APPNOTE, 4.3): before each member, about each in the directory, and the end.
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
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

    Neither `zipfile` nor `np.load` reads it: together they spend more time on thirty arrays of a few hundred bytes than
    on all maps.

    Raises:
        StorageError: not such an archive, damaged, holding pickled objects, or unreasonably large.
    """
    try:
        members = _members(data)
        if sum(member.size for member in members) > MAX_UNPACKED_BYTES:
            raise StorageError(f"{where} unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB; it is no result.")
        return {member.name.removesuffix(".npy"): _array(_content(data, member)) for member in members}
    except StorageError:
        raise
    except Exception as error:  # damaged archives raise whatever zlib, zipfile and numpy think of
        raise StorageError(f"{where} is damaged or no array archive ({error}).") from error


class _Member(NamedTuple):
    """What the directory of an archive says of one member: sizes in bytes, and where its local header is."""

    name: str
    method: int
    checksum: int
    packed: int
    size: int
    offset: int


def _members(data: bytes) -> list[_Member]:
    """Read the directory of an archive that ends with it, as those of `pack_arrays` do."""
    signature, _, _, _, count, length, place, comment = _END.unpack(data[-_END.size :])
    if signature != b"PK\5\6" or comment or place + length + _END.size != len(data):
        raise ValueError("it does not end with its directory")
    members = []
    for _ in range(count):
        entry = _ENTRY.unpack_from(data, place)
        signature, method, (checksum, packed, size, name, extra, comment) = entry[0], entry[4], entry[7:13]
        if signature != b"PK\1\2":
            raise ValueError("its directory is damaged")
        start = place + _ENTRY.size
        members.append(_Member(data[start : start + name].decode(), method, checksum, packed, size, entry[-1]))
        place = start + name + extra + comment
    return members


def _content(data: bytes, member: _Member) -> bytes:
    """Return the content of one member, which is exactly as long as the archive says and has its checksum."""
    *_, name, extra = _LOCAL_HEADER.unpack_from(data, member.offset)
    start = member.offset + _LOCAL_HEADER.size + name + extra
    content = data[start : start + member.packed]
    if member.method == zipfile.ZIP_DEFLATED:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.size + 1)
    if len(content) != member.size or zlib.crc32(content) != member.checksum:
        raise ValueError(f"{member.name} does not have the length or checksum that the archive says")
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
