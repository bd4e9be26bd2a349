"""Options, help and listings that are made from the signatures of tasks; tasks of one's own on the command line."""

import inspect
import json
import re
from pathlib import Path

import pytest
from cli_runs import run

from xai_eval import evaluate
from xai_eval.cli.main import main
from xai_eval.cli.options import build_parser
from xai_eval.tasks import all_tasks
from xai_eval.tasks.parameters import RESERVED

TASK = """
from typing import Literal
from xai_eval import image_task

@image_task("brightness")
def brightness(subject, *, sign: int = 1, layers: Literal["all", "none"] = "all"):
    \"\"\"Explain by how bright a pixel is.\"\"\"
    return sign * subject.batch.mean(dim=1)[0]
"""
MEASURING = ("run", "calibrate", "explain-drift")


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch):
    """Help breaks its lines at the width of the terminal, also within words that have hyphens."""
    monkeypatch.setenv("COLUMNS", "80")


def lines_of_help(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def help_of(capsys, *words):
    return re.sub(r"\s+", " ", lines_of_help(capsys, *words))


@pytest.fixture
def mine(place, own_tasks):
    """A file with a task of one's own, beside the model and the images."""
    Path("mine.py").write_text(TASK)
    return place


@pytest.mark.parametrize("command", MEASURING)
def test_help_says_what_each_task_takes_and_its_true_defaults(capsys, command):
    text = help_of(capsys, command)
    shared, rest = text.split("parameters of several tasks:")[1].split("parameters of attributions:")
    assert "perturbed images per seed (default of lime and comparison: 1000; of hybrid: 500)" in shared
    assert "(default of lime and comparison: quickshift; of hybrid: slic)" in shared
    assert "(default of attributions: 16; of lime, comparison and hybrid: 10; of dissection: 32)" in shared
    groups = re.findall(r"parameters of (\w+):", rest)
    assert groups == ["lime", "lime_search", "comparison", "dissection"]  # hybrid has none of its own
    for task in all_tasks().values():
        for parameter in task.parameters.values():
            assert parameter.flag in text and parameter.option.help in text
            assert parameter.default_words in text


def test_every_default_of_the_help_is_that_of_the_signature(capsys):
    """Read back from the words of the help, for each task that they name."""
    text = help_of(capsys, "run")
    for task in all_tasks().values():
        for parameter in task.parameters.values():
            about = text.split(f"{parameter.option.help} (default")[1].split(")")[0]
            mine = (
                about
                if about.startswith(":")
                else next(p for p in about.split("; of ") if task.name in p.split(":")[0])
            )
            assert mine.split(": ", 1)[1] == parameter.default_words.split(")")[0], (task.name, parameter.name)


def test_list_names_types_defaults_and_meanings(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"--num-samples N +perturbed images per seed \(default: 500\)", text.split("hybrid:")[1])
    assert main(["list", "--json"]) == 0
    (hybrid,) = [each for each in json.loads(capsys.readouterr().out) if each["task"] == "hybrid"]
    assert hybrid["parameters"]["num_samples"] == {
        "type": "int",
        "default": 500,
        "default_in_words": "500",
        "help": "perturbed images per seed",
    }
    assert hybrid["parameters"]["segmentation"]["choices"] == ["quickshift", "slic", "felzenszwalb", "none"]
    assert hybrid["parameters"]["layer"]["default"] is None
    assert hybrid["parameters"]["layer"]["default_in_words"] == "the last that lies over the image"


WRONG = {
    "text for a number": (["--num-samples", "many"], "--num-samples is 'many'; expected a whole number."),
    "unknown choice": (["--policy", "equal"], "unknown policy 'equal'. Did you mean equal_area?"),
    "no pair": (["--grid", "num_samples"], "--grid: 'num_samples' is not of the form NAME=VALUE."),
    "out of range": (["--shuffles", "-1"], "--shuffles is '-1'; expected a whole number from 0 to 1000."),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_are_checked_before_anything_is_computed(place, capsys, name):
    words, sentence = WRONG[name]
    assert main(["run", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (place / "reports").exists()


def test_a_task_of_ones_own_is_run_listed_and_helped_with(mine, capsys):
    assert "parameters of brightness: --sign N (default: 1)" in help_of(capsys, "run", "--tasks", "mine.py")
    assert main(["list", "--tasks", "mine.py"]) == 0
    assert "brightness: Explain by how bright a pixel is." in capsys.readouterr().out
    words = ["--tasks", "mine.py", "--model", "file:nets.py:net", "--images", "photos", "--sign", "-1", "--quiet"]
    assert main(["run", *words]) == 0
    record = json.loads((mine / "reports" / "run.json").read_text())
    assert record["tasks"] == ["brightness"]
    assert record["requests"]["brightness"]["task_file"] == "mine.py"
    assert record["requests"]["brightness"]["params"] == {"sign": -1}


def test_a_name_that_means_something_else_to_each_task_is_read_as_each_says(mine, capsys):
    words = ["--tasks", "mine.py", "--model", "file:nets.py:net", "--images", "photos", "--quiet"]
    assert main(["run", "brightness", *words, "--layers", "none"]) == 0
    assert main(["run", "brightness", *words, "--layers", "none", "all"]) == 2
    assert "--layers is 'none all'" in capsys.readouterr().err


def test_a_parameter_of_an_unnamed_task_is_refused(mine, capsys):
    assert main(["run", "--tasks", "mine.py", "--num-samples", "3"]) == 2
    assert "--num-samples is no parameter of brightness." in capsys.readouterr().err


def test_reserved_names_are_the_options_of_the_commands_that_measure_and_the_arguments_of_evaluate(capsys):
    parameters = {parameter.flag for task in all_tasks().values() for parameter in task.parameters.values()}
    options = {
        flag for command in MEASURING for flag in re.findall(r"(?m)^  (--[a-z-]+)", lines_of_help(capsys, command))
    }
    arguments = {n for n, each in inspect.signature(evaluate).parameters.items() if each.kind is not each.VAR_KEYWORD}
    own = {flag.removeprefix("--").replace("-", "_") for flag in options - parameters} | {"help"}
    assert own | arguments == RESERVED
    assert build_parser([])  # They are the same without tasks.


@pytest.mark.parametrize("command", [*MEASURING, "list"])
@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_parameter_that_hides_an_option_is_an_error_of_one_sentence(mine, capsys, name, command):
    plain = "from xai_eval import task\n\n@task('brightness')\ndef brightness(model_, images_, *, sign: int = 1): ..."
    Path("mine.py").write_text(plain.replace("sign", name))
    case = ["case"] if command == "explain-drift" else []
    assert main([command, *case, "--tasks", "mine.py"]) == 2
    error = capsys.readouterr().err
    assert f"has a parameter {name}, which is an option" in error and error.count("\n") == 1


def test_a_task_of_the_user_changes_no_option_of_the_bundled_tasks(place, own_tasks, capsys):
    text = TASK.replace("sign: int = 1", "seed: list[int] = (1,)").replace("sign *", "sum(seed) *")
    Path("mine.py").write_text(f"from __future__ import annotations\n{text}")
    words = ["--tasks", "mine.py", "--model", "file:nets.py:net", "--images", "photos", "--quiet"]
    assert main(["run", *words, "--methods", "gradcam", "--seed", "3", "cams"]) == 0
    assert json.loads((place / "reports" / "run.json").read_text())["requests"]["cams"]["params"]["seed"] == 3
    assert main(["run", *words, "--seed", "3", "--seed", "4", "cams"]) == 2
    assert "--seed is '3 4'; expected a whole number." in capsys.readouterr().err
    assert "give it again for another value" in help_of(capsys, "run", "--tasks", "mine.py")


FAULTY = {
    "missing": (None, 3, "mine.py does not exist or is not a file"),
    "import error": ("import nothing_called_so", 3, "No module named 'nothing_called_so'"),
    "no task": ("x = 1", 2, "mine.py registers no task"),
    "name clash": (TASK.replace("brightness", "cams"), 2, "two tasks are named 'cams'"),
    "bad signature": (TASK.replace("sign: int = 1", "sign: bytes = b''"), 2, "which the command line cannot read"),
}


@pytest.mark.parametrize("command", [*MEASURING, "list"])
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_file_is_an_error_of_one_sentence(mine, capsys, name, command):
    text, code, words = FAULTY[name]
    Path("mine.py").unlink() if text is None else Path("mine.py").write_text(text)
    case = ["case"] if command == "explain-drift" else []
    assert main([command, *case, "--tasks", "mine.py"]) == code
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_a_task_whose_file_is_not_named_is_told_to_be(mine, capsys):
    run("--methods", "gradcam")
    assert main(["run", "brightness"]) == 2
    assert "unknown task 'brightness'" in (error := capsys.readouterr().err)
    assert "give its file: --tasks FILE.py" in error


def test_two_files_are_one_after_the_other(mine):
    Path("other.py").write_text(TASK.replace("brightness", "darkness"))
    words = ["--model", "file:nets.py:net", "--images", "photos", "--quiet"]
    assert main(["run", "--tasks", "mine.py", "--tasks", "other.py", *words]) == 0
    record = json.loads((mine / "reports" / "run.json").read_text())
    assert record["tasks"] == ["brightness", "darkness"]
