"""The commit of a run is that of git, with whether tracked files differ from it; without git, there is none."""

import subprocess

import pytest

from xai_eval.store.checkout import Checkout, checkout_of

WHO = ("-c", "user.name=x", "-c", "user.email=x@y.org")


def git(folder, *words):
    return subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a.txt").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "new.txt").write_text("git does not track it")
    return tmp_path


def test_the_commit_and_whether_tracked_files_differ_from_it(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert checkout_of(repository / "reports") == Checkout(commit, uncommitted=False)
    (repository / "a.txt").write_text("2")
    assert checkout_of(repository / "reports") == Checkout(commit, uncommitted=True)
    git(repository, "add", "a.txt")
    assert checkout_of(repository) == Checkout(commit, uncommitted=True)


def test_without_a_commit_or_git_nothing_is_known(tmp_path, monkeypatch):
    assert checkout_of(tmp_path) == Checkout()
    git(tmp_path, "init", "-q")
    assert checkout_of(tmp_path) == Checkout()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout_of(tmp_path) == Checkout()
