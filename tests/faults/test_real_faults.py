"""The gate on real photographs, with a real MobileNetV2 and a real EfficientNet-Lite0, where the data root has them.

Run with XAI_EVAL_DATA set: `pytest -m slow tests/faults/test_real_faults.py -s`. Without the data every test here is an
error that says so, never a skip.
"""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import benign
import cam_faults
import dissection_faults
import input_faults
import lime_faults
import measure_faults
import network_faults
import pytest
from faults.fault_table import PROPERTY
from gate import Bench, tried
from turns import in_turns

pytestmark = pytest.mark.real

# Each fault touches every image, so that one shows it as well as two; what goes from an image to the next needs both.
PHOTOGRAPHS = ("n01443537_goldfish", "n02123045_tabby")
OF_TWO = {"weights of the image before"}
PARAMETERS = {
    "cams": {"methods": ["gradcam", "eigencam"]},
    "lime": {
        "num_samples": 40,
        "seeds": 1,
        "top_labels": 2,
        "segmentation": "slic",
        "segmentation_parameters": {"n_segments": 12},
    },
    "attributions": {},
    "dissection": {},
}
# Of the catalogue, what does not name a layer of the bundled model or change files of it.
NAMED = {
    "libjpeg-turbo decodes 1 off",
    "red and blue change places",
    "nine pixels damaged",
    "resize without antialias",
    "bicubic resize",
    "box filter resize",
    "crop one pixel lower",
    "BGR input",
    "half a percent brighter",
    "input in half precision",
    "mirrored input",
    "lime sees another crop than Grad-CAM",
    "absolute gradients",
    "the sign of EigenCAM",
    "bicubic scaling of maps",
    "maps move down at the end",
    "other superpixels",
    "alpha 0.01",
    "another stream of random numbers",
    "hidden superpixels are black",
    "a softer softmax",
    "seeds always agree",
}
CATALOGUE = (
    *input_faults.FAULTS,
    *cam_faults.FAULTS,
    *lime_faults.FAULTS,
    *dissection_faults.FAULTS,
    *measure_faults.FAULTS,
)


@pytest.fixture(scope="module")
def networks(real_data, tmp_path_factory):
    """The bench of a real network, by the name of its factory and the number of its photographs."""
    folders = {count: tmp_path_factory.mktemp("real") for count in (1, 2)}
    for count, folder in folders.items():
        (folder / "several").mkdir()
        for name in PHOTOGRAPHS[:count]:
            shutil.copy(real_data / "imagenet-samples" / f"{name}.JPEG", folder / "several")
    files = {
        network_faults.MOBILE: real_data / "models" / "factories.py",
        network_faults.LITE: Path(__file__).parents[1] / "models" / "efficientnet_lite.py",
    }
    return functools.cache(
        lambda name, count: Bench(f"file:{files[name]}:{name}", folders[count], parameters=PARAMETERS)
    )


@pytest.fixture(scope="module")
def bench(networks):
    return networks(network_faults.MOBILE, 1)


@pytest.mark.slow
def test_every_name_is_in_the_catalogue():
    assert {fault.name for fault in CATALOGUE} >= NAMED


CHOSEN = [fault for fault in CATALOGUE if fault.name in NAMED]


def of_bench(entry):
    return [(entry, task) for task in entry.tasks if PARAMETERS.get(task)]


@pytest.mark.parametrize(("fault", "task"), in_turns(map(of_bench, CHOSEN), every=2))
def test_a_fault_on_photographs_is_noticed_and_placed(bench, fault, task, record_property):
    row = tried(bench, fault, task)
    record_property(PROPERTY, row.outcome)
    assert row.noticed and row.placed, row.line


@pytest.mark.parametrize(
    ("fault", "task", "name"),
    in_turns(
        ([(fault, task, name) for task in fault.tasks for name in fault.models] for fault in network_faults.FAULTS),
        every=2,
    ),
)
def test_a_fault_of_a_real_network_is_noticed_and_placed(networks, fault, task, name, record_property):
    row = tried(networks(name, 2 if fault.name in OF_TWO else 1), fault, task)
    record_property(PROPERTY, row.outcome)
    assert row.noticed and row.placed and row.told, row.line


@pytest.mark.parametrize(
    ("change", "task"), in_turns((of_bench(change) for change in benign.CHANGES if not change.options), every=2)
)
def test_harmless_changes_on_photographs_raise_no_alarm(bench, change, task):
    failed = [verdict for verdict in bench.verdicts(task, change.inject) if verdict.failed]
    assert not failed, failed[0].sentence
