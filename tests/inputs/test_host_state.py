"""What code of a user sets for the whole process while it loads a model does not outlive the loading."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from xai_eval.errors import InputUnavailable
from xai_eval.inputs.models.host_state import host_kept
from xai_eval.inputs.models.model_weights import read_checkpoint
from xai_eval.inputs.models.models import load_model

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
}


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
    with pytest.raises(InputUnavailable, match="Run the file by itself"):
        load_model(f"file:{tmp_path / 'f.py'}:net")
