import json

import pytest
from forbidden import forbid
from synthetic import make_result

from xai_eval.disk.signed import sign
from xai_eval.errors import InputUnavailable, StorageError
from xai_eval.store.runs import RUN_FILE, RunRecord, load_cases

RECORD = RunRecord(("cams",), ("m",), ("photos",), 2, failures={"photos": "NaN"}, versions={"torch": "2.11.0"})


@pytest.fixture
def folder(tmp_path):
    RECORD.save(tmp_path)
    return tmp_path


def test_a_record_survives_the_disk(folder):
    assert RunRecord.load(folder) == RECORD


WRONG = {
    "failures": [[], None, {"photos": 3}],
    "planned": ["x", None, 1.5],
    "versions": [[], {"torch": None}],
    "tasks": [None, 3, [3], []],
    "models": [[None], []],
    "seconds": ["long"],
    "finished": ["yes", 1],
    "device": [None],
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in WRONG.items() for value in values])
def test_a_value_of_another_type_is_refused(folder, name, value):
    document = json.loads((folder / RUN_FILE).read_text())
    (folder / RUN_FILE).write_text(json.dumps(sign({**document, name: value})))
    with pytest.raises(StorageError, match=r"run\.json is truncated or not a record of a run.*Run again"):
        RunRecord.load(folder)


@pytest.mark.parametrize("text", ["", "[" * 200_000, "[]", '{"schema": NaN}', "null"], ids=lambda text: text[:8])
def test_a_document_that_is_no_record_is_refused(folder, text):
    (folder / RUN_FILE).write_text(text)
    with pytest.raises(StorageError, match=r"run\.json"):
        RunRecord.load(folder)


def test_a_record_that_cannot_be_looked_at_is_not_missing(folder, monkeypatch):
    with pytest.raises(InputUnavailable, match=r"holds no run.*Run `xai-eval run --out .*nowhere` first"):
        RunRecord.load(folder / "nowhere")
    forbid(monkeypatch, folder)
    with pytest.raises(StorageError, match="permission is denied"):
        RunRecord.load(folder)


def test_goldens_in_the_place_of_a_run_are_told_as_such(tmp_path):
    result = make_result()
    result.save(tmp_path / result.case.key)
    with pytest.raises(InputUnavailable, match=r"holds no run.*There are goldens in it.*name the folder of a run"):
        RunRecord.load(tmp_path)


def test_cases_that_cannot_be_listed_are_not_missing(tmp_path, monkeypatch):
    assert load_cases(tmp_path / "nowhere") == ({}, {})
    result = make_result()
    result.save(tmp_path / result.case.key)
    with monkeypatch.context() as patch:
        forbid(patch, tmp_path / result.case.key)
        results, errors = load_cases(tmp_path)
        assert not results and "permission is denied" in str(errors[result.case.key])
    for place in (tmp_path, tmp_path / "cams"):
        with monkeypatch.context() as patch:
            forbid(patch, place)
            with pytest.raises(StorageError, match="permission is denied"):
                load_cases(tmp_path)


def test_a_file_is_no_folder_of_cases(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="there is a file where a folder is needed"):
        load_cases(tmp_path / "file")
