"""Where the command line is tested: a small real network and images on disk."""

import numpy as np
import pytest
from cli_runs import FACTORY
from PIL import Image


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with two images and a model, and the working directory in it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(FACTORY)
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        pixels = rng.integers(0, 256, size=(12, 16, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path
