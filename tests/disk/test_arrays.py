"""Arrays on disk: against safetensors and gzip themselves, and what is refused, within a small memory."""

from __future__ import annotations

import gzip
import itertools
import json
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from xai_eval.disk import arrays as module
from xai_eval.disk.arrays import (
    MAX_UNPACKED_BYTES,
    deflated,
    deflated_quickly,
    inflated,
    pack_arrays,
    unpack_arrays,
)
from xai_eval.errors import StorageError

DICE = np.random.default_rng(0)
ARRAYS = {
    "flags": np.array([True, False]),
    "map.größe": DICE.random((40, 30)).astype(np.float32),
    "half": DICE.random((3, 2)).astype(np.float16),
    "double": np.array([np.nan, -0.0, np.inf, 5e-324]),
    "bytes": DICE.integers(0, 256, (5, 4, 3), dtype=np.uint8),
    "labels": np.arange(300, dtype=np.uint16),
    "short": np.array([-(2**31), 2**31 - 1], dtype=np.int32),
    "long": np.array([-(2**63), 2**63 - 1]),
    "number": np.array(0.5),
    "empty": np.zeros((0, 3)),
    "nothing": np.zeros(0, dtype=np.uint8),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "every second": np.arange(10)[::2],
}
PACKED = deflated(pack_arrays(ARRAYS))
# isal where it is installed, and what is used where it is not.
LIBRARIES = {each.__name__: each for each in (module.quick_zlib, zlib)}


@pytest.fixture(params=LIBRARIES)
def library(request, monkeypatch):
    """Pack quickly, and unpack, by one library after the other."""
    monkeypatch.setattr(module, "quick_zlib", LIBRARIES[request.param])


def unpacked(packed: bytes) -> dict[str, np.ndarray]:
    return unpack_arrays(inflated(packed, "some.gz"), "some.gz")


def test_what_was_packed_comes_back_bit_by_bit():
    found = unpacked(PACKED)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_gzip_and_safetensors_read_it_by_themselves():
    for name, array in load(gzip.decompress(PACKED)).items():
        assert array.dtype == ARRAYS[name].dtype
        np.testing.assert_array_equal(array, ARRAYS[name])


def test_numbers_of_another_byte_order_keep_their_values():
    found = unpacked(deflated(pack_arrays({"big": np.arange(3, dtype=">f4")})))["big"]
    assert found.dtype == np.float32
    assert found.tolist() == [0.0, 1.0, 2.0]


def test_no_arrays_at_all_are_no_error():
    assert unpacked(deflated(pack_arrays({}))) == {}


def test_equal_arrays_give_equal_bytes_in_whatever_order_they_come():
    turned = dict(reversed(ARRAYS.items()))
    assert pack_arrays(turned) == pack_arrays(ARRAYS)
    assert deflated(pack_arrays(turned)) == PACKED
    assert PACKED[4:8] == bytes(4)  # the time in the header of a gzip file


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("content", [b"", b"a", pack_arrays(ARRAYS), bytes(10**6), DICE.bytes(10**5)])
def test_what_was_packed_quickly_is_read_by_gzip_and_by_every_library(content):
    packed = deflated_quickly(content)
    assert gzip.decompress(packed) == content
    assert packed == deflated_quickly(content)
    for each in LIBRARIES.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "quick_zlib", each)
            assert inflated(packed, "some.gz") == content


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("level", [0, 1, 9])
def test_another_level_or_zlib_gives_the_same_content(level):
    assert inflated(gzip.compress(pack_arrays(ARRAYS), level), "some.gz") == pack_arrays(ARRAYS)


@pytest.mark.parametrize("dtype", ["<U2", "S2", "complex64", "datetime64[s]", "object", "longdouble"])
def test_what_results_do_not_keep_is_not_packed(dtype):
    if np.dtype(dtype).itemsize == 8 and dtype == "longdouble":
        pytest.skip("this machine's longdouble is float64")
    with pytest.raises(StorageError, match=r"array 'odd' is of dtype .*; results keep booleans, integers and floats"):
        pack_arrays({"fine": np.zeros(2), "odd": np.zeros(2, dtype=dtype)})


@pytest.mark.usefixtures("library")
def test_no_single_changed_byte_of_the_file_is_read_as_another_array():
    packed = deflated(pack_arrays({"flags": ARRAYS["flags"], "half": ARRAYS["half"]}))
    content = inflated(packed, "some.gz")
    for place, bits in itertools.product(range(len(packed)), (0x01, 0xFF)):
        damaged = bytearray(packed)
        damaged[place] ^= bits
        try:
            assert inflated(bytes(damaged), "some.gz") == content, place
        except StorageError as error:
            assert "some.gz" in str(error)


def test_any_changed_byte_of_the_content_is_read_or_refused_in_one_way():
    content = pack_arrays({"flags": ARRAYS["flags"], "half": ARRAYS["half"]})
    for place, bits in itertools.product(range(len(content)), (0x01, 0x20, 0xFF)):
        damaged = bytearray(content)
        damaged[place] ^= bits
        try:
            unpack_arrays(bytes(damaged), "some.gz")
        except StorageError as error:
            assert "some.gz" in str(error)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_a_file_cut_short_or_followed_by_something_is_refused(cut):
    for wrong in (PACKED[:-cut], PACKED[cut:], PACKED + bytes(cut), PACKED[:cut], PACKED + PACKED[:cut]):
        with pytest.raises(StorageError, match=r"some\.gz is damaged"):
            inflated(wrong, "some.gz")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("wrong", [b"", b"no gzip", bytes(100), zlib.compress(b"text"), PACKED + PACKED])
