"""Versions of libraries are recorded, whichever way a library was installed."""

import importlib.metadata
import platform

import cv2
import pytest

import xai_eval
from xai_eval.tasks.cam_results import LIBRARIES
from xai_eval.tasks.image.environment import library_versions


@pytest.fixture
def uninstalled(monkeypatch):
    """Hide distributions from importlib.metadata, as if the library were imported from its source tree."""
    version = importlib.metadata.version

    def hide(*hidden):
        def visible(name):
            if name in hidden:
                raise importlib.metadata.PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr(importlib.metadata, "version", visible)

    return hide


def test_versions_are_those_of_the_installed_distributions():
    found = library_versions(LIBRARIES)
    assert found.pop("python") == platform.python_version() and found.pop("xai-eval") == xai_eval.__version__
    assert found == {name: importlib.metadata.version(name) for name in LIBRARIES}


def test_a_library_installed_under_another_name_is_asked_for_its_version(uninstalled):
    uninstalled("opencv-python-headless", "xai-eval")
    found = library_versions(("numpy", "opencv-python-headless"))
    assert found["opencv-python-headless"] == cv2.__version__
    assert found["numpy"] == importlib.metadata.version("numpy") and found["xai-eval"] == xai_eval.__version__


def test_the_version_of_a_library_that_has_none_is_unknown(uninstalled):
    uninstalled("grad-cam")
    assert library_versions(("grad-cam",))["grad-cam"] == "unknown"
