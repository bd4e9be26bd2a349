"""The folder of a run: one writer, and nothing of anybody else is touched."""

import os
import platform

import pytest
from synthetic import make_result

from xai_eval.errors import StorageError, UsageError
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, Result
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


def test_a_result_that_a_killed_run_had_not_written_to_its_end_is_not_there(folder):
    (folder.folder_of(ONE.case.key) / RESULT_FILE).unlink()
    (folder.folder_of(TWO.case.key) / ARRAYS_FILE).unlink()
    results, broken = folder.load(Result.load)
    assert (results, list(broken)) == ({}, [TWO.case.key])


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


@pytest.mark.parametrize(
    "foreign",
    [
        "results/mydata/x/result.json",  # no folder of a case is called so
        "results/cams/mine",
        f"results/{ONE.case.key}/.result.json.notes",
    ],
)
def test_what_only_looks_like_ours_is_left_alone(folder, foreign):
    path = folder.path / foreign
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if not path.suffix else path.write_text("my own")
    for action in (folder.claim, folder.remove_results):
        with pytest.raises(StorageError, match="was not written by xai-eval"):
            action()
    assert path.exists() and folder.folder_of(TWO.case.key).exists()


@pytest.mark.parametrize("document", ['{"case": "mine"}', "[1]", "{}"])
def test_a_document_that_is_no_result_of_its_folder_is_left_alone(folder, document):
    place = folder.folder_of("mydata/x-0123456789")
    place.mkdir(parents=True)
    (place / "result.json").write_text(document)
    with pytest.raises(StorageError, match="was not written by xai-eval"):
        folder.remove_results()
    assert (place / "result.json").read_text() == document and folder.folder_of(ONE.case.key).exists()


def test_a_result_under_the_name_of_another_is_left_alone(folder):
    folder.folder_of(ONE.case.key).rename(folder.folder_of("cams/renamed-0123456789"))
    with pytest.raises(StorageError, match="was not written by xai-eval"):
        folder.remove_results()


def test_what_a_killed_run_or_an_earlier_version_left_is_removed(folder):
    one, two = (folder.folder_of(result.case.key) for result in (ONE, TWO))
    (one / "result.json").write_text('{"half')
    (one / ".arrays.safetensors.gz.abcd_123").write_text("half")
    (two / "arrays.safetensors.gz").rename(two / "arrays.npz")
    folder.folder_of("cams/empty-0123456789").mkdir()
    (folder.folder_of("cams/begun-0123456789")).mkdir()
    (folder.folder_of("cams/begun-0123456789") / "arrays.safetensors.gz").write_text("half")
    with folder.claimed():
        folder.remove_results()
    assert list(folder.results.glob("*/*")) == []


def test_whoever_has_the_folder_keeps_it_after_asking_again(folder):
    lock = folder.path / LOCK_FILE
    with folder.claimed():
        for again in (folder.claimed, folder.locked):
            with again():
                assert lock.exists()
            assert lock.exists()
    assert not lock.exists()


STRAY = (".DS_Store", "Thumbs.db", "desktop.ini", "._result.json", "result.json~", ".result.json.swp", "#result.json#")


@pytest.mark.parametrize("name", STRAY)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_systems_and_editors_leave_blocks_nothing(folder, name, depth):
    place = (folder.results, folder.folder_of(ONE.case.key).parent, folder.folder_of(ONE.case.key))[depth]
    (place / name).write_bytes(b"\x00")
    folder.check_results()
    assert sorted(folder.load(Result.load)[0]) == sorted([ONE.case.key, TWO.case.key])
    folder.remove_results(keep=[TWO.case.key])
    assert sorted(folder.load(Result.load)[0]) == [TWO.case.key]
    folder.remove_results()
    assert folder.load(Result.load) == ({}, {})


@pytest.mark.parametrize("name", [RESULT_FILE, ARRAYS_FILE])
def test_a_file_that_git_lfs_has_not_fetched_is_called_what_it_is(folder, name):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4" * 64 + "\nsize 12345\n"
    (folder.folder_of(ONE.case.key) / name).write_text(pointer)
    broken = folder.load(Result.load)[1]
    assert f"{name} is a Git LFS pointer, not the file itself: run `git lfs pull`" in str(broken[ONE.case.key])
