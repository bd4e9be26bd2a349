"""A golden describes, it never decides: no forged file turns a red check green. Needs no torch."""

import re
import shutil

import pytest
from faults.forged_goldens import FORGERIES
from faults.forgery import DRIFTS, write_repository

from xai_eval.errors import StorageError
from xai_eval.gate.judge_run import judge_run
from xai_eval.store.goldens import Goldens


def check(folder):
    """Return whether the check fails, and all that it says."""
    try:
        judged = judge_run(folder / "run", Goldens(folder / "golden"))
    except StorageError as error:
        return True, str(error)
    failed = [verdict for verdict in judged.verdicts if verdict.failed]
    told = [verdict.sentence for verdict in failed]
    told += [f"{finding.sentence}" for verdict in failed for finding in verdict.findings]
    told += [f"systemic: {each.sentence}" for each in judged.run_findings.systemic]
    return bool(failed) or judged.run_findings.failed, "\n".join(told)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """A repository for each drift."""
    folder = tmp_path_factory.mktemp("repositories")
    for drift in DRIFTS:
        write_repository(folder / drift, drift)
    return folder


@pytest.mark.parametrize("drift", DRIFTS)
def test_each_drift_is_seen_before_anything_is_forged(repositories, drift):
    failed, told = check(repositories / drift)
    assert failed == (drift != "none"), told


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forged_golden_hides_no_drift(repositories, tmp_path, forgery):
    shutil.copytree(repositories / forgery.drift, tmp_path / "forged")
    forgery.act(tmp_path / "forged")
    failed, told = check(tmp_path / "forged")
    assert failed, "the check is green"
    assert re.search(forgery.seen, told, re.DOTALL), told


def test_the_catalogue_has_no_row_twice():
    names = [forgery.name for forgery in FORGERIES]
    assert len(names) == len(set(names)) >= 25
