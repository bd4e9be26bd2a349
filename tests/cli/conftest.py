"""Where the command line is tested: a small real network and images on disk."""

import shutil

import numpy as np
import pytest
from cli_runs import FACTORY, run
from PIL import Image


def prepare(folder, patch):
    """Write two images and a model into a folder, and make it the working directory."""
    patch.delenv("CI", raising=False)
    patch.chdir(folder)
    (folder / "nets.py").write_text(FACTORY)
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        pixels = rng.integers(0, 256, size=(12, 16, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(pixels).save(folder / "photos" / f"{name}.png")


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    """A folder with two images and a model, and the working directory in it."""
    prepare(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The reports of `run()` in such a folder."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        prepare(folder, patch)
        assert run() == 0
    return folder / "reports"


@pytest.fixture
def place_after_run(place, finished_run):
    """The folder after `run()`, which is the same for all tests."""
    shutil.copytree(finished_run, place / "reports")
    return place
