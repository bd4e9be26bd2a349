import errno
import os

import pytest

from xai_eval.errors import StorageError
from xai_eval.files import write_files


@pytest.mark.parametrize(
    "code, words", [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "Errno")]
)
def test_a_failing_disk_changes_nothing(tmp_path, monkeypatch, code, words):
    write_files(tmp_path, {"a": b"old", "b": b"old"})

    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=words):
        write_files(tmp_path, {"a": b"new", "b": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old", "b": b"old"}


def test_a_full_disk_at_the_second_file_keeps_the_first(tmp_path, monkeypatch):
    write_files(tmp_path, {"a": b"old", "b": b"old"})
    calls, sync = [], os.fsync

    def fail_second(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fail_second)
    with pytest.raises(StorageError):
        write_files(tmp_path, {"a": b"new", "b": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old", "b": b"old"}


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        write_files(tmp_path / "file", {"a": b""})


def test_files_get_ordinary_permissions(tmp_path):
    write_files(tmp_path, {"a": b"x"})
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
