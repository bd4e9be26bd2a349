"""Whatever the system refuses, and whoever asked: the error says why, and gives advice that is true of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from xai_eval.cli.main import main
from xai_eval.disk.files import accessible, unwritable, write_files
from xai_eval.disk.system_errors import machine_sentence
from xai_eval.errors import InputUnavailable, StorageError, TooManyOpenFiles, XaiEvalError
from xai_eval.inputs.first_received import check_first_received
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.models.bundled_models import read_safetensors
from xai_eval.inputs.paths import readable
from xai_eval.result.result import RESULT_FILE, read_document
from xai_eval.settings.find import find_document
from xai_eval.store.git_base import git_base
from xai_eval.store.goldens import Goldens
from xai_eval.store.quarantine import QUARANTINE_FILE

# Written down a second time, from the man pages of errno(3), open(2), write(2) and rename(2).
TRUE = {
    errno.ENOSPC: ("disk is full", "free some space"),
    errno.EDQUOT: ("quota is used up", "free some space"),
    errno.EROFS: ("read-only", "choose another folder"),
    errno.ENAMETOOLONG: ("longer than the system allows", "use shorter names"),
    errno.ELOOP: ("links lead in a circle", "remove the link"),
    errno.EIO: ("disk has an error", "check the disk"),
    errno.ESTALE: ("does not answer", "mount it again"),
    errno.EACCES: ("permission is denied", "permissions"),
    errno.ENOMEM: ("memory is used up", "fewer workers"),
}
MANY = {errno.EMFILE: ("ulimit -n", "--workers"), errno.ENFILE: ("fs.file-max", "--workers")}
# What only helps if the file itself is wrong.
OF_THE_FILE = ("version control", "check the path", "get it again", "install git", "remove it", "an ordinary file")


def _read_image(folder: Path) -> None:
    decode(folder / "file")


def _read_result(folder: Path) -> None:
    read_document(folder)


def _read_weights(folder: Path) -> None:
    read_safetensors(folder / "file")


def _read_settings(folder: Path) -> None:
    find_document(folder)


def _read_quarantine(folder: Path) -> None:
    Goldens(folder).quarantine()


def _first_received(folder: Path) -> None:
    check_first_received(folder / "weights", "a" * 64, "weights")


READERS = (_read_image, _read_result, _read_weights, _read_settings, _read_quarantine, _first_received)
FILES = ("file", RESULT_FILE, "xai_eval.toml", QUARANTINE_FILE, "weights.sha256")


def _refusing(code: int) -> mock._patch[Callable[..., int]]:
    return mock.patch.object(os, "open", side_effect=OSError(code, os.strerror(code), "the file"))


def _is_told(code: int, error: XaiEvalError) -> None:
    told = str(error)
    if code in MANY:
        assert isinstance(error, TooManyOpenFiles) and "limit of open files was reached" in told
        assert all(words in told for words in MANY[code]), told
    elif code in TRUE:
        assert all(words.lower() in told.lower() for words in TRUE[code]), told
    else:
        return
    assert not any(words in told.lower() for words in OF_THE_FILE), told


@pytest.mark.parametrize("read", READERS, ids=lambda each: each.__name__)
def test_every_reader_says_what_the_system_refused(read: Callable[[Path], None], tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_text("x")
    for code in errno.errorcode:
        with _refusing(code), pytest.raises(XaiEvalError) as caught:
            read(tmp_path)
        assert (
            code in TRUE
            or code in MANY
            or code == errno.ENOENT
            or code in KNOWN
            or os.strerror(code) in str(caught.value)
        )
        _is_told(code, caught.value)


# These have words of their own, too.
KNOWN = (
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EBUSY,
    errno.EFBIG,
)


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_writing_and_looking_say_it_too(code: int, tmp_path: Path) -> None:
    error = OSError(code, os.strerror(code), "the file")
    _is_told(code, unwritable(tmp_path, error))
    for context in (accessible, readable):
        with pytest.raises((StorageError, InputUnavailable, TooManyOpenFiles)) as caught, context(tmp_path):
            raise error
        _is_told(code, caught.value)
    with _refusing(code), pytest.raises(XaiEvalError) as caught:
        write_files(tmp_path, {"a": b"b"})
    _is_told(code, caught.value)
    with (
        mock.patch("subprocess.run", side_effect=error),
        pytest.raises(XaiEvalError) as caught,
    ):
        git_base(tmp_path, "main")
    _is_told(code, caught.value)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EIO, errno.ESTALE])
def test_where_nobody_expects_it_there_is_no_traceback(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    error = ImportError("a library")
    error.__cause__ = OSError(code, os.strerror(code), "library.so")
    with mock.patch.dict("xai_eval.cli.main._COMMANDS", {"fetch": mock.Mock(side_effect=error)}):
        assert main(["fetch"]) == 3
    told = capsys.readouterr().err
    assert "library.so" in told and "Traceback" not in told and told.count("\n") == 1
    assert "ulimit -u" in str(machine_sentence(RuntimeError("can't start new thread")))
    assert "memory is used up" in str(machine_sentence(MemoryError()))
    assert machine_sentence(ValueError("a fault of the code")) is None
    assert machine_sentence(FileNotFoundError(errno.ENOENT, "gone")) is None
