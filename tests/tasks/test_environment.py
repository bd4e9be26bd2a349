"""Versions of libraries are recorded, whichever way a library was installed."""

import ast
import importlib.metadata
import platform
import sys
from pathlib import Path

import cv2
import pytest

import xai_eval
from xai_eval.tasks import all_tasks, attribution_results
from xai_eval.tasks.cam_results import LIBRARIES
from xai_eval.tasks.dissection import passes
from xai_eval.tasks.image import environment, image_task
from xai_eval.tasks.image.environment import library_versions
from xai_eval.tasks.lime import lime_results as lime

RECORDED = {
    "cams": LIBRARIES,
    "lime": lime.LIBRARIES,
    "lime_search": lime.LIBRARIES,
    "comparison": lime.LIBRARIES,
    "hybrid": lime.LIBRARIES,
    "dissection": passes.LIBRARIES,
    "attributions": attribution_results.LIBRARIES,
    "mine": image_task._LIBRARIES,
}
DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn", "PIL": "pillow"}
TABLES = {"pandas"}  # It only holds the results in tables.


@pytest.mark.parametrize("name", RECORDED)
def test_a_task_records_the_libraries_that_its_metrics_call(name, own_tasks):
    image_task.image_task("mine")(lambda subject: subject.batch[0, 0])
    called = set()
    for metrics in all_tasks()[name].metrics:
        source = Path(xai_eval.__file__).parent.joinpath(*metrics.split(".")).with_suffix(".py").read_text()
        for node in ast.walk(ast.parse(source)):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            called |= {each.split(".")[0] for each in names}
    others = {each for each in called if each not in sys.stdlib_module_names} - {"xai_eval"} - TABLES
    assert {DISTRIBUTIONS.get(each, each) for each in others} <= set(RECORDED[name])


def test_every_task_is_in_the_table_of_libraries():
    assert set(all_tasks()) <= set(RECORDED)


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

    environment._version.cache_clear()
    yield hide
    environment._version.cache_clear()


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
