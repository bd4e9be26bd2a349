"""Commands in the output of pytest can be pasted as they stand: each is a piece of one line, and is understood."""

import re
import shlex

import pytest
import torchvision  # noqa: F401 (before pytester, which forgets what its tests imported: torch cannot be loaded twice)

from xai_eval.cli.main import main
from xai_eval.cli.options import build_parser

pytestmark = pytest.mark.slow  # it explains three times

SUITE = """
models = ["{model}"]
images = ["scenes:1"]
reports = "what was; run"
[[suite]]
task = "cams"
methods = ["gradcam"]
"""
NETS = """
from xai_eval import load_model

def net():
    mine = load_model("scenes:objects", device="cpu")
    mine.module.layer4[1].conv2.weight.data.mul_({factor})
    return type(mine)(mine.name, mine.module, mine.preprocess, mine.class_names)
"""


def printed(result):
    return [found[0] for line in result.outlines if (found := re.search("xai-eval [a-z-]+ .*", line))]


def test_each_command_that_pytest_prints_is_taken(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    pytester.path.joinpath("xai_eval.toml").write_text(SUITE.format(model="file:my nets.py:net"))
    pytester.makepyfile(test_printed="def test_it(xai_case):\n    xai_case.check()\n")
    nets = pytester.path / "my nets.py"
    nets.write_text(NETS.format(factor=1))
    commands = printed(pytester.runpytest("--xai-golden", "my goldens"))
    accepting = [each for each in commands if each.startswith("xai-eval accept")]
    assert main(shlex.split(accepting[0])[1:]) == 0, "the command itself accepts"
    nets.write_text(NETS.format(factor=0.2))
    commands += printed(pytester.runpytest("--xai-golden", "my goldens"))
    names = {each.split()[1] for each in commands}
    assert {"accept", "explain-drift"} <= names, commands
    parser = build_parser(["run"])
    for each in commands:
        words = shlex.split(each)[1:]
        assert parser.parse_args(words).golden.name == "my goldens", each
