"""The page on an explainer of one's own is what it says it is: its code and its commands, as they stand there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xai_eval.cli.main import main

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "own-explainer.md"
FEW = ["--images", "scenes:1"]


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    return [shlex.split(line)[1:] for block in blocks("console") for line in block.splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    """A folder with the file of the page, and the working directory in it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(blocks("python")[0])
    return tmp_path


def test_the_commands_of_the_page_end_with_an_ok_and_a_change_of_the_file_is_noticed(place, capsys):
    first, accepted, again, checked = commands()
    assert [each[0] for each in (first, accepted, again, checked)] == ["run", "accept", "run", "check"]
    assert main([*first, *FEW]) == 0
    assert main(accepted) == 0
    assert main([*again, *FEW]) == 0
    assert main(checked) == 0
    assert "1 case: 1 ok" in capsys.readouterr().out

    Path("mine.py").write_text(blocks("python")[0].replace("batch.grad *", "-batch.grad *"))
    assert main([*again, *FEW, "--quiet"]) == 1
    (verdict,) = json.loads((place / "reports" / "verdicts.json").read_text())["verdicts"]
    assert verdict["state"] == "drift" and verdict["origin"]["stage"] == "attribution of my_map"
    assert {finding["field"] for finding in verdict["findings"]} == {"my_map", "table"}
    assert "file:mine.py:my_map" in json.dumps(verdict["changes"])
    capsys.readouterr()
    assert main(["explain-drift", "scene-00", "--methods", "file:mine.py:my_map"]) == 0
    assert "Not restored, because that is not possible here: file:mine.py:my_map" in capsys.readouterr().out


def test_the_map_of_the_page_is_gradient_times_input(place):
    import captum.attr
    import torch
    from PIL import Image

    from xai_eval import evaluate, load_images, load_model

    model, images = load_model("scenes:objects", device="cpu"), load_images("scenes:1")
    (result,) = evaluate("attributions", model=model, images=images, methods=["file:mine.py:my_map"])
    batch = model.preprocess(Image.fromarray(images.images[0].pixels))[None].requires_grad_()
    target = int(model.module(batch).argmax())
    found = captum.attr.InputXGradient(model.module).attribute(batch, target=target).sum(1).detach()
    expected = torch.nn.functional.avg_pool2d(found, 5, stride=1, padding=2)[0].numpy()
    np.testing.assert_allclose(result["my_map"].array, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_test_of_the_page_passes(place):
    methods = ["--methods", "integrated_gradients", "file:mine.py:my_map"]
    assert main(["run", "attributions", *methods, *FEW, "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first"]) == 0
    code = blocks("python")[1].replace('"attributions",', '"attributions", images="scenes:1",')
    Path("test_mine.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 case: 1 ok" in done.stdout
