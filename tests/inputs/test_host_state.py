"""What code of a user sets for the whole process while it loads a model does not outlive the loading."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from xai_eval.errors import InputUnavailable, ModelMisbehaves
from xai_eval.inputs.models.arithmetic import arithmetic
from xai_eval.inputs.models.called_in import factories_called_in
from xai_eval.inputs.models.examination import examine
from xai_eval.inputs.models.first_answers import first_answers
from xai_eval.inputs.models.host_state import host_kept
from xai_eval.inputs.models.model_weights import read_checkpoint
from xai_eval.inputs.models.models import load_model
from xai_eval.tasks.image.environment import precision_flags

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4" * 64 + "\nsize 12345\n"
# What code sets, and how to see it.
SET: dict[str, tuple[str, Callable[[], object]]] = {
    "directory": ("os.chdir('/')", Path.cwd),
    "device": ("torch.set_default_device('meta')", torch.get_default_device),
    "dtype": ("torch.set_default_dtype(torch.float64)", torch.get_default_dtype),
    "gradients": ("torch.set_grad_enabled(False)", torch.is_grad_enabled),
    "deterministic": ("torch.use_deterministic_algorithms(True)", torch.are_deterministic_algorithms_enabled),
    "anomalies": ("torch.autograd.set_detect_anomaly(True)", torch.is_anomaly_enabled),
    "warnings": ("warnings.simplefilter('error')", lambda: list(warnings.filters)),
    "threads": ("torch.set_num_threads(torch.get_num_threads() + 1)", torch.get_num_threads),
    "matmul": ("torch.set_float32_matmul_precision('medium')", torch.get_float32_matmul_precision),
    "tf32": (
        "torch.backends.cuda.matmul.allow_tf32 = not torch.backends.cuda.matmul.allow_tf32",
        lambda: torch.backends.cuda.matmul.allow_tf32,
    ),
    "cudnn tf32": ("torch.backends.cudnn.allow_tf32 = False", lambda: torch.backends.cudnn.allow_tf32),
    "cudnn benchmark": ("torch.backends.cudnn.benchmark = True", lambda: torch.backends.cudnn.benchmark),
    "cudnn deterministic": ("torch.backends.cudnn.deterministic = True", lambda: torch.backends.cudnn.deterministic),
    "mkldnn": ("torch.backends.mkldnn.enabled = False", lambda: torch.backends.mkldnn.enabled),
}
# These change how numbers are computed, so it is said that they are set back.
TOLD = ("deterministic", "threads", "matmul", "tf32", "cudnn tf32", "cudnn benchmark", "cudnn deterministic", "mkldnn")

OF_TORCH = [name for name, (code, _) in SET.items() if "torch" in code]


class SetsInForward(torch.nn.Module):
    def __init__(self, code: str) -> None:
        super().__init__()
        self.head, self.code = torch.nn.Linear(3, 4), code

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(images.mean((2, 3)))
        exec(self.code, {"torch": torch})
        return answer


@pytest.mark.parametrize("name", OF_TORCH)
def test_a_forward_pass_that_changes_it_is_refused_and_it_is_set_back(name: str) -> None:
    code, seen = SET[name]
    before = seen()
    with pytest.raises(ModelMisbehaves, match=r"changes torch\.[a-z_.0-9]+.* for the whole process"):
        first_answers(SetsInForward(code).eval(), (3, 8, 8), None, None, "mine")
    assert seen() == before


@pytest.mark.parametrize("name", SET)
def test_it_is_restored_after_the_code_ended_or_raised(name: str) -> None:
    code, seen = SET[name]
    before = seen()
    with host_kept():
        exec(code, {"os": os, "torch": torch, "warnings": warnings})
        assert seen() != before
    assert seen() == before
    with pytest.raises(ZeroDivisionError), host_kept():
        exec(code, {"os": os, "torch": torch, "warnings": warnings})
        raise ZeroDivisionError
    assert seen() == before


def test_what_was_set_before_stays_set() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with host_kept():
            torch.use_deterministic_algorithms(False)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_factory_that_sets_everything_gives_the_model_that_it_made(tmp_path: Path) -> None:
    net = "nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).float()"
    lines = "\n    ".join(code for name, (code, _) in SET.items() if name != "device")
    (tmp_path / "f.py").write_text(
        f"import os, torch, warnings\nfrom torch import nn\n\ndef net():\n    {lines}\n    return {net}\n"
    )
    before = {name: seen() for name, (_, seen) in SET.items()}
    loaded = load_model(f"file:{tmp_path / 'f.py'}:net")
    assert {name: seen() for name, (_, seen) in SET.items()} == before
    assert loaded.preprocess.view is not None
    assert next(loaded.module.parameters()).dtype is torch.float32


def test_weights_that_were_not_fetched_are_named(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_text(POINTER)
    with pytest.raises(InputUnavailable, match=r"net\.pth is a Git LFS pointer, .* run `git lfs pull`"):
        read_checkpoint(tmp_path / "net.pth")
    (tmp_path / "f.py").write_text("import torch\n\ndef net():\n    return torch.load(__file__[:-4] + 'net.pth')\n")
    with pytest.raises(InputUnavailable, match=r"net\.pth is a Git LFS pointer.*net\(\) raised UnpicklingError"):
        load_model(f"file:{tmp_path / 'f.py'}:net")


def test_a_factory_that_raises_beside_fetched_weights_is_told_to_be_run_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "net.npy", np.zeros(3))
    (tmp_path / "f.py").write_text("def net():\n    raise ValueError('boom')\n")
    with pytest.raises(InputUnavailable, match="Call it in Python by itself"):
        load_model(f"file:{tmp_path / 'f.py'}:net")


NET = "nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())"


@pytest.mark.parametrize("name", [name for name in SET if name != "device"])
def test_what_changes_how_numbers_are_computed_is_said_and_recorded(tmp_path: Path, name: str) -> None:
    (tmp_path / "f.py").write_text(
        f"import os, torch, warnings\nfrom torch import nn\n\n"
        f"def net():\n    {SET[name][0]}\n    return {NET}.float()\n"
    )
    loaded = load_model(f"file:{tmp_path / 'f.py'}:net")
    assert bool(loaded.restored) == (name in TOLD)
    found = examine(loaded, None, torch.rand(1, 3, 32, 32))
    told = [each for each in found.assumptions if "for the whole process. That was set back" in each]
    assert len(told) == (name in TOLD)
    assert ("changed by loading, and set back" in found.findings) == (name in TOLD)


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="torch has it since 2.9")
@pytest.mark.parametrize("node", ["cuda.matmul", "mkldnn.matmul", "cudnn.conv", "mkldnn.conv"])
def test_the_newer_settings_of_precision_are_restored_and_can_be_recorded(node: str) -> None:
    before = arithmetic()
    code = f"torch.backends.{node}.fp32_precision = 'ieee'"
    assert before[f"torch.backends.{node}.fp32_precision"] != "ieee"
    with host_kept() as restored:
        exec(code, {"torch": torch})
        # torch itself refuses to tell the old setting now.
        assert precision_flags(torch.device("cpu"))["float32_matmul"]
    assert arithmetic() == before
    assert f"torch.backends.{node}.fp32_precision" in restored


def test_a_factory_is_called_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, below = tmp_path / "root", tmp_path / "root" / "below"
    below.mkdir(parents=True)
    reading = "Path('weights.txt').read_text()"
    code = f"from pathlib import Path\nfrom torch import nn\n\ndef net():\n    {reading}\n    return {NET}\n"
    (root / "f.py").write_text(code)
    (root / "weights.txt").write_text("1")
    monkeypatch.chdir(below)
    with pytest.raises(InputUnavailable, match=r"'weights.txt'. It was looked for in .*below: the folder of"):
        load_model("file:../f.py:net")
    with factories_called_in(root):
        assert load_model("file:../f.py:net").name == "file:f.py:net"
    assert Path.cwd() == below
