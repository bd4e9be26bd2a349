"""A whole pytest session that is killed with SIGKILL, which nobody can catch, and the session after it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from counted_kills import kill, moments
from PIL import Image
from plugin_suite import accept, stored

from xai_eval import Result
from xai_eval.cli.main import main
from xai_eval.store.run_folder import RunFolder

KILLS = 12
OPTIONS = ["-q", "-p", "no:cacheprovider", "-p", "xai_eval.pytest_plugin.hooks"]


@pytest.mark.slow
def test_a_killed_session_never_passes_for_a_whole_one_and_the_next_one_repairs(repo, capsys, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # what else is installed takes a fifth of each session
    repo.runpytest_inprocess(*OPTIONS).assert_outcomes(failed=10)
    accept(repo)
    goldens = files(repo.path / "golden")
    incomplete = 0
    first = partial(repo.runpytest_inprocess, *OPTIONS)  # a bare session would leave its modules in this process
    for moment in moments(first, session, KILLS, seed="pytest"):
        kill(session, moment)
        _, errors = RunFolder(repo.path / "reports").load(Result.load)
        assert errors == {}
        assert_report_is_whole(repo.path / "reports")
        finished = json.loads((repo.path / "reports" / "run.json").read_text())["finished"]
        assert main(["check"]) == (0 if finished else 1)
        incomplete += not finished
    print(f"\n{KILLS} sessions killed, {incomplete} of them while they measured")
    assert 0 < incomplete < KILLS
    assert files(repo.path / "golden") == goldens
    assert len(stored(repo)) == 10
    repo.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=10)
    assert main(["check"]) == 0
    assert not list((repo.path / "reports").rglob(".*"))


def session():
    assert pytest.main(OPTIONS) == 0


def assert_report_is_whole(folder: Path) -> None:
    """Every file of a report that has its final name can be read to its end."""
    if (folder / "verdicts.json").exists():
        assert json.loads((folder / "verdicts.json").read_text())["cases"] == 10
    if (folder / "index.html").exists():
        assert (folder / "index.html").read_text().rstrip().endswith("</html>")
    for path in (folder / "figures").glob("[!.]*.png"):
        with Image.open(path) as image:
            image.load()


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
