"""A hundred cases under `pytest -n 2`: every golden is found and none is lost, whatever is selected.

The repository is written once and shared by all selections. Two workers and 120 cases: each worker is handed tests
several times over, and each golden is one of many, which is what could mix them up. Where two tests are left, there are
three workers, so that one has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest
from synthetic import blob, make_result

from xai_eval.store.goldens import Goldens
from xai_eval.store.lazy import open_result
from xai_eval.store.runs import RESULTS_FOLDER, load_cases

# The workers that these tests start need all cores.
pytestmark = pytest.mark.alone

COUNT, WORKERS = 120, 2
# Without those that are installed beside them: each of the processes would import them.
PLUGINS = ("xai_eval.pytest_plugin.hooks", "xdist.plugin", "pytest_rerunfailures")

# MOVED names images whose map looks elsewhere; FLAKY those whose test fails at its first try, before it checks.
SUITE = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import pytest
from synthetic import blob, make_result

MOVED, FLAKY, SKIPPED, KNOWN = (set(os.environ.get(n, "").split()) for n in ("MOVED", "FLAKY", "SKIPPED", "KNOWN"))

def marked(number):
    marks = [pytest.mark.xai]
    if number % 10 == 3:
        marks.append(pytest.mark.chosen)
    if str(number) in SKIPPED:
        marks.append(pytest.mark.skip(reason="today"))
    if str(number) in KNOWN:
        marks.append(pytest.mark.xfail(reason="known", strict=True))
    return pytest.param(number, marks=marks, id=f"case-{{number:04}}")

@pytest.mark.parametrize("number", [marked(number) for number in range({COUNT})])
def test_explanation(number, xai_golden, tmp_path_factory):
    if str(number) in FLAKY:
        tried = Path(os.environ["TRIED"]) / str(number)
        if not tried.exists():
            tried.touch()
            raise ConnectionError("at the first try")
    spot = blob(40, 8, size=48) if str(number) in MOVED else blob(8, 40, size=48)
    xai_golden.check(make_result(f"image-{{number}}.jpg", saliency=spot))
"""


@dataclass(frozen=True)
class Outcome:
    """What a call of pytest left.

    Attributes:
        code: exit code.
        counts: number of tests by outcome, from JUnit.
        told: states by case key, from the properties of the tests in JUnit.
        states: states by the number of the image, from `verdicts.json`.
        results: numbers of the images whose results lie in the report folder.
        text: what was printed.
    """

    code: int
    counts: dict[str, int]
    told: dict[str, str]
    states: dict[int, str]
    results: set[int]
    text: str


