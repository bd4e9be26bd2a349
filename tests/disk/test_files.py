import errno
import os

import pytest
from forbidden import forbid

from xai_eval.disk.files import accessible, exists, read_json, write_files, write_streams
from xai_eval.errors import StorageError


@pytest.mark.parametrize(
    "code, words",
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "the disk has an error; check the disk")],
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


def test_a_file_written_in_parts_is_whole_or_as_it_was(tmp_path):
    page = tmp_path / "page"
    write_streams(tmp_path, {"page": (part for part in (b"first ", b"second"))})
    assert page.read_bytes() == b"first second"

    def broken():
        yield b"third"
        raise StorageError("the result was replaced meanwhile")

    with pytest.raises(StorageError, match="meanwhile"):
        write_streams(tmp_path, {"new": [b"fourth"], "page": broken()})
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("page", b"first second")]


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="there is a file where a folder is needed"):
        write_files(tmp_path / "file", {"a": b""})


def test_files_get_ordinary_permissions(tmp_path):
    write_files(tmp_path, {"a": b"x"})
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_leaves_no_empty_folder(tmp_path, monkeypatch, code):
    """Not even the parents that were made for it; those that were there stay."""
    (tmp_path / "results").mkdir()

    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="Nothing was changed there"):
        write_files(tmp_path / "results" / "cams" / "case", {"a": b"new", "b": b"new"})
    assert [path.name for path in tmp_path.rglob("*")] == ["results"]


def test_an_interruption_leaves_nothing_either(tmp_path, monkeypatch):
    def fail(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path / "cams" / "case", {"a": b"new"})
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    "text", ["{", "NaN", '{"a": -Infinity}', "[" * 200_000, "1" * 5000, b"\xff\xfe"], ids=lambda text: str(text)[:8]
)
def test_what_is_no_json_is_a_value_error(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError):
        read_json(tmp_path / "a.json")


def test_what_cannot_be_looked_at_is_not_taken_for_missing(tmp_path, monkeypatch):
    assert not exists(tmp_path / "a")
    (tmp_path / "file").touch()
    forbid(monkeypatch, tmp_path / "private")
    for path, words in (
        (tmp_path / "private" / "a", "permission is denied"),
        (tmp_path / "file" / "a", "there is a file"),
    ):
        with pytest.raises(StorageError, match=f"{path} cannot be read: {words}"), accessible(path):
            exists(path)
