"""A repository of a user is gated end to end with the configuration file alone: no options, two lines of test.

Only the first session is a process of its own, as a user starts it. What follows runs in this process, which saves the
imports; what a command does in a process of its own is tested in tests/cli/test_init.py and tests/cli/test_console.py.
"""

import re
import shlex
from pathlib import Path

import pytest
import torch
from torch import nn

from xai_eval import evaluate
from xai_eval.cli.main import main

# A ViT and a Swin of timm, made small; their weights are random, because none are downloaded.
ARCHITECTURES = {
    "vit_tiny_patch16_224": "patch_size=8, depth=2, embed_dim=48",
    "swin_tiny_patch4_window7_224": "window_size=2, embed_dim=12, depths=(1, 1, 1, 1), num_heads=(1, 2, 3, 4)",
}
FACTORIES = ("vit", "swin")
NETS = """
import timm
import torch

def _made(seed, name, **shape):
    torch.manual_seed(seed)
    return timm.create_model(name, pretrained=False, num_classes=5, img_size=64, **shape).eval()
""" + "".join(
    f"\ndef {factory}(): return _made({seed}, {name!r}, {shape})"
    for seed, (factory, (name, shape)) in enumerate(zip(FACTORIES, ARCHITECTURES.items(), strict=True))
)
OWN_TASK = '''
from xai_eval import Subject, image_task

@image_task("own_task")
def own_task(subject: Subject, *, power: float = 1.0):
    """Explain by the gradient of the score."""
    batch = subject.batch.requires_grad_()
    subject.model(batch)[0, subject.target.index].backward()
    return batch.grad.abs().amax(dim=1)[0] ** power
'''
MODELS = ", ".join(f'"file:nets.py:{name}"' for name in FACTORIES)
PYPROJECT = f"""
[project]
name = "shop"

[tool.xai_eval]
models = [{MODELS}]
images = "scenes:1"
device = "cpu"
tasks_files = ["own_task.py"]

[[tool.xai_eval.suite]]
task = "cams"
methods = ["gradcam", "hirescam"]

[[tool.xai_eval.suite]]
task = "attributions"
methods = ["integrated_gradients", "file:mine.py:my_map"]
steps = 4

[[tool.xai_eval.suite]]
task = "own_task"
power = 0.5

[tool.xai_eval.tolerances.own_task]
own_task = {{ largest = 0.1 }}
"""
TEST = "def test_explanation(xai_case):\n    xai_case.check()\n"
TASKS = 3


def own_explainer():
    """Return the file that the how-to on explainers of one's own shows first."""
    page = Path(__file__).parent.parent / "docs" / "how-to" / "own-explainer.md"
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)[0]


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported():
    """Import what the tasks import, because pytester forgets what a run imports, and torch cannot be imported twice."""
    pytest.importorskip("timm")
    for task, methods in (("cams", ["gradcam"]), ("attributions", ["integrated_gradients"])):
        evaluate(task, images="scenes:1", methods=methods, device="cpu")


@pytest.fixture
def shop(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    files = {"nets.py": NETS, "own_task.py": OWN_TASK, "mine.py": own_explainer(), "pyproject.toml": PYPROJECT}
    for name, text in {**files, "test_explanations.py": TEST}.items():
        (pytester.path / name).write_text(text)
    return pytester


@pytest.mark.slow
def test_a_vit_a_swin_captum_and_explainers_of_the_user_are_gated_by_the_file_alone(shop, capsys):
    cases = TASKS * len(FACTORIES)
    shop.runpytest_subprocess().assert_outcomes(failed=cases)
    assert main(["accept", "--all", "--reason", "first goldens"]) == 0
    assert main(["run", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["check"]) == 0
    assert f"{cases} cases: {cases} ok" in capsys.readouterr().out

    (shop.path / "old.py").write_text(NETS)
    (shop.path / "nets.py").write_text(NETS.replace("_made(0,", "_made(7,"))
    shop.runpytest_inprocess().assert_outcomes(passed=cases - TASKS, failed=TASKS)
    capsys.readouterr()
    assert main(["check"]) == 1
    told = capsys.readouterr().out
    assert f"{cases} cases: {cases - TASKS} ok, {TASKS} drift" in told
    (command,) = re.findall(r"xai-eval (explain-drift .*)", told)
    main([*shlex.split(command), "--old-model", f"file:old.py:{FACTORIES[0]}"])
    assert "Cause: model. " in capsys.readouterr().out


FROM_WEIGHTS = """
import torch
from torch import nn

def net():
    model = nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    model.load_state_dict(torch.load("weights.pt", weights_only=True))
    return model
"""
BELOW = """
models = "file:nets.py:net"
images = "scenes:1"

[[suite]]
task = "attributions"
methods = ["saliency", "file:mine.py:my_map"]
"""


@pytest.mark.slow
def test_paths_in_factories_are_those_of_the_configuration_file_wherever_a_command_starts(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    files = {"nets.py": FROM_WEIGHTS, "mine.py": own_explainer(), "xai_eval.toml": BELOW, "test_explanations.py": TEST}
    for name, text in files.items():
        (pytester.path / name).write_text(text)
    layers = nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    torch.save(nn.Sequential(*layers).state_dict(), pytester.path / "weights.pt")
    assert main(["run", "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first goldens"]) == 0
    monkeypatch.chdir(pytester.mkdir("below"))
    assert main(["run", "--quiet"]) == 0
    assert main(["check"]) == 0
    pytester.runpytest_inprocess("..").assert_outcomes(passed=1)
    case = next((pytester.path / "golden" / "attributions").iterdir()).name
    assert main(["explain-drift", f"attributions/{case}"]) == 0
