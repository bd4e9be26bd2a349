"""A golden describes, it never decides: no forged file turns a red check green. Needs no torch."""

import re
import shutil

import pytest
from faults.forged_goldens import FORGERIES
from faults.forgery import DRIFTS, lose_task, with_another_task, write_goldens, write_run

from xai_eval.errors import StorageError
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.verdict import State
from xai_eval.report.page.page import report_pages
from xai_eval.report.text.summary import run_findings_lines
from xai_eval.report.text.verdicts import verdicts_document
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


def test_a_task_that_was_taken_out_of_the_record_is_told_and_fails_a_check_for_all(honest, tmp_path):
    folder = copied(honest, "none", tmp_path / "repository")
    with_another_task(folder)
    assert check(folder)[0]
    lose_task(folder)
    judged = judge_run(folder / "run", Goldens(folder / "golden"))
    # The record says that only one task was asked for, and nothing in it contradicts that.
    assert not any(verdict.failed for verdict in judged.verdicts)
    [line] = [line for line in run_findings_lines(judged.run_findings) if line.startswith("partial")]
    assert "1 golden was not judged, because the run did not try" in line and "images: 1 of lime. " in line
    document = verdicts_document(judged.verdicts, judged.record, judged.run_findings)
    assert document["not_judged"] == {"left_out": 0, "not_tried": {"lime": 1}}
    page = "".join(report_pages(judged.record, [], folder, folder, judged.run_findings)["index.html"])
    assert "Not judged:</strong> 1 golden was not judged" in page
    whole = judge_run(folder / "run", Goldens(folder / "golden"), complete=())
    assert [(each.case.task, each.state) for each in whole.verdicts if each.failed] == [("lime", State.UNUSED)]


def test_a_task_of_the_suite_without_goldens_is_missed_by_a_check_for_all(honest, tmp_path):
    folder = copied(honest, "none", tmp_path / "repository")
    whole = judge_run(folder / "run", Goldens(folder / "golden"), complete=("cams", "hybrid"))
    [failed] = [each for each in whole.verdicts if each.failed]
    assert "no result of the task hybrid" in failed.reason
    assert not any(v.failed for v in judge_run(folder / "run", Goldens(folder / "golden"), complete=("cams",)).verdicts)


def test_the_catalogue_has_no_row_twice():
    names = [forgery.name for forgery in FORGERIES]
    assert len(names) == len(set(names)) >= 25
