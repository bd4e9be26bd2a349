"""Arrays in the former file, a numpy archive: refused in one sentence, converted with equal content."""

from __future__ import annotations

import re

import numpy as np
import pytest
from npz_layout import FORMER_FILE, convert, write_former
from synthetic import every_kind, make_result

from xai_eval.errors import StorageError
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, Result, read_arrays, read_document
from xai_eval.store.goldens import Goldens
from xai_eval.store.lazy import open_result

GOLDEN = make_result(fields=every_kind()).condensed()


@pytest.fixture
def former(tmp_path):
    """The golden as an earlier version kept it."""
    place = GOLDEN.save(tmp_path / GOLDEN.case.key)
    write_former(place, read_arrays(place, read_document(place)))
    return place


@pytest.mark.parametrize("read", [Result.load, lambda place: open_result(place).in_memory()])
def test_a_former_file_says_what_to_do(former, read):
    expected = f"{former / FORMER_FILE} keeps arrays in a format that this version no longer reads"
    with pytest.raises(
        StorageError, match=f"{re.escape(expected)}.*Delete {FORMER_FILE}, run again and accept"
    ) as error:
        read(former)
    assert "\n" not in str(error.value)


def test_doing_so_repairs_the_golden(former, tmp_path):
    (former / FORMER_FILE).unlink()
    with pytest.raises(StorageError, match=ARRAYS_FILE):
        Result.load(former)
    Goldens(tmp_path).store(GOLDEN, "anew")
    assert Result.load(former).digest == GOLDEN.digest


def test_former_arrays_are_converted_with_equal_content(former):
    document = read_document(former)
    with np.load(former / FORMER_FILE, allow_pickle=False) as archive:
        was = {name: archive[name] for name in archive.files}
    digest = convert(former)
    now = read_arrays(former, read_document(former))
    assert now.keys() == was.keys()
    for name, array in was.items():
        assert (now[name].dtype, now[name].shape) == (array.dtype, array.shape)
        assert now[name].tobytes() == array.tobytes()
    kept = [
        {k: v for k, v in each.items() if k not in ("digest", "arrays_sha256")}
        for each in (document, read_document(former))
    ]
    assert kept[0] == kept[1]
    assert digest == Result.load(former).digest == GOLDEN.digest
    assert sorted(path.name for path in former.iterdir()) == [ARRAYS_FILE, RESULT_FILE]
