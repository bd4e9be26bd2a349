"""A repository of a user is gated end to end with the configuration file alone: no options, two lines of test."""

import re
import shlex
from pathlib import Path

import pytest

# Any architectures of timm; their weights are random, because none are downloaded.
ARCHITECTURES = ("resnet18", "mobilenetv3_small_050")
NETS = """
import timm
import torch

def _made(name, seed):
    torch.manual_seed(seed)
    return timm.create_model(name, pretrained=False, num_classes=5).eval()
""" + "".join(f"\ndef {name}(): return _made({name!r}, seed={seed})" for seed, name in enumerate(ARCHITECTURES))
OWN = '''
from xai_eval import Subject, image_task

@image_task("own_explainer")
def own_explainer(subject: Subject, *, power: float = 1.0):
    """Explain by the gradient of the score."""
    batch = subject.batch.requires_grad_()
    subject.model(batch)[0, subject.target.index].backward()
    return batch.grad.abs().amax(dim=1)[0] ** power
'''
MODELS = ", ".join(f'"file:nets.py:{name}"' for name in ARCHITECTURES)
PYPROJECT = f"""
[project]
name = "shop"

[tool.xai_eval]
models = [{MODELS}]
images = "scenes:1"
device = "cpu"
tasks_files = ["ig.py", "own.py"]

[[tool.xai_eval.suite]]
task = "cams"
methods = ["gradcam", "hirescam"]

[[tool.xai_eval.suite]]
task = "integrated_gradients"
steps = 2

[[tool.xai_eval.suite]]
task = "own_explainer"
power = 0.5

[tool.xai_eval.tolerances.own_explainer]
own_explainer = {{ largest = 0.1 }}
"""
TEST = "def test_explanation(xai_case):\n    xai_case.check()\n"
TASKS = 3


def captum_task():
    """Return the file that the how-to shows."""
    page = Path(__file__).parent.parent / "docs" / "how-to" / "write-a-task.md"
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)[0]


@pytest.fixture
def shop(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    pytest.importorskip("timm")
    files = {"nets.py": NETS, "own.py": OWN, "ig.py": captum_task(), "pyproject.toml": PYPROJECT}
    for name, text in {**files, "test_explanations.py": TEST}.items():
        (pytester.path / name).write_text(text)
    return pytester


@pytest.mark.slow
def test_models_tasks_and_an_explainer_of_the_user_are_gated_by_the_file_alone(shop):
    def xai_eval(*words):
        return shop.run("xai-eval", *words)

    cases = TASKS * len(ARCHITECTURES)
    shop.runpytest_subprocess().assert_outcomes(failed=cases)
    assert xai_eval("accept", "--all", "--reason", "first goldens").ret == 0
    shop.runpytest_subprocess().assert_outcomes(passed=cases)
    assert xai_eval("run", "--quiet").ret == 0
    checked = xai_eval("check")
    assert checked.ret == 0
    checked.stdout.fnmatch_lines([f"*{cases} cases: {cases} ok"])

    (shop.path / "old.py").write_text(NETS)
    (shop.path / "nets.py").write_text(NETS.replace("seed=0", "seed=7"))
    shop.runpytest_subprocess().assert_outcomes(passed=cases - TASKS, failed=TASKS)
    assert xai_eval("run", "--quiet").ret == 1
    told = xai_eval("check")
    assert told.ret == 1
    told.stdout.fnmatch_lines([f"*{cases} cases: {cases - TASKS} ok, {TASKS} drift*"])
    (command,) = re.findall(r"xai-eval (explain-drift .*)", told.stdout.str())
    explained = xai_eval(*shlex.split(command), "--old-model", f"file:old.py:{ARCHITECTURES[0]}")
    explained.stdout.fnmatch_lines(["Cause: model. *"])
