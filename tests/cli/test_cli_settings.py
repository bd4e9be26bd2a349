"""The commands without options, in a repository with a configuration file."""

import json
from pathlib import Path

import pytest
from cli_runs import FACTORY

from xai_eval.cli.main import main

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

SUITE = """
golden = "gold"
reports = "out"
models = ["file:nets.py:net", "file:nets.py:retrained"]
images = "photos"
device = "cpu"

[[suite]]
task = "cams"
methods = ["gradcam"]
layers = ["features.0", "features.2"]

[tolerances.cams]
gradcam = { largest = 0.1 }

[profile.other]
golden = "gold-other"
reports = "out-other"
models = "file:nets.py:retrained"
"""
TASK = """
from dataclasses import dataclass
from typing import ClassVar
from xai_eval import Field, image_task, register

@image_task("brightness")
def brightness(subject, *, sign: int = 1):
    \"\"\"Explain by how bright a pixel is.\"\"\"
    return sign * subject.batch.mean(dim=1)[0]
"""


@pytest.fixture
def configured(place, own_tasks):
    """The folder of `place`, with a suite of two models and two layers."""
    Path("xai_eval.toml").write_text(SUITE)
    return place


def record(folder="out"):
    return json.loads(Path(folder, "run.json").read_text())


def cases(folder="out"):
    found = [json.loads(path.read_text())["case"] for path in Path(folder, "results").glob("*/*/result.json")]
    return sorted((each["model"], each["input"], each["params"].get("layer")) for each in found)


def asked_for(models=("net", "retrained"), layers=("features.0", "features.2"), images=("one.png", "two.png")):
    return sorted(
        (f"file:nets.py:{model}", f"photos/{image}", layer) for model in models for image in images for layer in layers
    )


def test_the_whole_way_needs_no_options(configured, capsys):
    assert main(["run"]) == 0
    assert "the settings of xai_eval.toml are used." in capsys.readouterr().err
    assert cases() == asked_for()
    assert main(["accept", "--all", "--reason", "first"]) == 0
    assert "8 goldens changed in gold" in capsys.readouterr().out
    assert main(["check"]) == 0
    assert main(["report"]) == 0
    assert main(["prune"]) == 0
    assert not Path("golden").exists() and not Path("reports").exists()


