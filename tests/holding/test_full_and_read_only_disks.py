"""A disk that is really full and a checkout that is really read-only: each mounted for one process alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# A name space of its own, in which also an ordinary user may mount.
_OWN_MOUNTS = ["unshare", "--map-root-user", "--mount"]

HEADER = """
    import os, subprocess, sys
    from pathlib import Path
    sys.path.insert(0, "tests")
    from synthetic import blob, make_result
    from xai_eval.cli.main import main
    from xai_eval.errors import StorageError
    from xai_eval.store.goldens import Goldens
    from xai_eval.gate.accept import accept
    from xai_eval.gate.judge_run import judge_run
    from xai_eval.store.runs import RESULTS_FOLDER, RunRecord
    folder = Path(sys.argv[1])

    def files(place):
        return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}

    def write_run(place, *results):
        for result in results:
            result.save(place / RESULTS_FOLDER / result.case.key)
        RunRecord(("cams",), (results[0].case.model,), ("photos",), len(results), finished=True).save(place)
"""

FULL = """
    goldens = Goldens(folder / "golden")
    told = ""
    stored = []
    while not told:
        result = make_result(f"{len(stored)}.jpg")
        try:
            goldens.store(result, "looked")
            stored.append(result)
        except StorageError as error:
            told = str(error)
    assert "the disk is full; free some space and run again" in told, told
    assert stored, "not one fitted"
    results, errors = goldens.load_all()
    assert not errors, errors
    assert {key: r.digest for key, r in results.items()} == {r.case.key: r.condensed().digest for r in stored}
    # Nor does it lose a golden to put another in its place.
    before = files(folder)
    try:
        for number, _ in enumerate(stored):
            goldens.store(make_result(f"{number}.jpg", saliency=blob(50, 50, width=40 + number)), "another")
            before = files(folder)
    except StorageError as error:
        assert "the disk is full" in str(error), error
    assert files(folder) == before
    assert not goldens.load_all()[1]
"""

READ_ONLY = """
    write_run(folder / "run", make_result())
    Goldens(folder / "golden").store(make_result(saliency=blob(50, 50)), "first")
    before = files(folder)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    os.environ.pop("CI", None)
    os.chdir(folder)
    (verdict,) = judge_run(folder / "run", Goldens(folder / "golden")).verdicts
    assert verdict.state == "drift"
    assert main(["diff", "run", "run"]) == 0
    assert main(["accept", "--all", "--reason", "x", "--results", "run"]) == 3
    assert main(["check", "run"]) == 1
    assert files(folder) == before
"""


@pytest.fixture
def own_mounts() -> list[str]:
    """What to put before a command that mounts; skips where the system lets nobody mount."""
    probe = [*_OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        subprocess.run(probe, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"nothing can be mounted here ({error}); test_killed.py and test_files.py imitate it")
    return _OWN_MOUNTS


def run_on_small_disk(own_mounts: list[str], folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(HEADER) + textwrap.dedent(script)
    mount = 'mount -t tmpfs -o size=200k tmpfs "$0" && exec "$1" -c "$2" "$0"'
    command = [*own_mounts, "sh", "-c", mount, str(folder), sys.executable, code]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_full_disk_says_so_and_keeps_every_golden(own_mounts: list[str], tmp_path: Path) -> None:
    done = run_on_small_disk(own_mounts, tmp_path, FULL)
    assert done.returncode == 0, done.stderr


def test_a_read_only_checkout_is_judged_and_refuses_what_writes(own_mounts: list[str], tmp_path: Path) -> None:
    done = run_on_small_disk(own_mounts, tmp_path, READ_ONLY)
    assert done.returncode == 0, done.stderr
    comparing, accepting, checking = done.stderr.splitlines()
    assert "run is compared with the run in run" in comparing
    assert "golden: the file system is read-only; choose another folder" in accepting
    assert "the report could not be written. cannot write into run" in checking
    assert "the file system is read-only; choose another folder" in checking
    assert "1 case: 1 drift" in done.stdout
