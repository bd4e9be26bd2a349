"""Repositories of a user, which have the package installed and nothing else."""

from pathlib import Path

# pytester forgets what a run imports. torch cannot be imported twice, nor can parts of matplotlib while others are
# still known; and importing the report anew for each run would take most of the time of these tests.
import pytest
import torch  # noqa: F401
from matplotlib.backends import backend_agg  # noqa: F401
from plugin_suite import ONE_CASE, SUITE, TESTS
from synthetic import make_result

import xai_eval.pytest_plugin.bare_result
import xai_eval.pytest_plugin.session
import xai_eval.pytest_plugin.suite
import xai_eval.report.write
import xai_eval.result.bare.bare_fields
import xai_eval.tasks  # noqa: F401
from xai_eval.store.goldens import Goldens


@pytest.fixture
def repo(pytester, monkeypatch, without_figures):
    """A repository with ten explained images; `accept` is what a person does between two runs."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("MOVED", raising=False)
    pytester.makepyfile(test_suite=SUITE.format(tests=TESTS, count=10))
    return pytester


@pytest.fixture
def nested(repo):
    """Two tests in two folders, and goldens of both."""
    repo.makeini("[pytest]\ntestpaths = tests")
    (repo.path / "test_suite.py").unlink()
    for name in ("upper", "sub/lower"):
        file = repo.path / "tests" / f"{name.replace('/', '/test_') if '/' in name else f'test_{name}'}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ONE_CASE.format(name=Path(name).name))
        Goldens(repo.path / "golden").store(make_result(f"{Path(name).name}.jpg"), "looked")
    return repo


@pytest.fixture
def few_plugins(monkeypatch):
    """Load only the plugins that a session with workers needs: each of its processes imports them anew.

    Sessions without workers, and test_two_tests_on_two_workers, have all that are installed.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist.plugin,xai_eval.pytest_plugin.hooks")


@pytest.fixture
def arguments(request):
    """The arguments of `with_and_without_xdist`."""
    if "-n" in request.param:
        request.getfixturevalue("few_plugins")
    return request.param
