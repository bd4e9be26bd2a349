"""A golden describes, it never decides: no forged file turns a red check green. Needs no torch."""

import re
import shutil

import pytest
from faults.forged_goldens import FORGERIES
from faults.forgery import DRIFTS, write_goldens, write_run

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
def honest(tmp_path_factory):
    """Goldens as they should be, and a run for each drift."""
    folder = tmp_path_factory.mktemp("honest")
    write_goldens(folder)
    for drift in DRIFTS:
        write_run(folder / drift, drift)
    return folder


def copied(honest, drift, folder):
    """A repository in which this drift happened."""
    shutil.copytree(honest / "golden", folder / "golden")
    shutil.copytree(honest / drift / "run", folder / "run")
    return folder


@pytest.mark.parametrize("drift", DRIFTS)
def test_each_drift_is_seen_before_anything_is_forged(honest, tmp_path, drift):
    failed, told = check(copied(honest, drift, tmp_path / "repository"))
    assert failed == (drift != "none"), told


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forged_golden_hides_no_drift(honest, tmp_path, forgery):
    folder = copied(honest, forgery.drift, tmp_path / "forged")
    forgery.act(folder)
    failed, told = check(folder)
    assert failed, "the check is green"
    assert re.search(forgery.seen, told, re.DOTALL), told


def test_the_catalogue_has_no_row_twice():
    names = [forgery.name for forgery in FORGERIES]
    assert len(names) == len(set(names)) >= 25
