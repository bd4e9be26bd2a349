import platform
import subprocess
import sys
from contextlib import nullcontext

import pytest

from xai_eval.errors import StorageError, UsageError
from xai_eval.store import lock
from xai_eval.store.lock import LOCK_FILE, acquire, is_left_locked, locked, release, this_process
from xai_eval.store.processes import id_space

ALIVE = f"1 {platform.node()}"


def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{process.pid} {platform.node()}"


def test_a_folder_belongs_to_one_owner_until_it_is_given_back(tmp_path):
    folder = tmp_path / "new" / "reports"
    assert acquire(folder, ALIVE) is True
    assert acquire(folder, ALIVE) is False
    with pytest.raises(UsageError, match="in use by process 1 on "), locked(folder):
        pass
    release(folder, this_process())
    assert (folder / LOCK_FILE).read_text() == ALIVE
    release(folder, ALIVE)
    with locked(folder):
        assert (folder / LOCK_FILE).read_text() == this_process()
    assert not (folder / LOCK_FILE).exists()


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        _ = 1 / 0
    assert not (tmp_path / LOCK_FILE).exists()


def test_what_a_dead_process_left_is_taken_over(tmp_path):
    (tmp_path / LOCK_FILE).write_text(dead())
    with locked(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == this_process()


@pytest.mark.parametrize("holder", ["{dead} elsewhere", "nonsense", "99999999999999999999 here", ""])
def test_what_may_be_alive_is_respected(tmp_path, monkeypatch, holder):
    monkeypatch.setattr(lock, "_LONGEST_EMPTY", 10**9)  # however long this takes
    monkeypatch.setattr(lock, "_PAUSE", 0)
    holder = holder.format(dead=dead().split()[0])
    (tmp_path / LOCK_FILE).write_text(holder)
    with pytest.raises(UsageError, match=f"remove .*{LOCK_FILE}"):
        acquire(tmp_path, this_process())
    assert (tmp_path / LOCK_FILE).read_text() == holder


def test_a_process_of_another_container_may_be_alive(tmp_path):
    """Two containers may have one host name (`--network host`), and the same ids of other processes."""
    gone = f"{dead()} 5"
    for space, taken in (("7", False), (id_space(), True)):
        (tmp_path / LOCK_FILE).write_text(f"{gone} {space}")
        with nullcontext() if taken else pytest.raises(UsageError, match="in use by process"), locked(tmp_path):
            assert (tmp_path / LOCK_FILE).read_text() == this_process()


def test_a_file_in_the_place_of_the_folder_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="cannot write into"):
            acquire(folder, this_process())


def test_a_lock_that_was_left_is_told_from_one_that_is_held(tmp_path):
    assert not is_left_locked(tmp_path)
    (tmp_path / LOCK_FILE).write_text(dead())
    assert is_left_locked(tmp_path)
    (tmp_path / LOCK_FILE).write_text(ALIVE)
    assert not is_left_locked(tmp_path)
