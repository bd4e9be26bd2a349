"""Everything works from a source tree that is not installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Runs modules one after the other, each as `python -m` does, in a Python that knows of no installed xai-eval, and so of
# no plugin of pytest. One process for all of them, because each would import torch.
HIDDEN = """
import importlib.metadata, json, runpy, sys
from pathlib import Path

every = importlib.metadata.MetadataPathFinder.find_distributions
importlib.metadata.MetadataPathFinder.find_distributions = classmethod(
    lambda cls, *args, **named: (each for each in every(*args, **named) if each.metadata["Name"] != "xai-eval")
)
sys.path.insert(0, str(Path.cwd()))
import xai_eval
assert Path(xai_eval.__file__).is_relative_to(Path.cwd()), xai_eval.__file__
for command in json.loads(sys.argv[1]):
    sys.argv = command
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        print(f"{command[:2]} ended with {int(end.code or 0)}", flush=True)
"""
SUITE = """
import importlib.metadata
import pytest
from xai_eval import evaluate

def test_it(xai_golden):
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("xai-eval")
    for result in evaluate("cams", images="scenes:1", device="cpu", methods=["gradcam"]):
        xai_golden.check(result)
"""


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z", "xai_eval", "fixtures"], cwd=ROOT, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    names = tracked()
    if not names:
        pytest.skip("no checkout: there is no list of the files of the source tree")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "suite").mkdir()
    (folder / "suite" / "test_suite.py").write_text(SUITE)
    return folder


def python(tree, *commands):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CI")}
    command = [sys.executable, "-c", HIDDEN, json.dumps(commands)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_command_line_and_pytest_work_without_an_installation(tree):
    run = ("xai_eval", "run", "cams", "--images", "scenes:1", "--methods", "gradcam", "--device", "cpu")
    accept = ("xai_eval", "accept", "--all", "--reason", "looked")
    tests = ("pytest", "-p", "xai_eval.pytest_plugin.hooks", "suite")
    told = python(tree, run, accept, tests)
    for command in (run, accept, tests):
        assert f"{list(command[:2])} ended with 0" in told, told
    assert "1 case: 1 new" in told and "1 case: 1 ok" in told and "1 passed" in told, told