def test_what_is_no_gzip_file_or_two_is_refused(wrong):
    with pytest.raises(StorageError, match=r"some\.gz is damaged"):
        inflated(wrong, "some.gz")


def safetensors(header: object, data: bytes = bytes(16)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str = "F32", shape: object = (4,), offsets: object = (0, 16)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


CONTENTS = {
    "nothing": b"",
    "no header": bytes(8),
    "a header longer than the file": (2**40).to_bytes(8, "little") + b"{}",
    "a header longer than any file": (2**64 - 1).to_bytes(8, "little") + b"{}",
    "a header that is no JSON": safetensors(b"{" * 1000),
    "a header of another shape": safetensors({"a": 3}),
    "more data than the file has": safetensors({"a": entry(shape=[2**20], offsets=[0, 2**22])}),
    "more numbers than data": safetensors({"a": entry(shape=[400])}),
    "more numbers than there can be": safetensors({"a": entry(shape=[2**40, 2**40])}),
    "a negative shape": safetensors({"a": entry(shape=[-4])}),
    "data beyond the last array": safetensors({"a": entry()}, bytes(17)),
    "data between two arrays": safetensors({"a": entry(shape=[1], offsets=[0, 4]), "b": entry("U8", [1], [15, 16])}),
    "two arrays in one place": safetensors({"a": entry(), "b": entry()}),
    "bfloat16": safetensors({"a": entry("BF16", [8])}),
    "eight bits with an exponent": safetensors({"a": entry("F8_E4M3", [16])}),
    "complex numbers": safetensors({"a": entry("C64", [2])}),
    "a dtype that nobody knows": safetensors({"a": entry("PICKLE", [2])}),
    "an array of numpy": np.zeros(3).tobytes(),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_what_no_result_has_is_one_error_within_a_small_memory(content):
    tracemalloc.start()
    try:
        with pytest.raises(StorageError, match=r"some\.gz (is damaged|holds 'a' of dtype)") as caught:
            unpack_arrays(inflated(gzip.compress(content), "some.gz"), "some.gz")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


SIZES = {"F32": 4, "F16": 2, "U8": 1, "BOOL": 1, "I64": 8, "C64": 8}


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Arrays behind each other, listed in any order; some have one name, or lie a byte beside their place."""
    end, entries = 0, []
    for name, dtype, count in draw(
        st.lists(st.tuples(st.sampled_from(["a", "b.c", "ö", "d"]), st.sampled_from(sorted(SIZES)), st.integers(0, 3)))
    ):
        shape = [count] if draw(st.booleans()) else [1, count, 1]
        entries.append((name, entry(dtype, shape, (end, end + count * SIZES[dtype]))))
        end += count * SIZES[dtype] + draw(st.sampled_from([0] * 19 + [1]))
    listed = ",".join(f"{json.dumps(name)}: {json.dumps(each)}" for name, each in draw(st.permutations(entries)))
    return safetensors(f"{{{listed}}}".encode(), bytes(place % 251 for place in range(end)))


CHANGES = st.lists(st.tuples(st.integers(0, 400), st.sampled_from(b'\0 "{}[]:,019aeE\xff')), max_size=1)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(files(), CHANGES)
def test_arrays_are_where_safetensors_finds_them_and_what_it_refuses_is_refused(content, changes):
    changed = bytearray(content)
    for place, byte in changes:
        changed[place % len(changed)] = byte
    for _ in range(2):  # the second time, where they lie is known
        check_against_safetensors(bytes(changed))


def check_against_safetensors(content: bytes) -> None:
    try:
        expected = load(content)
    except Exception:  # of whatever kind it is
        expected = None
    if expected is None or any(each.dtype.kind == "c" for each in expected.values()):
        with pytest.raises(StorageError, match=r"some\.gz (is damaged|holds '.*' of dtype)"):
            unpack_arrays(content, "some.gz")
        return
    found = unpack_arrays(content, "some.gz")
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape)
        assert array.tobytes() == expected[name].tobytes()
        assert not array.flags.writeable


def bomb(megabytes: int, claimed: int) -> bytes:
    """A gzip file of nulls that says that it unpacks to `claimed` bytes."""
    stream = zlib.compressobj(wbits=-15)
    block = stream.compress(bytes(2**20)) + stream.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * megabytes + stream.flush() + bytes(4) + claimed.to_bytes(4, "little")


@pytest.mark.parametrize("claimed", [0, 1000, MAX_UNPACKED_BYTES + 1, 4000 * 2**20, 2**32 - 1])
def test_a_small_file_that_unpacks_to_much_is_refused_before_it_takes_memory(claimed):
    packed = bomb(4000, claimed)
    tracemalloc.start()
    try:
        with pytest.raises(StorageError, match=r"damaged or too large|does not unpack to the size"):
            inflated(packed, "some.gz")
        assert tracemalloc.get_traced_memory()[1] < len(packed) + 2**20
    finally:
        tracemalloc.stop()


def test_what_could_not_be_read_again_is_not_written(monkeypatch):
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 1000)
    content = pack_arrays({"zeros": np.zeros(1000)})
    with pytest.raises(StorageError, match="the arrays of a result take 0 MiB, and a result may take 0 MiB"):
        deflated(content)
    with pytest.raises(StorageError, match=r"some\.gz is damaged or too large: its last bytes say"):
        inflated(gzip.compress(content), "some.gz")
