import gzip
import json
import os
import pickle

import numpy as np
import pytest
from synthetic import every_kind, make_case, make_result

from xai_eval.errors import StorageError, UsageError
from xai_eval.result.fields import Score
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, SCHEMA, Result, stored_digest


@pytest.fixture
def saved(tmp_path):
    make_result(fields=every_kind()).save(tmp_path)
    return tmp_path


def test_every_kind_of_field_survives_the_disk(saved):
    loaded = Result.load(saved)
    original = make_result(fields=every_kind())
    assert loaded.digest == original.digest
    assert list(loaded.fields) == list(original.fields)
    assert list(loaded.stages) == list(original.stages)
    np.testing.assert_array_equal(loaded["heat"].array, original["heat"].array)
    np.testing.assert_array_equal(loaded["mask"].array, original["mask"].array)
    assert loaded["table"].frame.equals(original["table"].frame)
    assert loaded["ranking"] == original["ranking"]
    assert loaded.case == original.case
    assert loaded.provenance == original.provenance


def test_saving_twice_gives_equal_bytes(tmp_path):
    for name in ("one", "two"):
        make_result(fields=every_kind()).save(tmp_path / name)
    for file in (RESULT_FILE, ARRAYS_FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_golden_stays_small(tmp_path):
    saliency = np.random.default_rng(0).random((224, 224)).astype(np.float32)
    make_result(saliency=saliency, fields={**every_kind()}).condensed().save(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 50_000


def test_condensing_drops_images_and_condenses_once():
    condensed = make_result(fields=every_kind()).condensed()
    assert "image" not in condensed.fields
    assert condensed["gradcam"].array.shape == (56, 56)
    assert condensed["gradcam"].shape == (224, 224)
    assert condensed.condensed().digest == condensed.digest


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean gradcam"):
        make_result()["gradcamm"]


@pytest.mark.parametrize("names", [("a-b", "a.b"), ("a b", "a-b"), ("a/b", "ab"), ("A", "a")])
def test_similar_names_get_different_keys(names):
    first, second = (make_case(name).key for name in names)
    assert first.lower() != second.lower()


def test_parameters_are_part_of_the_identity():
    assert make_case(params={"layer": "a"}).key != make_case(params={"layer": "b"}).key


def test_a_truncated_document_is_refused(saved):
    path = saved / RESULT_FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StorageError, match="truncated or not JSON"):
        Result.load(saved)


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_truncated_arrays_are_refused(saved, kept):
    path = saved / ARRAYS_FILE
    data = path.read_bytes()
    path.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    with pytest.raises(StorageError, match=r"arrays\.safetensors\.gz is damaged"):
        Result.load(saved)


def test_another_schema_is_refused(saved):
    path = saved / RESULT_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": SCHEMA + 1}))
    with pytest.raises(StorageError, match=f"schema {SCHEMA + 1}"):
        Result.load(saved)


def test_a_number_changed_by_hand_is_refused(saved):
    path = saved / RESULT_FILE
    text = path.read_text()
    assert "0.02" in text
    path.write_text(text.replace("0.02", "0.5"))
    with pytest.raises(StorageError, match="edited by hand"):
        Result.load(saved)


def test_arrays_of_another_result_are_refused(saved, tmp_path):
    make_result(predicted="crane", fields={}).save(tmp_path / "other")
    (saved / ARRAYS_FILE).write_bytes((tmp_path / "other" / ARRAYS_FILE).read_bytes())
    with pytest.raises(StorageError, match="does not belong to"):
        Result.load(saved)


def test_the_digest_is_that_of_contents_whatever_zlib_packed_them(saved):
    before = Result.load(saved).digest
    path = saved / ARRAYS_FILE
    content = gzip.decompress(path.read_bytes())
    for level in (0, 1, 9):
        path.write_bytes(gzip.compress(content, level, mtime=level))
        assert Result.load(saved).digest == before == stored_digest(saved)


def test_pickled_objects_are_never_loaded(saved, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    for content in (pickle.dumps(Bomb()), gzip.compress(pickle.dumps(Bomb()))):
        (saved / ARRAYS_FILE).write_bytes(content)
        with pytest.raises(StorageError, match=r"is damaged|does not belong to"):
            Result.load(saved)
    assert not (tmp_path / "exploded").exists()


def test_a_document_without_its_parts_is_refused(saved):
    from xai_eval.disk.signed import sign

    path = saved / RESULT_FILE
    document = json.loads(path.read_text())
    del document["case"]
    path.write_text(json.dumps(sign(document)))
    with pytest.raises(StorageError, match="holds no valid result"):
        Result.load(saved)


def test_a_missing_result_is_named(tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        Result.load(tmp_path / "nowhere")


@pytest.mark.parametrize("seed", ["NaN", "Infinity", "1e999", "[" * 100_000, "[" * 900 + "]" * 900, "1" * 5000])
def test_a_document_with_hostile_numbers_or_nesting_is_refused(saved, seed):
    path = saved / RESULT_FILE
    path.write_text(path.read_text().replace('"seed": 0', f'"seed": {seed}'))
    with pytest.raises(StorageError, match=r"result\.json (is truncated or not JSON|was edited by hand)"):
        Result.load(saved)


@pytest.mark.parametrize("part", ["case", "fields", "stages", "provenance"])
@pytest.mark.parametrize("value", [None, 3, "text", [[]], [{"name": []}], {"params": 3}, {"kind": "mask"}])
def test_a_signed_document_can_hold_anything(saved, part, value):
    from xai_eval.disk.signed import sign

    path = saved / RESULT_FILE
    path.write_text(json.dumps(sign({**json.loads(path.read_text()), part: value})))
    with pytest.raises(StorageError):
        Result.load(saved)


@pytest.mark.parametrize("kind, key, value", [("score", "value", 10**400), ("ranking", "values", [10**400, 1])])
def test_a_signed_number_beyond_all_floats_is_refused(saved, kind, key, value):
    from xai_eval.disk.signed import sign

    path = saved / RESULT_FILE
    document = json.loads(path.read_text())
    fields = [{**meta, key: value} if meta["kind"] == kind else meta for meta in document["fields"]]
    path.write_text(json.dumps(sign({**document, "fields": fields})))
    with pytest.raises(StorageError, match="holds no valid result"):
        Result.load(saved)


def test_a_field_may_not_be_called_as_the_arrays_of_stages_are():
    with pytest.raises(UsageError, match=r"a field is named 'stage'.*Rename it"):
        make_result(fields={"stage": Score(1.0, 0.1)})
