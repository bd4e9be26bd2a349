"""What the door lets through, and what it says of the rest. Attacks on it are in tests/hostile/disk_attacks.py."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.disk.door import is_own_folder, opened, read_bytes, read_text, require_no_links
from xai_eval.disk.files import publish, temporary_name, temporary_of, write_files, write_new_file


def test_an_ordinary_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_bytes(path, 4)
    path.write_bytes(b"one\r\ntwo\rthree\n")
    assert read_text(path) == "one\ntwo\nthree\n"


def test_a_file_of_the_system_whose_size_is_said_to_be_0_is_bounded_too():
    status = read_bytes(Path("/proc/self/status"), 10**6)
    assert status.startswith(b"Name:")
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_bytes(Path("/proc/self/status"), 10)


def test_a_link_is_followed_only_where_a_user_named_it(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    assert read_bytes(tmp_path / "link", follow=True) == b"x"
    with pytest.raises(OSError, match="it is a link") as raised:
        read_bytes(tmp_path / "link")
    assert raised.value.errno == errno.ELOOP


@pytest.mark.parametrize("follow", [False, True])
def test_what_is_no_ordinary_file_is_named(tmp_path, follow):
    os.mkfifo(tmp_path / "fifo")
    for path, words in ((tmp_path / "fifo", "a FIFO"), (tmp_path, "a folder")):
        with pytest.raises(OSError, match=words), opened(path, follow=follow):
            pass


def test_only_what_lies_below_the_root_may_be_no_link(tmp_path):
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "root").symlink_to("real")
    (tmp_path / "real" / "b").symlink_to("a")
    require_no_links(tmp_path / "root", tmp_path / "root" / "a" / "new")
    for place in (tmp_path / "root" / "b", tmp_path / "root" / "b" / "c", tmp_path, tmp_path / "root" / ".." / "x"):
        with pytest.raises(OSError, match=r"it is a link|does not lie in"):
            require_no_links(tmp_path / "root", place)
    assert is_own_folder(tmp_path / "real" / "a") and not is_own_folder(tmp_path / "real" / "b")


@given(st.text(min_size=1, max_size=30).filter(lambda name: "/" not in name and "\0" not in name))
def test_the_name_behind_a_temporary_one_is_found_again(name):
    path = Path("folder") / name
    if path.name == name and name not in (".", ".."):
        assert temporary_of(temporary_name(path)) == name


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=6), st.data())
def test_files_are_published_all_or_none(tmp_path_factory, was_there, data):
    """Whichever file cannot get its name: those before it have their earlier content again, or are gone again."""
    folder = tmp_path_factory.mktemp("published")
    before = {f"f{number}": b"old" for number, there in enumerate(was_there) if there}
    for name, content in before.items():
        (folder / name).write_bytes(content)
    staged = []
    for number, _ in enumerate(was_there):
        temporary = folder / f".new{number}"
        temporary.write_bytes(b"new")
        staged.append((temporary, folder / f"f{number}"))
    missing = data.draw(st.integers(0, len(staged) - 1))
    staged[missing][0].unlink()
    with pytest.raises(FileNotFoundError):
        publish(staged)
    assert {path.name: path.read_bytes() for path in folder.glob("f*")} == before
    assert not list(folder.glob(".f*"))


def test_a_new_folder_appears_with_all_of_its_files(tmp_path):
    seen = []

    def parts():
        seen.append((tmp_path / "case").exists())
        return b"x"

    write_files(tmp_path / "case", {"a": parts(), "b": parts()})
    assert seen == [False, False]
    assert sorted(path.name for path in (tmp_path / "case").iterdir()) == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_new_file_replaces_nothing(tmp_path):
    assert write_new_file(tmp_path / "a", b"1") and not write_new_file(tmp_path / "a", b"2")
    (tmp_path / "link").symlink_to("nowhere")
    assert not write_new_file(tmp_path / "link", b"3")
    assert (tmp_path / "a").read_bytes() == b"1" and not (tmp_path / "nowhere").exists()
