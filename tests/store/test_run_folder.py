"""The folder of a run: one writer, and nothing of anybody else is touched."""

import os
import platform

import pytest
from synthetic import make_result

from xai_eval.errors import StorageError, UsageError
from xai_eval.result.result import Result
from xai_eval.store.lock import LOCK_FILE
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RunRecord

RECORD = RunRecord(("cams",), ("m",), ("photos",), 2)
ONE, TWO = make_result("one.jpg"), make_result("two.jpg")


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.save_record(RECORD)
    for result in (ONE, TWO):
        assert folder.save(result) == folder.folder_of(result.case.key)
    return folder


def test_record_and_results_survive(folder):
    results, broken = folder.load(Result.load)
    assert (folder.record(), sorted(results), broken) == (RECORD, sorted([ONE.case.key, TWO.case.key]), {})


def test_whoever_comes_first_has_the_folder_and_its_workers_with_it(folder):
    controller = f"{os.getppid()} {platform.node()}"
    first, second = RunFolder(folder.path, controller), RunFolder(folder.path, controller)
    assert (first.claim(), second.claim()) == (True, False)
    with pytest.raises(UsageError, match=f"is in use by process {os.getppid()} on"):
        folder.claim()
    folder.release()  # which is not its own
    assert (folder.path / LOCK_FILE).exists()
    first.release()
    with folder.claimed():
        assert (folder.path / LOCK_FILE).exists()
    assert not (folder.path / LOCK_FILE).exists()


@pytest.mark.parametrize("foreign", ["results/thesis.txt", "results/cams/x/weights.pt"])
def test_a_folder_with_something_foreign_is_not_claimed_and_given_back(folder, foreign):
    path = folder.path / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_text("ten years of work")
    for action in (folder.claim, folder.check_results, folder.remove_results):
        with pytest.raises(StorageError, match="was not written by xai-eval"):
            action()
    assert not (folder.path / LOCK_FILE).exists()
    assert path.read_text() == "ten years of work" and folder.folder_of(ONE.case.key).exists()


def test_results_without_a_record_are_somebody_elses(folder):
    (folder.path / "run.json").unlink()
    with pytest.raises(StorageError, match=r"was not written by xai-eval .*holds no run"):
        folder.claim()


def test_what_is_kept_stays_and_loses_only_what_was_half_written(folder):
    half = folder.folder_of(ONE.case.key) / ".result.json.abcd1234"
    half.write_text("half")
    folder.remove_results(keep=[ONE.case.key])
    assert list(folder.load(Result.load)[0]) == [ONE.case.key]
    assert not half.exists()
    folder.remove_results()
    assert folder.load(Result.load) == ({}, {})


def test_a_new_folder_is_made(tmp_path):
    with RunFolder(tmp_path / "new" / "run").claimed():
        assert (tmp_path / "new" / "run" / LOCK_FILE).exists()
