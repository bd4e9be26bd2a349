"""Results that are read when they are asked for, against the same results read at once."""

import numpy as np
import pytest

from xai_eval.bench.large_run import large_case
from xai_eval.errors import StorageError
from xai_eval.result.fields import Field, Heatmap, InputImage, Label, Table
from xai_eval.result.result import ARRAYS_FILE, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store import lazy
from xai_eval.store.lazy import open_checked, open_result


@pytest.fixture
def folder(tmp_path):
    return large_case(1).save(tmp_path)


def test_an_opened_result_is_the_result(folder):
    whole, opened = Result.load(folder), open_result(folder)
    assert (opened.case, opened.provenance) == (whole.case, whole.provenance)
    assert list(opened.fields) == list(whole.fields)
    assert list(opened.stages) == list(whole.stages)
    assert opened.digest == whole.digest
    assert opened.condensed().digest == whole.condensed().digest
    assert opened.fields.get("nothing") is None
    assert opened.stages.get(Stage(StageKind.VIEW)) is None


@pytest.mark.parametrize("kind", [Heatmap, Label, InputImage, Table])
def test_fields_of_a_kind_are_the_same_opened_or_whole(folder, kind: type[Field]):
    whole, opened = Result.load(folder).of_kind(kind), open_result(folder).of_kind(kind)
    assert list(opened) == list(whole)
    for name, each in whole.items():
        assert opened[name].meta() == each.meta()
        for part, array in each.arrays().items():
            np.testing.assert_array_equal(opened[name].arrays()[part], array)


def test_labels_and_tables_are_restored_without_reading_arrays(folder, monkeypatch):
    opened = open_result(folder)
    monkeypatch.setattr(lazy, "read_arrays", lambda *_: pytest.fail("arrays were read"))
    assert opened.of_kind(Label)["predicted"] == Label("car", 3)
    assert list(opened["table"].frame["method"]) == ["gradcam", "scorecam", "ablationcam"]


def test_arrays_that_were_replaced_meanwhile_are_refused(folder, tmp_path):
    opened = open_result(folder)
    large_case(2).save(tmp_path / "other")
    (folder / ARRAYS_FILE).write_bytes((tmp_path / "other" / ARRAYS_FILE).read_bytes())
    assert opened["predicted"] == Label("car", 3)
    with pytest.raises(StorageError, match="does not belong to"):
        _ = opened["gradcam"]


@pytest.mark.parametrize("damage", [b"", b"damaged", None])
def test_damaged_arrays_are_refused_when_they_are_asked_for_and_at_once_where_the_whole_is(folder, damage):
    if damage is None:
        (folder / ARRAYS_FILE).unlink()
    else:
        (folder / ARRAYS_FILE).write_bytes(damage)
    opened = open_result(folder)
    for ask in (lambda: opened["gradcam"], opened.in_memory, lambda: open_checked(folder)):
        with pytest.raises(StorageError, match=ARRAYS_FILE):
            ask()


def test_a_result_in_memory_is_the_result_and_needs_the_disk_no_more(folder):
    whole, read = Result.load(folder), open_result(folder).in_memory()
    (folder / ARRAYS_FILE).unlink()
    assert read.digest == whole.digest == whole.in_memory().digest
