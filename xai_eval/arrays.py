"""Named arrays to bytes and back: an npz archive without pickle and without time stamps."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_eval.errors import StorageError

# A result is a few megabytes; an archive that claims to unpack to more is damaged or hostile.
MAX_UNPACKED_BYTES = 256 * 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)


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

    Raises:
        StorageError: not such an archive, damaged, holding pickled objects, or unreasonably large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise StorageError(f"{where} unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB; it is no result.")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except StorageError:
        raise
    except Exception as error:  # damaged archives raise whatever zlib, zipfile and numpy think of
        raise StorageError(f"{where} is damaged or no array archive ({error}).") from error