@dataclass(frozen=True)
class Repository:
    """A user's repository with COUNT explained images."""

    folder: Path

    def pytest(self, *arguments: str, workers: int = WORKERS, **environment: object) -> Outcome:
        """Call pytest in a process of its own, with the numbers of images in the environment."""
        tried = self.folder / f"tried-{len(list(self.folder.glob('tried-*')))}"
        tried.mkdir()
        named = {name: " ".join(map(str, numbers)) for name, numbers in environment.items()}  # type: ignore[call-overload]
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-n", str(workers), "--junitxml=junit.xml"]
        command += [part for name in PLUGINS for part in ("-p", name)]
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env={**os.environ, **named, "TRIED": str(tried), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )
        return self._outcome(done)

    def _outcome(self, done: subprocess.CompletedProcess[str]) -> Outcome:
        suite = ET.parse(self.folder / "junit.xml").getroot().find("testsuite")
        assert suite is not None, done.stdout
        counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        properties = [{p.get("name"): p.get("value") for p in case.iter("property")} for case in suite.iter("testcase")]
        verdicts = json.loads((self.folder / "reports" / "verdicts.json").read_text())["verdicts"]
        results = (self.folder / "reports" / RESULTS_FOLDER / "cams").iterdir()
        return Outcome(
            done.returncode,
            counts,
            {each["xai_case"]: each["xai_state"] for each in properties if "xai_case" in each},
            {number_of(verdict["input"]): verdict["state"] for verdict in verdicts},
            {number_of(json.loads((each / "result.json").read_text())["case"]["input"]) for each in results},
            done.stdout,
        )

    def goldens(self) -> str:
        """Digest of every byte of every golden."""
        files = sorted(path for path in (self.folder / "golden").rglob("*") if path.is_file())
        parts = (f"{path.relative_to(self.folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
        return "\n".join(parts)


def number_of(name: str) -> int:
    return int(name.removeprefix("photos/image-").removesuffix(".jpg"))


def numbers(*digits: str) -> set[int]:
    return {number for number in range(COUNT) if f"case-{number:04}".endswith(digits)}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Goldens are made of what pytest obtained where there were none."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    (repository.folder / "test_suite.py").write_text(SUITE)
    (repository.folder / "pytest.ini").write_text("[pytest]\nmarkers = chosen: a tenth of the cases\n")
    first = repository.pytest()
    assert first.counts == {"tests": COUNT, "failures": COUNT, "errors": 0, "skipped": 0}, first.text[-2000:]
    assert first.states == dict.fromkeys(range(COUNT), "missing")
    assert not (repository.folder / "golden").exists()
    for result in load_cases(repository.folder / "reports" / RESULTS_FOLDER, open_result)[0].values():
        Goldens(repository.folder / "golden").store(result, "looked")
    results, errors = Goldens(repository.folder / "golden").load_all()
    assert {number_of(result.case.input) for result in results.values()} == set(range(COUNT))
    assert not errors
    # Whatever a test does from here on, runs change no byte of them.
    return repository


ALL = set(range(COUNT))
CHOSEN = numbers("3")
SELECTIONS = {
    "k": (["-k", "case-000 or case-0077"], {*range(10), 77}),
    "not m, deselect": (
        ["-m", "not chosen", "--deselect", "test_suite.py::test_explanation[case-0050]"],
        ALL - CHOSEN - {50},
    ),
    "node ids": (
        ["test_suite.py::test_explanation[case-0042]", "test_suite.py::test_explanation[case-0119]"],
        {42, 119},
    ),
    "file, by stealing": (["test_suite.py", "--dist", "worksteal"], ALL),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_finds_its_goldens_and_leaves_the_others_alone(repository: Repository, name: str) -> None:
    arguments, selected = SELECTIONS[name]
    before = repository.goldens()
    outcome = repository.pytest(*arguments, workers=3 if len(selected) < 3 else WORKERS)
    assert outcome.code == 0, outcome.text[-2000:]
    assert outcome.counts == {"tests": len(selected), "failures": 0, "errors": 0, "skipped": 0}
    assert outcome.states == dict.fromkeys(selected, "ok")
    assert len(outcome.told) == len(selected) and set(outcome.told.values()) == {"ok"}
    assert outcome.results == selected
    assert repository.goldens() == before


def test_reruns_expected_failures_and_skips_and_then_the_last_failures_alone(repository: Repository) -> None:
    """A test that is tried again finds its golden and launders nothing; a drift that its test expects is a failure."""
    before = repository.goldens()
    moved, flaky, known, skipped = {7, 107}, {1, 7, 100, 118}, {11, 111}, {20, 50, 90}
    outcome = repository.pytest("--reruns", "2", MOVED=moved | known, FLAKY=flaky, KNOWN=known, SKIPPED=skipped)
    assert outcome.code == 1
    failures = len(moved | known)
    expected = {"tests": COUNT + len(known), "failures": failures, "errors": 0, "skipped": len(known | skipped)}
    assert outcome.counts == expected, outcome.text[-2000:]
    assert outcome.states == {**dict.fromkeys(ALL - skipped, "ok"), **dict.fromkeys(moved | known, "drift")}
    assert outcome.results == ALL - skipped
    outcome = repository.pytest("--lf")
    assert (outcome.code, outcome.states, outcome.results) == (0, dict.fromkeys(moved, "ok"), moved), outcome.text
    assert repository.goldens() == before


def test_expected_failures_alone_fail_the_run_and_are_said(repository: Repository) -> None:
    known = {11, 111}
    outcome = repository.pytest("-k", "case-001 or case-0111", MOVED=known, KNOWN=known)
    assert outcome.code == 1 and outcome.text.count("xfailed, although its verdict fails") == len(known)
    assert outcome.states == {**dict.fromkeys({*range(10, 20), 111}, "ok"), **dict.fromkeys(known, "drift")}


def test_a_golden_that_nobody_checks_is_found_among_all(repository: Repository) -> None:
    place = Goldens(repository.folder / "golden").store(make_result(f"image-{COUNT}.jpg", saliency=blob(8, 8)), "x")
    try:
        before = repository.goldens()
        outcome = repository.pytest()
        assert outcome.code == 1
        assert outcome.counts == {"tests": COUNT + 1, "failures": 1, "errors": 0, "skipped": 0}
        assert outcome.states == {**dict.fromkeys(ALL, "ok"), COUNT: "unused"}
        assert outcome.results == ALL
        assert repository.goldens() == before
    finally:
        Goldens(repository.folder / "golden").remove(f"{place.parent.name}/{place.name}")
