"""What the command line refuses, and models that fail: sentences and exit codes."""

import json

import pytest
from cli_runs import accept_all, run

from xai_eval.cli.main import main

USAGE = {
    "task": (["run", "cam"], "unknown task 'cam'. Did you mean cams?"),
    "model kind": (["run", "cams", "--model", "torchvison:resnet18"], "torchvision"),
    "model": (["run", "cams", "--model", "torchvision:resnet5"], "resnet50"),
    "factory": (["run", "cams", "--model", "file:nets.py:nett"], "net"),
    "layer": (
        ["run", "cams", "--model", "file:nets.py:net", "--images", "photos", "--layer", "feature.2"],
        "features.2",
    ),
    "class": (
        ["run", "cams", "--model", "file:nets.py:net", "--images", "photos", "--target", "warn"],
        "warm",
    ),
    "class index": (
        ["run", "cams", "--model", "file:nets.py:net", "--images", "photos", "--target", "7"],
        "'7'",
    ),
    "method": (["run", "cams", "--methods", "gradcm"], "gradcam"),
    "device": (["run", "cams", "--device", "cudo"], "device 'cudo' is not available"),
    "intended": (
        ["run", "cams", "--model", "file:nets.py:net", "--images", "photos", "--target", "intended"],
        "one.png has no intended class that",
    ),
}


@pytest.mark.parametrize("name", USAGE)
def test_an_unknown_name_is_a_usage_error_with_the_nearest(place, capsys, name):
    arguments, words = USAGE[name]
    assert main([*arguments, "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (place / "out" / "results").exists()


UNAVAILABLE = {
    "missing folder": ("nowhere", "nowhere"),
    "empty folder": ("empty", "empty"),
    "truncated image": ("photos/cut.png", "cut.png"),
    "text as image": ("notes.txt", "notes.txt"),
}


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_an_unavailable_input_exits_with_3_and_loses_nothing(place_after_run, capsys, name):
    place = place_after_run
    before = {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()}
    (place / "empty").mkdir()
    (place / "notes.txt").write_text("no image")
    (place / "photos" / "cut.png").write_bytes((place / "photos" / "one.png").read_bytes()[:200])
    images, words = UNAVAILABLE[name]
    capsys.readouterr()
    assert run(images=images) == 3
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("model, words", [("returns_nan", "NaN"), ("returns_text", "str"), ("returns_class", "int64")])
def test_a_model_that_misbehaves_is_said_to(place, capsys, model, words):
    assert run(model=model) == 3
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


RAISING = {
    "raises_key": "KeyError: 'boom'",
    "raises_assertion": "AssertionError: boom",
    "raises_without_text": "RuntimeError.",
    "raises_memory": "MemoryError",
    "exits": "SystemExit: 0",
    "raises_late": "RuntimeError: boom.",
}


@pytest.mark.parametrize("model", RAISING)
def test_a_model_that_raises_is_named_with_its_first_line(place, capsys, model):
    """Whatever it raises: exit code 1 is for drift, and 0 for success."""
    assert run(model=model) == 3
    error = capsys.readouterr().err
    assert f"file:nets.py:{model} fails" in error and RAISING[model] in error
    assert "(1, 3, 224, 224)" in error and "Traceback" not in error
    assert error.count("\n") == 1


def test_what_nobody_foresaw_is_neither_drift_nor_success(place, capsys, monkeypatch):
    for wrong, words in ((ZeroDivisionError("nobody\nknew"), "ZeroDivisionError: nobody."), (SystemExit(0), "Exit")):

        def fail(*_, error=wrong, **_more):
            raise error

        monkeypatch.setattr("xai_eval.gate.judge_run.judge_run", fail)
        assert main(["check"]) == 3
        error = capsys.readouterr().err
        assert "Traceback" in error
        assert words in error.splitlines()[-1]


def test_a_run_records_a_failure_that_nobody_foresaw(place, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("nobody knew")

    monkeypatch.setattr("xai_eval.tasks.cam_results._map_fields", fail)
    assert run() == 3
    record = json.loads((place / "reports" / "run.json").read_text())
    assert record["failures"] == {"photos": "ZeroDivisionError: nobody knew"}
    assert not record["finished"]


@pytest.mark.parametrize("wrong", [("--layer", "head"), ("--seed", "-1"), ("--methods", "gradcam", "gradcam")])
def test_a_request_that_is_refused_keeps_the_results_of_the_last_run(place_after_run, capsys, wrong):
    place = place_after_run
    before = {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert run(*wrong) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()} == before


def test_accept_under_ci_is_refused(place_after_run, capsys, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert accept_all() == 2
    assert not (place_after_run / "golden").exists()


def test_check_without_a_run_says_what_to_do(place, capsys):
    assert main(["check"]) == 3
    assert "Run `xai-eval run --out reports` first" in capsys.readouterr().err


def test_a_parameter_of_no_task_is_refused(place, capsys):
    from xai_eval.tasks import task
    from xai_eval.tasks.registry import TASKS

    @task("paramless")
    def paramless(classifier, images):
        """Do nothing."""
        yield from ()

    try:
        assert main(["run", "paramless", "--layer", "x"]) == 2
        assert "--layer is no parameter of paramless" in capsys.readouterr().err
    finally:
        del TASKS["paramless"]


def test_options_that_do_not_exist_exit_with_2():
    assert main(["run", "--nonsense"]) == 2


TASKS_WITH_GRADIENTS = {
    "cams": ["--methods", "scorecam", "hirescam"],
    "hybrid": ["--num-samples", "10"],
    "comparison": ["--num-samples", "10"],
}


@pytest.mark.parametrize("task", TASKS_WITH_GRADIENTS)
def test_a_model_without_gradients_is_refused_before_the_last_results_are_removed(place, capsys, task):
    assert run("--methods", "gradcam") == 0
    before = {path: path.read_bytes() for path in place.glob("reports/**/result.json")}
    assert len(before) == 2
    arguments = ["--model", "file:nets.py:detaches", "--images", "photos", *TASKS_WITH_GRADIENTS[task]]
    assert main(["run", task, "--quiet", *arguments]) == 3
    assert "no gradient reaches the explained layer" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in place.glob("reports/**/result.json")} == before


def test_a_model_without_gradients_is_explained_by_methods_that_need_none(place):
    assert run("--methods", "scorecam", "eigencam", model="detaches") == 0
