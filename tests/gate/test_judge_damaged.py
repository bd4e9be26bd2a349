"""Arrays are read when they are compared; what is compared with nothing is read, too, and says that it is damaged."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path

import pytest
from synthetic import make_result

from xai_eval.cli.main import main
from xai_eval.gate.judge_run import judge_by_run, judge_run
from xai_eval.gate.verdict import State
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

FIRST, SECOND = make_result("first.jpg"), make_result("second.jpg")


def write_run(folder: Path, *results) -> Path:
    for result in results:
        result.save(folder / RESULTS_FOLDER / result.case.key)
    RunRecord(("cams",), (FIRST.case.model,), ("photos",), len(results), finished=True).save(folder)
    return folder


def flip(folder: Path, result) -> None:
    """Change one bit of an array, where neither gzip nor safetensors can see it."""
    path = folder / result.case.key / ARRAYS_FILE
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))


def states(judged):
    """States by input; of a result that cannot be read no more is known than its folder."""
    return {verdict.case.input: verdict.state for verdict in judged.verdicts}


def test_a_damaged_result_without_a_golden_is_an_error_and_not_new(tmp_path):
    run = write_run(tmp_path / "run", FIRST, SECOND)
    flip(run / RESULTS_FOLDER, FIRST)
    judged = judge_run(run, Goldens(tmp_path / "golden"))
    assert states(judged) == {FIRST.case.id: State.ERROR, SECOND.case.input: State.MISSING}
    assert judged.broken == (FIRST.case.key,)


def test_a_damaged_result_of_another_experiment_is_an_error(tmp_path):
    run = write_run(tmp_path / "run", make_result("first.jpg", params={"layer": "other"}), SECOND)
    goldens = Goldens(tmp_path / "golden")
    goldens.store(FIRST, "first")
    goldens.store(SECOND, "first")
    other = make_result("first.jpg", params={"layer": "other"})
    assert states(judge_run(run, goldens))[other.case.input] is State.INCOMPARABLE
    flip(run / RESULTS_FOLDER, other)
    judged = judge_run(run, goldens)
    assert states(judged)[other.case.id] is State.ERROR
    assert judged.broken == (other.case.key,)


def test_a_damaged_result_of_a_damaged_golden_counts_as_one_that_cannot_be_read(tmp_path):
    run = write_run(tmp_path / "run", FIRST, SECOND)
    goldens = Goldens(tmp_path / "golden")
    (goldens.store(FIRST, "first") / RESULT_FILE).write_text("")
    goldens.store(SECOND, "first")
    flip(run / RESULTS_FOLDER, FIRST)
    judged = judge_run(run, goldens)
    assert sorted(verdict.state for verdict in judged.verdicts) == [State.ERROR, State.OK]
    assert judged.broken == (FIRST.case.key,)


@pytest.mark.parametrize("obtained", [[FIRST, SECOND], [SECOND]], ids=["compared", "not obtained"])
def test_a_damaged_result_of_the_run_that_is_taken_as_right_is_an_error(tmp_path, obtained):
    run, reference = write_run(tmp_path / "run", *obtained), write_run(tmp_path / "reference", FIRST, SECOND)
    flip(reference / RESULTS_FOLDER, FIRST)
    judged = judge_by_run(run, reference)
    name = FIRST.case.input if FIRST in obtained else FIRST.case.id
    assert states(judged) == {name: State.ERROR, SECOND.case.input: State.OK}


def test_a_case_whose_golden_is_damaged_is_explained_by_no_golden_of_another_model(tmp_path, capsys):
    run = write_run(tmp_path / "run", FIRST)
    goldens = Goldens(tmp_path / "golden")
    (goldens.store(FIRST, "first") / RESULT_FILE).write_text("")
    other = dataclasses.replace(FIRST, case=dataclasses.replace(FIRST.case, model="another"))
    goldens.store(other, "first")
    assert judge_run(run, goldens).pairs == {}
    arguments = ["explain-drift", FIRST.case.key, "--results", str(run), "--golden", str(goldens.folder)]
    assert main(arguments) == 2
    assert f"{FIRST.case.key} was not compared with its golden" in capsys.readouterr().err


def test_a_result_says_which_golden_it_was_judged_by(tmp_path):
    run = write_run(tmp_path / "run", FIRST, SECOND)
    goldens = Goldens(tmp_path / "golden")
    other = dataclasses.replace(FIRST, case=dataclasses.replace(FIRST.case, model="another"))
    for golden in (other, SECOND):
        goldens.store(golden, "first")
    assert judge_run(run, goldens).pairs == {FIRST.case.key: other.case.key, SECOND.case.key: SECOND.case.key}


def test_what_cannot_be_read_is_called_by_the_folder_that_it_lies_in(tmp_path):
    run = write_run(tmp_path / "run", FIRST, SECOND)
    flip(run / RESULTS_FOLDER, FIRST)
    judged = judge_run(run, Goldens(tmp_path / "golden"))
    assert {v.case.key for v in judged.verdicts if v.state is State.ERROR} == {FIRST.case.key}
