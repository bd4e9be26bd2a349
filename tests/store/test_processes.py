import os
import subprocess
import sys

import pytest

from xai_eval.store import processes
from xai_eval.store.processes import has_another_start, process_start


def test_a_process_is_told_from_another_one_with_its_id():
    mine = process_start(os.getpid())
    assert mine.isdigit() and mine == process_start(os.getpid())
    assert not has_another_start(os.getpid(), mine) and not has_another_start(os.getpid(), None)
    assert has_another_start(os.getpid(), str(int(mine) - 1))


def test_a_process_that_ended_counts_as_another_one_before_its_parent_asks():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    assert has_another_start(child.pid, None)
    child.wait()


@pytest.mark.parametrize(
    ("date", "digits"),
    [("Fri Nov 27 03:12:39 2026", "20261127031239"), ("Thu Jan  1 00:00:00 1970", "19700101000000"), ("nothing", "")],
)
def test_a_date_of_ps_becomes_digits(monkeypatch, date, digits):
    """For systems without /proc."""
    done = subprocess.CompletedProcess([], 0, stdout=f"{date}\n".encode())
    monkeypatch.setattr(processes, "read_bytes", lambda *given: (_ for _ in ()).throw(FileNotFoundError()))
    monkeypatch.setattr(subprocess, "run", lambda *given, **options: done)
    assert process_start(1) == digits
