"""The command line end to end: a small real network, images on disk, goldens, verdicts, exit codes."""

import json
import shutil

import pytest
from cli_runs import accept_all, run

from xai_eval.cli.main import main
from xai_eval.report.page import shown_cases


def test_run_accept_run_check_is_ok(place, capsys):
    assert run() == 0
    assert main(["check"]) == 1
    assert accept_all() == 0
    assert run() == 0
    assert main(["check"]) == 0
    assert "2 cases: 2 ok" in capsys.readouterr().out


def test_another_model_is_a_drift_that_names_the_weights(place, capsys):
    run()
    accept_all()
    assert run(model="retrained") == 1
    capsys.readouterr()
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "drift" in out
    assert "model file:nets.py:net -> file:nets.py:retrained, weights " in out
    assert "The change begins at the model weights of " in out


def test_run_leaves_page_tables_figures_and_verdicts(place, monkeypatch):
    monkeypatch.setattr(shown_cases, "FIGURES", 2)
    run("--methods", "gradcam")
    out = place / "reports"
    assert (out / "index.html").stat().st_size > 1000
    assert len(list((out / "figures").glob("*_vis_*.png"))) == 2
    assert list((out / "tables").glob("*.csv")) and list((out / "tables").glob("*.md"))
    assert json.loads((out / "verdicts.json").read_text())["schema"] == 5


def test_a_run_that_ends_early_leaves_no_report_of_the_run_before(place):
    run("--methods", "gradcam")
    assert run(model="raises_late") == 3
    left = {path.name for path in (place / "reports").rglob("*") if path.is_file()}
    assert left <= {"run.json", "result.json", "made_from.json", "arrays.safetensors.gz"}


@pytest.mark.parametrize("model, code, counts", [("net", 3, "2 cases: 2 ok"), ("retrained", 1, "2 cases: 2 drift")])
def test_verdicts_are_told_where_no_page_can_be_written(place, capsys, model, code, counts):
    run("--methods", "gradcam")
    accept_all()
    shutil.rmtree(place / "reports")
    (place / "reports" / "index.html").mkdir(parents=True)
    capsys.readouterr()
    assert run("--methods", "gradcam", model=model) == main(["check"]) == code
    told = capsys.readouterr()
    assert told.out.count(counts) == 2
    assert told.err.count("the report could not be written") == 2


def test_json_is_all_that_is_printed(place, capsys):
    run("--json")
    document = json.loads(capsys.readouterr().out)
    assert {v["state"] for v in document["verdicts"]} == {"missing"}


def test_two_runs_are_compared(place, capsys):
    run("--out", "a")
    run("--out", "b")
    run("--out", "c", model="retrained")
    assert main(["diff", "a", "b"]) == 0
    assert main(["diff", "a", "c"]) == 1
    assert main(["diff", "a", "nowhere"]) == 3
    assert main(["diff", "nowhere", "a"]) == 3


def test_an_image_that_is_gone_is_unused_until_pruned(place):
    run()
    accept_all()
    (place / "photos" / "two.png").unlink()
    assert run() == 0
    assert main(["check"]) == 1
    assert main(["prune", "--dry-run"]) == 0
    assert main(["check"]) == 1
    assert main(["prune"]) == 0
    assert main(["check"]) == 0


def test_one_file_of_a_folder_is_held_against_its_golden_and_the_rest_is_not_unused(place):
    run()
    accept_all()
    assert run(images="photos/two.png") == 0
    assert main(["check"]) == 0


def test_other_parameters_are_incomparable(place, capsys):
    run()
    accept_all()
    assert run("--methods", "gradcam") == 1
    assert "incomparable" in capsys.readouterr().out


def test_a_new_run_replaces_the_results_of_the_last(place):
    run()
    (place / "photos" / "two.png").unlink()
    run()
    assert len(list((place / "reports" / "results").glob("*/*"))) == 1


def test_progress_goes_to_stderr(place, capsys):
    main(["run", "cams", "--model", "file:nets.py:net", "--images", "photos"])
    captured = capsys.readouterr()
    assert "cams: 100%" in captured.err
    assert "%" not in captured.out.split("page:")[0].split("missing")[0]


def test_what_is_assumed_of_a_model_is_told_once_and_not_if_the_run_is_to_be_quiet(place, capsys):
    both = ["run", "cams", "lime", "--model", "file:nets.py:net", "--images", "photos/one.png", "--num-samples", "20"]
    fast = ["--seeds", "2", "--segmentation", "slic", "--segmentation-parameters", "n_segments=8"]
    assert main([*both, *fast]) == 0
    assert capsys.readouterr().err.count("does not say how its images are prepared") == 1
    assert main([*both, *fast, "--quiet"]) == 0
    assert "does not say how its images are prepared" not in capsys.readouterr().err


def test_a_task_named_twice_runs_once(place):
    spec = ["--model", "file:nets.py:net", "--images", "photos", "--methods", "gradcam"]
    assert main(["run", "cams", "cams", "--quiet", *spec]) == 0
    assert json.loads((place / "reports" / "run.json").read_text())["planned"] == 2


def test_list_names_tasks_and_parameters(capsys):
    assert main(["list", "--json"]) == 0
    (cams,) = [each for each in json.loads(capsys.readouterr().out) if each["task"] == "cams"]
    assert cams["model"] == "scenes:objects"
    assert {"methods", "target", "layer"} <= set(cams["parameters"])


def test_version_and_help_exit_with_0(capsys):
    for arguments in (["--version"], ["--help"], ["run", "--help"], ["check", "--help"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
    assert "exit codes" in capsys.readouterr().out