def test_noise_is_measured_for_the_whole_suite(configured, capsys):
    Path("xai_eval.toml").write_text(SUITE.replace('"features.0", ', "").replace('"photos"', '"photos/one.png"'))
    assert main(["run", "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    assert main(["calibrate", "--quiet"]) == 0
    assert len(list(Path("gold").glob("cams/*/noise.json"))) == 2
    # The golden is rounded, so a tolerance of zero is exceeded: noise is compared with the tolerances of the file.
    Path("xai_eval.toml").write_text(Path("xai_eval.toml").read_text().replace("0.1", "0.0"))
    capsys.readouterr()
    assert main(["calibrate", "--quiet"]) == 3
    assert "(at most 0 is allowed)" in capsys.readouterr().out


def test_a_command_in_a_folder_below_uses_the_same_file(configured, monkeypatch, capsys):
    below = configured / "docs" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert main(["run", "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    monkeypatch.chdir(configured)
    assert cases() == asked_for()
    assert main(["check"]) == 0
    assert list(below.iterdir()) == []


def test_the_cause_of_a_drift_is_found_for_the_right_model_and_layer(configured, capsys):
    assert main(["run", "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    Path("old.py").write_text(FACTORY)
    Path("nets.py").write_text(FACTORY.replace("return Net(1)", "return Net(2)"))
    assert main(["run", "--quiet"]) == 1
    assert main(["check"]) == 1
    told = capsys.readouterr().out
    assert "8 cases: 4 ok, 4 drift" in told
    assert "xai-eval explain-drift cams/" in told and "--results" not in told and "--golden" not in told
    page = Path("out/index.html").read_text()
    assert "xai-eval accept cams/" in page and "--golden" not in page
    verdicts = json.loads(Path("out/verdicts.json").read_text())["verdicts"]
    drifted = [each["case"] for each in verdicts if each["state"] == "drift"]
    assert len(drifted) == 4
    for key in drifted:
        assert main(["explain-drift", key, "--old-model", "file:old.py:retrained"]) == 0
        assert "Cause: model. With nothing else restored, the case matches its golden." in capsys.readouterr().out


def test_options_win_over_the_file_and_that_is_said(configured, capsys):
    assert main(["run", "--model", "file:nets.py:net", "--layer", "features.2", "--out", "mine", "--golden", "g"]) == 0
    told = capsys.readouterr().err
    assert "xai_eval.toml are used; --model and --layer of the command line in place of what it says." in told
    assert cases("mine") == asked_for(models=["net"], layers=["features.2"])
    assert main(["accept", "--all", "--reason", "first", "--results", "mine", "--golden", "golden"]) == 0
    # The folder is the usual one without a file, so the command has to name it here.
    Path("nets.py").write_text(FACTORY.replace("return Net(0)", "return Net(3)"))
    assert main(["run", "--quiet", "--layer", "features.2", "--out", "mine", "--golden", "golden"]) == 1
    assert "--results mine --golden golden" in capsys.readouterr().out


def test_goldens_of_layers_that_were_left_out_are_not_unused(configured, capsys):
    assert main(["run", "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    assert main(["run", "--quiet", "--layer", "features.2"]) == 0
    assert main(["check"]) == 0
    assert main(["prune", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "0 unused goldens" in told and " kept, because the run did not try all tasks" in told


def test_a_task_without_entries_takes_what_holds_for_the_whole_file(configured, capsys):
    Path("mine.py").write_text(TASK)
    assert main(["run", "--tasks", "mine.py"]) == 0
    assert "it has no suite of" not in capsys.readouterr().err
    assert {(each["model"], each["images"]) for each in record()["requests"].values()} == {
        ("file:nets.py:net", "photos"),
        ("file:nets.py:retrained", "photos"),
    }
    assert main(["run", "brightness", "--tasks", "mine.py", "--sign", "-1"]) == 0
    assert "it has no suite of brightness" in capsys.readouterr().err
    assert {each["params"]["sign"] for each in record()["requests"].values()} == {-1}


def test_tasks_of_the_file_are_known_to_all_commands(configured, capsys):
    Path("mine.py").write_text(TASK)
    Path("xai_eval.toml").write_text('tasks_files = ["mine.py"]\nmodels = "file:nets.py:net"\nimages = "photos"')
    assert main(["list"]) == 0
    assert "brightness: Explain by how bright a pixel is." in capsys.readouterr().out
    assert main(["run", "--quiet", "--sign", "-1"]) == 0
    assert record("reports")["tasks"] == ["brightness"]
    assert main(["accept", "--all", "--reason", "first"]) == 0
    Path("mine.py").write_text("raise RuntimeError('torch is not here')")
    assert main(["check"]) == 0, "to check results, their tasks are not needed"


def test_a_profile_has_values_of_its_own(configured, capsys):
    assert main(["run", "--quiet", "--profile", "other"]) == 0
    assert cases("out-other") == asked_for(models=["retrained"])
    assert main(["accept", "--all", "--reason", "first", "--profile", "other"]) == 0
    assert "4 goldens changed in gold-other" in capsys.readouterr().out
    assert main(["check", "--profile", "other"]) == 0
    assert main(["check", "--profile", "gpu"]) == 2
    assert "unknown profile 'gpu'. Known: other." in capsys.readouterr().err


WRONG = {
    "unknown key": ("models =", "model =", "xai_eval.toml: unknown key 'model'. Did you mean models"),
    "broken file": ("golden =", "golden", "xai_eval.toml is not valid TOML"),
    "unknown parameter": ("methods", "method", "xai_eval.toml, suite 1 (cams): unknown key 'method'."),
    "above its cap": ("0.1", "0.3", "is 0.3, above its cap 0.25"),
    "missing model": (
        "nets.py:net",
        "netz.py:net",
        "suite 1 (cams), model file:netz.py:net, images photos: netz.py does",
    ),
    "model that misbehaves": ("retrained", "returns_text", "suite 1 (cams), model file:nets.py:returns_text, images"),
    "missing images": ('"photos"', '"fotos"', "xai_eval.toml, suite 1 (cams), model file:nets.py:net, images fotos: "),
    "unknown layer": ("features.2", "features.7", "unknown layer"),
    "duplicate": ("features.2", "features.0", "xai_eval.toml, suite 1 (cams): asked for twice: cams, model file"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_the_file_leaves_the_last_run_as_it_is(configured, capsys, name):
    before, after, sentence = WRONG[name]
    assert main(["run", "--quiet"]) == 0
    written = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")}
    text = SUITE.split("[profile")[0]
    assert before in text
    Path("xai_eval.toml").write_text(text.replace(before, after))
    capsys.readouterr()
    assert main(["run", "--quiet"]) in (2, 3)
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")} == written


def test_several_models_images_and_layers_need_no_file(place, capsys):
    words = ["--model", "file:nets.py:net", "--model", "file:nets.py:retrained", "--images", "photos"]
    words += ["--layer", "features.0", "--layer", "features.2", "--methods", "gradcam"]
    assert main(["run", "cams", "--quiet", *words]) == 0
    assert cases("reports") == asked_for()
    assert main(["run", "cams", "--quiet", *words, "--images", "photos"]) == 2
    assert "asked for twice: cams, model file:nets.py:net, images photos" in capsys.readouterr().err
    assert main(["run", "cams", "--quiet", *words[2:6], "--images", "photos/one.png", "--methods", "gradcam"]) == 2
    assert "is the case of two requests" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--model", "--images"])
def test_explaining_a_drift_takes_one_model_and_one_image_set(place, capsys, name):
    with pytest.raises(SystemExit) as stop:
        main(["explain-drift", "case", name, "a", name, "b"])
    assert stop.value.code == 2
    assert f"{name} is given twice" in capsys.readouterr().err


def test_explaining_a_drift_takes_one_layer(configured, capsys):
    assert main(["run", "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    key = next(path.parent for path in Path("out/results").glob("*/*/result.json"))
    words = ["--layer", "features.0", "--layer", "features.2"]
    assert main(["explain-drift", f"cams/{key.name}", *words]) == 2
    assert "--layer is given 2 times, but a case has one layer" in capsys.readouterr().err
