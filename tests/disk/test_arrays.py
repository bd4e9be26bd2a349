"""The reader of array archives against zipfile and numpy, and what it refuses."""

import io
import zipfile

import numpy as np
import pytest

from xai_eval.disk.arrays import pack_arrays, unpack_arrays
from xai_eval.errors import StorageError

ARRAYS = {
    "empty": np.zeros((0, 3)),
    "flags": np.array([True, False]),
    "map.größe": np.random.default_rng(0).random((40, 30)).astype(np.float32),
    "single": np.float64(0.5),
    "words": np.array(["a", "bc"]),
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_any_archive_of_arrays_reads_as_numpy_reads_it(method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in ARRAYS.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:  # as np.savez writes
                np.lib.format.write_array(member, np.asarray(array), version=(1, 0), allow_pickle=False)
    with np.load(io.BytesIO(buffer.getvalue())) as expected:
        found = unpack_arrays(buffer.getvalue(), "some.npz")
        assert list(found) == expected.files
        for name, array in found.items():
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name])


def test_what_was_packed_comes_back():
    found = unpack_arrays(pack_arrays(ARRAYS), "some.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], np.atleast_1d(array) if found[name].ndim else array)


def test_no_single_changed_byte_is_read_as_another_array():
    packed = pack_arrays({name: ARRAYS[name] for name in ("flags", "words")})
    whole = unpack_arrays(packed, "some.npz")
    for place in range(len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= 0xFF
        try:
            found = unpack_arrays(bytes(damaged), "some.npz")
        except StorageError:
            continue
        values = [np.asarray(each).tolist() for each in found.values()]
        assert values == [each.tolist() for each in whole.values()], place


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_an_archive_cut_short_or_followed_by_something_is_refused(cut):
    packed = pack_arrays(ARRAYS)
    for wrong in (packed[:-cut], packed[cut:], packed + b"\0" * cut, packed[:cut]):
        with pytest.raises(StorageError, match=r"some\.npz is damaged"):
            unpack_arrays(wrong, "some.npz")


def test_a_member_that_hides_another_length_is_refused():
    packed = bytearray(pack_arrays({"zeros": np.zeros(1000)}))
    place = packed.rfind(b"PK\1\2") + 24  # the size of the content in the directory
    packed[place : place + 4] = (64).to_bytes(4, "little")
    with pytest.raises(StorageError, match="length or checksum"):
        unpack_arrays(bytes(packed), "some.npz")
