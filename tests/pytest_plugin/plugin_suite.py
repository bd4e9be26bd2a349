"""Tests of a user's own repository, for tests of the plugin."""

from pathlib import Path

import pytest

from xai_eval.cli.main import main
from xai_eval.store.goldens import Goldens

TESTS = str(Path(__file__).parents[1])

# What a user's test would get from `evaluate`, made by hand so that no model has to run.
SUITE = """
import os, sys
sys.path.insert(0, {tests!r})
import pytest
from synthetic import blob, make_result

NAMES = [f"image-{{i}}.jpg" for i in range({count})]

@pytest.mark.xai
@pytest.mark.parametrize("name", NAMES)
def test_explanation(name, xai_golden):
    spot = blob(150, 40) if os.environ.get("MOVED") == name else blob(80, 120)
    xai_golden.check(make_result(name, saliency=spot))
"""


# The same in few words, for what does not need ten cases.
HEADER = f"""
import sys
sys.path.insert(0, {TESTS!r})
import pytest
from synthetic import make_result
"""


ONE_CASE = HEADER + "def test_{name}(xai_golden): xai_golden.check(make_result('{name}.jpg'))\n"


# Workers take seconds to start, so that what needs them runs among the slow tests; test_two_tests_on_two_workers stays.
with_and_without_xdist = pytest.mark.parametrize(
    "arguments",
    [pytest.param(("-n", "2"), id="xdist", marks=pytest.mark.slow), pytest.param(("-p", "no:xdist"), id="no xdist")],
    indirect=True,
)


def accept(repo, *arguments):
    """Accept in this process: a new one would import pandas again."""
    assert Path.cwd() == repo.path
    return main(["accept", *(arguments or ("--all",)), "--reason", "looked"])


def stored(repo):
    return sorted(result.case.input for result in Goldens(repo.path / "golden").load_all()[0].values())
