"""The page on writing a task is what it says it is: its code and its commands, as they stand there."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from xai_eval.cli.main import main
from xai_eval.tasks.registry import TASKS

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "write-a-task.md"
FEW = ["--images", "scenes:1"]
MODEL = """
from xai_eval import load_model

def net():
    return load_model("scenes:objects", device="cpu")
"""
RETRAINED = (
    MODEL.replace("    return ", "    mine = ")
    + """
    mine.module.layer4[1].conv2.weight.data.mul_(0.5)
    return type(mine)(mine.name, mine.module, mine.preprocess, mine.class_names)
"""
)


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    return [shlex.split(line)[1:] for block in blocks("console") for line in block.splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch, own_tasks, without_figures):
    """A folder with the file of the page, and the working directory in it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("ig.py").write_text(blocks("python")[0])
    return tmp_path


def run(*arguments):
    return main(["run", "--tasks", "ig.py", *FEW, "--quiet", *arguments])


def test_the_commands_of_the_page_end_with_an_ok(place, capsys):
    first, accepted, again, checked = commands()
    assert [each[0] for each in (first, accepted, again, checked)] == ["run", "accept", "run", "check"]
    assert main([*first, *FEW]) == 0
    assert main(accepted) == 0
    assert main([*again, *FEW]) == 0
    assert main(checked) == 0
    assert "1 case: 1 ok" in capsys.readouterr().out
    record = json.loads((place / "reports" / "run.json").read_text())
    assert record["tasks"] == ["integrated_gradients"], "with --tasks, only the tasks of the file run"


def test_other_weights_are_noticed_and_placed_and_the_printed_command_finds_them(place, capsys):
    Path("nets.py").write_text(MODEL)
    assert run("--model", "file:nets.py:net") == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    Path("nets.py").write_text(RETRAINED)
    assert run("--model", "file:nets.py:net") == 1
    told = capsys.readouterr().out
    verdicts = json.loads((place / "reports" / "verdicts.json").read_text())["verdicts"]
    assert [verdict["state"] for verdict in verdicts] == ["drift"]
    assert {verdict["origin"]["stage"] for verdict in verdicts} == {"model weights of layer4.1"}
    assert {verdict["origin"]["step"] for verdict in verdicts} == {"weights of the model"}

    (printed,) = re.findall("xai-eval (explain-drift .*)", told)
    page = (place / "reports" / "index.html").read_text()
    assert f"xai-eval {printed}" in page and "--tasks ig.py" in printed
    Path("old.py").write_text(MODEL)
    assert main([*shlex.split(printed), "--old-model", "file:old.py:net"]) == 0
    assert "Cause: model." in capsys.readouterr().out
    (accept,) = set(re.findall("xai-eval (accept integrated_gradients/.*?) --reason", page))
    assert main([*shlex.split(accept), "--reason", "retrained"]) == 0


def test_the_explanation_is_captums(place):
    """By the library alone, on the tensor that the model gets."""
    import numpy as np
    from captum.attr import IntegratedGradients
    from PIL import Image

    from xai_eval import evaluate, load_images, load_model
    from xai_eval.tasks import load_task_file

    load_task_file("ig.py")
    model, images = load_model("scenes:objects", device="cpu"), load_images("scenes:1")
    (result,) = evaluate("integrated_gradients", model=model, images=images, steps=7)
    batch = model.preprocess(Image.fromarray(images.images[0].pixels))[None]
    found = IntegratedGradients(model.module).attribute(batch, target=int(model.module(batch).argmax()), n_steps=7)
    raw = found.sum(1)[0].detach().numpy()
    np.testing.assert_allclose(result["integrated_gradients"].array, np.clip(raw, 0, None) / raw.max(), atol=1e-4)
    assert result.case.params["steps"] == 7


def test_the_test_of_the_page_passes_and_its_file_needs_no_option(place, capsys, monkeypatch):
    assert run() == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    code = blocks("python")[1].replace('"integrated_gradients")', '"integrated_gradients", images="scenes:1")')
    Path("test_ig.py").write_text(code)
    TASKS.pop("integrated_gradients")  # as in a new process
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    capsys.readouterr()
    assert pytest.main(["-q", "-p", "no:cacheprovider", "test_ig.py"]) == pytest.ExitCode.OK
    assert "1 case: 1 ok" in capsys.readouterr().out


def test_the_task_is_as_short_as_the_page_promises():
    """At most five places and nine ideas; the page's last paragraph counts them."""
    code = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(code) <= 20
    last = PAGE.read_text().strip().rsplit("\n\n", 1)[1]
    assert last.startswith("Five places:") and "Nine ideas:" in last
