"""Noise is kept with the goldens, by `calibrate` alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic import blob, make_result

from xai_eval.cli.main import main
from xai_eval.errors import UsageError
from xai_eval.gate.accept import accept, store_noise
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.tolerance_fit import Fit
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Score
from xai_eval.store.goldens import Goldens
from xai_eval.store.noise import NOISE_FILE, Noise
from xai_eval.store.runs import RunRecord


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def goldens(tmp_path):
    return Goldens(tmp_path / "golden")


def noise(floor=0.0003):
    return Noise("", {"gradcam": {"largest difference": {"float64": floor}}})


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_run(folder, *results):
    for result in results:
        result.save(folder / "results" / result.case.key)
    RunRecord(("cams",), (results[0].case.model,), ("photos",), len(results), finished=True).save(folder)
    return folder


def test_noise_of_a_golden_is_stored_beside_it_and_nothing_else_changes(goldens):
    known, unknown = make_result("a.jpg"), make_result("b.jpg")
    place = goldens.store(known, "looked")
    before = files(goldens.folder)
    outcome = store_noise([(known, noise()), (unknown, noise())], goldens)
    assert (outcome.stored, outcome.without_golden, outcome.drifted) == ((known.case.key,), (unknown.case.key,), ())
    after = files(goldens.folder)
    assert set(after) - set(before) == {(place / NOISE_FILE).relative_to(goldens.folder)}
    assert {name: after[name] for name in before} == before
    assert Noise.load(place).golden == known.condensed().digest


def test_noise_of_what_drifted_is_not_stored(goldens):
    place = goldens.store(make_result(), "looked")
    outcome = store_noise([(make_result(saliency=blob(150, 40)), noise())], goldens)
    assert outcome.stored == () and [v.state for v in outcome.drifted] == [State.DRIFT]
    assert not (place / NOISE_FILE).exists()


@pytest.mark.parametrize("value", ["true", "1"])
def test_it_is_refused_under_ci(goldens, monkeypatch, value):
    place = goldens.store(make_result(), "looked")
    monkeypatch.setenv("CI", value)
    with pytest.raises(UsageError, match="calibrating is refused in a CI"):
        store_noise([(make_result(), noise())], goldens)
    assert not (place / NOISE_FILE).exists()
    assert main(["calibrate", "cams", "--golden", str(goldens.folder)]) == 2


def test_misfits_are_told_when_they_are_measured(goldens):
    goldens.store(make_result(), "looked")
    outcome = store_noise([(make_result(), noise(0.1))], goldens)
    assert [note.fit for note in outcome.run_findings.misfits] == [Fit.TOO_TIGHT]


def test_check_uses_noise_names_stale_noise_and_goes_on_without_broken_noise(tmp_path, goldens):
    place = goldens.store(make_result(), "looked")
    store_noise([(make_result(), noise(0.1))], goldens)
    run = write_run(tmp_path / "run", make_result())
    run_findings = judge_run(run, goldens).run_findings
    assert [note.fit for note in run_findings.misfits] == [Fit.TOO_TIGHT] and run_findings.unusable == ()

    replaced = write_run(tmp_path / "second", make_result(saliency=blob(150, 40)))
    accept(judge_run(replaced, goldens), goldens, [], everything=True, reason="retrained")
    run_findings = judge_run(replaced, goldens).run_findings
    assert run_findings.tolerances == ()
    (sentence,) = run_findings.unusable
    assert "was measured for a golden that has been replaced since" in sentence and make_result().case.key in sentence

    (place / NOISE_FILE).write_text("{")
    run_findings = judge_run(replaced, goldens).run_findings
    assert run_findings.tolerances == () and "is not valid noise" in run_findings.unusable[0]
    assert [v.state for v in judge_run(replaced, goldens).verdicts] == [State.OK]


def shifted_run(folder, goldens, by):
    rng = np.random.default_rng(0)
    for index, value in enumerate(rng.random(12)):
        goldens.store(make_result(f"{index}.jpg", fields={"energy": Score(value, 0.1)}), "looked")
    rng = np.random.default_rng(0)
    moved = [make_result(f"{i}.jpg", fields={"energy": Score(v + by, 0.1)}) for i, v in enumerate(rng.random(12))]
    return write_run(folder, *moved)


def test_check_fails_on_a_systemic_shift_alone_and_says_so_everywhere(tmp_path, goldens, capsys):
    run = shifted_run(tmp_path / "run", goldens, 0.04)
    assert main(["check", str(run), "--golden", str(goldens.folder)]) == 1
    printed = capsys.readouterr().out
    assert "systemic  energy of cams" in printed and "12 cases: 12 ok" in printed
    document = json.loads((run / "verdicts.json").read_text())
    assert document["failed"] is True
    (told,) = document["systemic"]
    assert (told["what"], told["one_way"], told["cases"]) == ("energy", 12, 12)
    page = (run / "index.html").read_text()
    assert "Systemic" in page and "energy of cams" in page


def test_check_is_content_with_rounding_in_one_direction(tmp_path, goldens):
    run = shifted_run(tmp_path / "run", goldens, 1e-7)
    assert main(["check", str(run), "--golden", str(goldens.folder)]) == 0
    assert json.loads((run / "verdicts.json").read_text())["systemic"] == []


def test_calibrate_stores_noise_and_prints_the_table(tmp_path, capsys):
    golden, out = str(tmp_path / "golden"), str(tmp_path / "run")
    asked = ["cams", "--images", "scenes:1", "--methods", "gradcam", "--device", "cpu", "--golden", golden, "--quiet"]
    assert main(["calibrate", *asked]) == 3
    assert "accept its result, then calibrate again" in capsys.readouterr().out
    assert main(["run", *asked, "--out", out]) == 0
    assert main(["accept", "--all", "--reason", "looked", "--results", out, "--golden", golden]) == 0
    assert main(["run", *asked, "--out", out]) == 0
    assert list((tmp_path / "golden").rglob(NOISE_FILE)) == []  # a run never writes it
    assert main(["calibrate", *asked]) == 0
    printed = capsys.readouterr().out
    assert "| cams | gradcam | largest difference |" in printed and "noise of 1 case stored" in printed
    assert "Grad-CAM of cams on scenes:objects, largest difference: the tolerance 0.02 could be tightened" in printed
    assert len(list((tmp_path / "golden").rglob(NOISE_FILE))) == 1
    assert main(["check", out, "--golden", golden]) == 0
    told = json.loads((Path(out) / "verdicts.json").read_text())["tolerances"]
    assert "could be tightened" not in capsys.readouterr().out and "could be tightened" in told[0]["sentence"]
