"""The command line end to end: a small real network, pictures on disk, goldens, verdicts, exit codes."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from forbidden import forbid
from PIL import Image

from xai_eval.cli import main
from xai_eval.golden import Goldens
from xai_eval.lock import LOCK_FILE

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    class_names = ("cold", "warm", "green")

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 7, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return 3 + self.head(self.features(x).mean((2, 3)))

def net(): return Net(0)
def retrained(): return Net(1)

class Bad(Net):
    def __init__(self, change):
        super().__init__(0)
        self.change = change

    def forward(self, x):
        return self.change(super().forward(x))

class Raises(Net):
    # Fails as it is told, but not on the picture of zeros that the layer is looked for with.

    def __init__(self, error, after=0):
        super().__init__(0)
        self.error, self.left = error, after

    def forward(self, x):
        if x.abs().sum() > 0:
            self.left -= 1
            if self.left < 0:
                raise self.error
        return super().forward(x)

def raises_key(): return Raises(KeyError("boom"))
def raises_assertion(): return Raises(AssertionError("boom"))
def raises_without_text(): return Raises(RuntimeError())
def raises_memory(): return Raises(MemoryError())
def exits(): return Raises(SystemExit(0))
def raises_late(): return Raises(RuntimeError("boom\\nmore"), after=7)

def returns_nan(): return Bad(lambda y: y * float("nan"))
def returns_tuple(): return Bad(lambda y: (y, y))
def returns_map(): return Bad(lambda y: y[:, :, None, None])
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two pictures and a model, and the working directory in it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(FACTORY)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        pixels = rng.integers(0, 256, size=(12, 16, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path


def run(*arguments, model="net", images="photos"):
    return main(["run", "cams", "--quiet", "--model", f"file:nets.py:{model}", "--images", images, *arguments])


def accept_all(reason="first"):
    return main(["accept", "--all", "--reason", reason])


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
    assert "The model state: weights of " in out


def test_run_leaves_page_tables_figures_and_verdicts(place):
    run("--methods", "gradcam")
    out = place / "reports"
    assert (out / "index.html").stat().st_size > 1000
    assert list((out / "figures").glob("*_vis_*.png"))
    assert list((out / "tables").glob("*.csv")) and list((out / "tables").glob("*.md"))
    assert json.loads((out / "verdicts.json").read_text())["schema"] == 3


def test_a_run_that_ends_early_leaves_no_report_of_the_run_before(place):
    run("--methods", "gradcam")
    assert run(model="raises_late") == 3
    left = {path.name for path in (place / "reports").rglob("*") if path.is_file()}
    assert left <= {"run.json", "result.json", "arrays.npz"}


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


def test_a_picture_that_is_gone_is_unused_until_pruned(place):
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
        "one.png names no class",
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
    "truncated picture": ("photos/cut.png", "cut.png"),
    "text as picture": ("notes.txt", "notes.txt"),
}


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_an_unavailable_input_exits_with_3_and_loses_nothing(place, capsys, name):
    run()
    before = {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()}
    (place / "empty").mkdir()
    (place / "notes.txt").write_text("no picture")
    (place / "photos" / "cut.png").write_bytes((place / "photos" / "one.png").read_bytes()[:200])
    images, words = UNAVAILABLE[name]
    capsys.readouterr()
    assert run(images=images) == 3
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("model, words", [("returns_nan", "NaN"), ("returns_tuple", "tuple"), ("returns_map", "shape")])
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

        def fail(*_, error=wrong):
            raise error

        monkeypatch.setattr("xai_eval.cli.judge_run", fail)
        assert main(["check"]) == 3
        error = capsys.readouterr().err
        assert "Traceback" in error
        assert words in error.splitlines()[-1]


def test_a_run_records_a_failure_that_nobody_foresaw(place, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("nobody knew")

    monkeypatch.setattr("xai_eval.tasks.cams._map_fields", fail)
    assert run() == 3
    record = json.loads((place / "reports" / "run.json").read_text())
    assert record["failures"] == {"photos": "ZeroDivisionError: nobody knew"}
    assert not record["finished"]


def test_a_run_that_failed_in_the_middle_does_not_pass_for_whole(place, capsys):
    run()
    accept_all()
    Image.new("RGB", (240, 320)).save(place / "photos" / "zero.png")
    blind = FACTORY.replace("return 3 + ", "if x.mean() < -1.5: x = x * float('nan')\n        return 3 + ")
    (place / "nets.py").write_text(blind)
    capsys.readouterr()
    assert run() == 3
    assert "NaN" in capsys.readouterr().err
    assert len(list((place / "reports" / "results").glob("*/*"))) == 2
    assert main(["check"]) == 1
    assert "NaN" in capsys.readouterr().out
    assert accept_all() == 2


@pytest.mark.parametrize("wrong", [("--layer", "head"), ("--seed", "-1"), ("--methods", "gradcam", "gradcam")])
def test_a_request_that_is_refused_keeps_the_results_of_the_last_run(place, capsys, wrong):
    run()
    before = {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert run(*wrong) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {p: p.read_bytes() for p in (place / "reports").rglob("*") if p.is_file()} == before


FOLDERS = {
    "--out": (run, ("--out", "private")),
    "below --out": (run, ("--out", "private/x")),
    "long --out": (run, ("--out", "n" * 300)),
    "--golden of a run": (run, ("--golden", "private/golden")),
    "--golden": (main, (["check", "--golden", "private"],)),
    "--golden of prune": (main, (["prune", "--golden", "private"],)),
    "--golden of accept": (main, (["accept", "--all", "--reason", "x", "--golden", "private"],)),
    "results": (main, (["check", "private"],)),
    "long results": (main, (["check", "n" * 300],)),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_cannot_be_looked_into_is_neither_empty_nor_drift(place, capsys, monkeypatch, name):
    run()
    (place / "private").mkdir()
    capsys.readouterr()
    command, arguments = FOLDERS[name]
    forbid(monkeypatch, place / "private")
    assert command(*arguments) == 3
    error = capsys.readouterr().err
    assert "permission is denied" in error or "n" * 300 in error
    assert error.count("\n") == 1


def test_a_file_in_place_of_the_goldens_is_refused_before_anything_is_measured(place, capsys):
    (place / "gfile").write_text("")
    assert run("--golden", "gfile") == 2
    assert not (place / "reports").exists()
    run()
    for command in (["check"], ["prune"], ["accept", "--all", "--reason", "x"], ["report"]):
        capsys.readouterr()
        assert main([*command, "--golden", "gfile"]) == 2
        assert "--golden gfile is a file; expected the folder of goldens" in capsys.readouterr().err


def test_one_hostile_golden_does_not_stop_the_others(place, capsys):
    run()
    accept_all()
    first = min((place / "golden").rglob("result.json"))
    first.write_text("[" * 200_000)
    capsys.readouterr()
    assert main(["check"]) == 1
    assert "2 cases: 1 ok, 1 error" in capsys.readouterr().out


def cut_short(results):
    """Leave a report folder as a kill leaves it after that many results."""
    folder = Path("reports")
    for place in sorted((folder / "results").glob("*/*"))[results:]:
        shutil.rmtree(place)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "finished": False}))


@pytest.mark.parametrize("results, code", [(1, 1), (0, 3)])
def test_a_killed_run_neither_passes_nor_costs_goldens(place, capsys, results, code):
    run("--methods", "gradcam")
    accept_all()
    cut_short(results)
    capsys.readouterr()
    assert main(["check"]) == code
    assert f"{results} of 2 planned cases measured, and the run did not finish" in capsys.readouterr().out
    assert main(["prune"]) == 2
    assert "the run is incomplete" in capsys.readouterr().err
    assert len(list((place / "golden").glob("*/*"))) == 2


def test_a_killed_run_does_not_pass_a_comparison(place):
    run("--methods", "gradcam", "--out", "whole")
    run("--methods", "gradcam")
    cut_short(1)
    assert main(["diff", "whole", "reports"]) == main(["diff", "reports", "whole"]) == 1
    cut_short(0)
    assert main(["diff", "whole", "reports"]) == 3


def test_a_task_named_twice_runs_once(place):
    spec = ["--model", "file:nets.py:net", "--images", "photos", "--methods", "gradcam"]
    assert main(["run", "cams", "cams", "--quiet", *spec]) == 0
    assert json.loads((place / "reports" / "run.json").read_text())["planned"] == 2


def test_results_of_somebody_else_are_left_alone(place, capsys):
    (place / "reports" / "results").mkdir(parents=True)
    (place / "reports" / "results" / "thesis.txt").write_text("ten years of work")
    assert run() == 3
    assert "was not written by xai-eval" in capsys.readouterr().err
    assert (place / "reports" / "results" / "thesis.txt").read_text() == "ten years of work"


@pytest.mark.parametrize("record", ["{}", "[]", "no json"])
def test_a_file_that_is_no_record_of_a_run_vouches_for_nothing(place, capsys, record):
    mine = place / "reports" / "results" / "mine" / "one" / "result.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("ten years of work")
    (place / "reports" / "run.json").write_text(record)
    assert run() == 3
    assert "was not written by xai-eval" in capsys.readouterr().err
    assert mine.read_text() == "ten years of work"


def test_a_run_removes_no_file_that_lies_beside_its_results(place, capsys):
    run("--methods", "gradcam")
    before = sorted((place / "reports").rglob("*"))
    mine = next((place / "reports" / "results").glob("cams/*")) / "weights.pt"
    mine.write_text("ten years of work")
    assert run() == 3
    assert f"{mine.relative_to(place)} was not written by xai-eval" in capsys.readouterr().err
    assert sorted((place / "reports").rglob("*")) == sorted([*before, mine])


def test_a_folder_in_use_is_refused_until_its_process_is_gone(place, capsys):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock = place / "reports" / LOCK_FILE
    lock.parent.mkdir()
    lock.write_text(f"{other.pid} {platform.node()}")
    assert run("--methods", "gradcam") == 2
    assert f"reports is in use by process {other.pid} on" in capsys.readouterr().err
    assert not (place / "reports" / "results").exists()
    other.communicate()
    assert run("--methods", "gradcam") == 0
    assert not lock.exists()


def test_a_run_that_fails_gives_its_folder_back(place):
    assert run(model="returns_nan") == 3
    assert not (place / "reports" / LOCK_FILE).exists()


def test_an_output_folder_that_cannot_be_written_is_named(place, capsys):
    (place / "file").write_text("")
    assert run("--out", "file") == 3
    error = capsys.readouterr().err
    assert "cannot write into file" in error and error.count("\n") == 1


def test_accept_under_ci_is_refused(place, capsys, monkeypatch):
    run()
    monkeypatch.setenv("CI", "true")
    assert accept_all() == 2
    assert not (place / "golden").exists()


def test_check_without_a_run_says_what_to_do(place, capsys):
    assert main(["check"]) == 3
    assert "Run `xai-eval run --out reports` first" in capsys.readouterr().err


def test_a_parameter_of_no_task_is_refused(place, capsys):
    from xai_eval.tasks import _TASKS, task

    @task("paramless")
    def paramless(classifier, images):
        """Do nothing."""
        yield from ()

    try:
        assert main(["run", "paramless", "--layer", "x"]) == 2
        assert "--layer is no parameter of paramless" in capsys.readouterr().err
    finally:
        del _TASKS["paramless"]


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


def test_options_that_do_not_exist_exit_with_2():
    with pytest.raises(SystemExit) as stop:
        main(["run", "--nonsense"])
    assert stop.value.code == 2


@pytest.mark.slow
def test_a_killed_run_never_leaves_a_half_written_result(place):
    """SIGKILL at ten moments: what is on disk afterwards is whole or not there, and the next run is ok."""
    run()
    accept_all()
    command = [
        sys.executable,
        "-m",
        "xai_eval",
        "run",
        "cams",
        "--quiet",
        "--model",
        "file:nets.py:net",
        "--images",
        "photos",
    ]
    for moment in np.linspace(1.0, 6.0, 10):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(float(moment))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _, errors = Goldens(place / "reports" / "results").load_all()
        assert errors == {}
    assert run() == 0
    assert main(["check"]) == 0
