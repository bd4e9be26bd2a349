"""How this project's conftest.py distributes tests: all of them on two workers, unless told otherwise."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

CONFTEST = (Path(__file__).parents[1] / "conftest.py").read_text()
TEST = """
import json, os, pathlib
def test_{name}():
    pathlib.Path(os.environ["SEEN"], "{name}").write_text(json.dumps(dict(os.environ)))
"""
FOUR = """
import os, pathlib, pytest
@pytest.mark.parametrize("number", range(4))
def test_four(number):
    with pathlib.Path(os.environ["SEEN"], "{name}").open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project with two tests and this project's conftest.py; each test writes down its environment."""
    monkeypatch.setenv("SEEN", str(pytester.mkdir("seen")))
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    for name in ("OMP_NUM_THREADS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\ntestpaths = tests\n")
    tests = pytester.mkdir("tests")
    for name in ("one", "two"):
        (tests / f"test_{name}.py").write_text(TEST.format(name=name))
    return pytester


def environments(project):
    """What the two tests saw; each process of this package's tests has one thread."""
    seen = [json.loads((project.path / "seen" / name).read_text()) for name in ("one", "two")]
    assert {each["OMP_NUM_THREADS"] for each in seen} == {"1"}
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "workers"),
    [
        (("-n", "1"), {"gw0"}),
        (("-n", "0"), {None}),
        (("-p", "no:xdist"), {None}),
        (("--benchmark-enable",), {None}),
        (("tests/test_one.py", "tests/test_two.py"), {None}),
    ],
    ids=["one", "none", "no xdist", "benchmarks", "by name"],
)
def test_something_else_than_two_workers_can_be_asked(project, arguments, workers):
    project.runpytest_subprocess(*arguments).assert_outcomes(passed=2)
    assert {each.get("PYTEST_XDIST_WORKER") for each in environments(project)} == workers


@pytest.mark.slow
def test_tests_run_on_two_workers_and_those_of_a_file_on_one(project):
    for name in ("three", "four", "five"):
        (project.path / "tests" / f"test_{name}.py").write_text(FOUR.format(name=name))
    project.runpytest_subprocess().assert_outcomes(passed=14)
    assert {each["PYTEST_XDIST_WORKER"] for each in environments(project)} <= {"gw0", "gw1"}
    workers = [(project.path / "seen" / name).read_text().split() for name in ("three", "four", "five")]
    assert [len(each) for each in workers] == [4, 4, 4]
    assert all(len(set(each)) == 1 for each in workers)
    assert {each[0] for each in workers} == {"gw0", "gw1"}
