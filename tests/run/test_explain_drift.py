"""`xai-eval explain-drift` finds the cause of drifts that the tests cause themselves."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from xai_eval.cli.main import main
from xai_eval.errors import UsageError
from xai_eval.inputs.images.images import load_images
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.run.restore_factors import golden_arguments
from xai_eval.tasks import find_task, task


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two scenes as files. They are larger than the input of the model, so that they have to be resized."""
    folder = tmp_path_factory.mktemp("images") / "drawn"
    folder.mkdir()
    for index, image in enumerate(load_images("scenes").images[:2]):
        Image.fromarray(image.pixels).resize((150, 120), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def first_run(images):
    """The command of the first run."""
    return ["run", "cams", "--methods", "gradcam", "--images", str(images), "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def accepted(first_run, tmp_path_factory):
    """A folder with Grad-CAM goldens of the images, and the run that they were accepted from."""
    folder = tmp_path_factory.mktemp("accepted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("CI", raising=False)
        assert main(first_run) == 0
        assert main(["accept", "--all", "--reason", "the first ones"]) == 0
    return folder


@pytest.fixture
def here(tmp_path, first_run, accepted, monkeypatch, capsys, without_figures):
    """A folder with Grad-CAM goldens of the images, and a function that runs the command line in it."""
    shutil.copytree(accepted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)

    def call(*arguments, expected=0):
        capsys.readouterr()
        assert main(list(arguments)) == expected
        return capsys.readouterr()

    call.run = first_run
    return call


def test_another_model_is_the_cause(here):
    here(*here.run, "--model", "scenes:places", expected=1)
    said = here("explain-drift", "0.png").out
    assert "Cause: model. With nothing else restored, the case matches its golden." in said
    assert said.startswith("cams/drawn-0-png-")


def test_a_library_that_changed_preprocessing_is_the_cause_although_its_description_is_the_same(here, monkeypatch):
    """The recorded preprocessing is the same, but torchvision resizes differently, as antialias did in release 0.17."""
    from torchvision.transforms import functional as F

    stock = F.resize

    def coarse(image, size, *args, **kwargs):
        smaller = (image.width * 96 // 120, 96)  # of 150 x 120 pixels
        return stock(image.resize(smaller, Image.Resampling.NEAREST), size)

    monkeypatch.setattr(F, "resize", coarse)
    said = here(*here.run, expected=1).out
    assert "input tensor" in said
    assert "Cause: preprocessing." in here("explain-drift", "1.png").out


def test_two_causes_at_once_are_both_found(here, monkeypatch):
    from torchvision.transforms import functional as F

    monkeypatch.setattr(F, "normalize", lambda tensor, mean, std, inplace=False: tensor * 0.2)
    here(*here.run, "--model", "scenes:places", expected=1)
    assert "Cause: model and preprocessing together" in here("explain-drift", "0.png").out


def test_another_layer_is_found_as_the_cause_by_restoring_it(here):
    here(*here.run, "--layer", "layer3.1", expected=1)
    said = here("explain-drift", "0.png").out
    assert "Cause: parameters." in said


def test_code_is_the_cause_if_restoring_every_factor_does_not_help(here, monkeypatch):
    """The library computes something else, although its recorded version is the same."""
    import pytorch_grad_cam

    stock = pytorch_grad_cam.GradCAM.get_cam_weights
    monkeypatch.setattr(
        pytorch_grad_cam.GradCAM, "get_cam_weights", lambda self, *args: np.roll(stock(self, *args), 1, axis=1)
    )
    here(*here.run, expected=1)
    said = here("explain-drift", "0.png").out
    assert "No factor that could be restored here is the cause. Nothing else that is recorded changed" in said


def test_precision_flags_are_restored_afterwards(here):
    golden = next(here_path for here_path in sorted(__import__("pathlib").Path("golden").rglob("result.json")))
    assert golden.exists()
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = not before
    try:
        here(*here.run)
        said = here("explain-drift", "0.png").out
        assert torch.backends.mkldnn.enabled is not before
    finally:
        torch.backends.mkldnn.enabled = before
    assert "precision" in said and "matches its golden" in said


def test_a_case_that_does_not_drift_here_is_reported_as_such(here):
    said = here("explain-drift", "0.png").out
    assert "Computed again here, the case matches its golden" in said


def test_a_case_without_a_golden_is_refused(here):
    shutil.rmtree("golden")
    assert "there is no golden for cams/drawn-0-png" in here("explain-drift", "0.png", expected=2).err


def test_a_case_that_no_run_obtained_is_refused(here):
    assert "unknown case" in here("explain-drift", "9.png", expected=2).err


def test_the_record_of_a_run_holds_its_options(here, images):
    request = json.loads(Path("reports/run.json").read_text())["requests"]["cams"]
    assert request == {"model": None, "images": str(images), "device": "cpu", "params": {"methods": ["gradcam"]}}


LIME = {"segmentation": {"name": "slic", "n_segments": 50}, "num_samples": 100}
QUICKSHIFT = {**LIME, "segmentation": {"name": "quickshift"}}
TWO = {"layers": [["layer3"], ["layer3"]]}
GRID = {"grid": {"num_samples": [100]}}


@pytest.mark.parametrize(
    ("task", "was", "now", "expected"),
    [
        ("lime", LIME, {**LIME, "num_samples": 200}, {"seed": 3, "num_samples": 100}),
        (
            "lime",
            LIME,
            QUICKSHIFT,
            {"seed": 3, "segmentation": "slic", "segmentation_parameters": {"n_segments": 50}},
        ),
        (
            "comparison",
            {"policy": {"name": "otsu", "area": 0.1}},
            {},
            {"seed": 3, "policy": "otsu", "area": 0.1},
        ),
        ("dissection", TWO, {"layers": [["layer4"], ["layer4"]]}, {"seed": 3, "layers": ["layer3"]}),
        ("lime_search", GRID, {"grid": {}}, {"seed": 3, **GRID}),
    ],
)
def test_recorded_parameters_become_arguments_of_the_task(task, was, now, expected):
    golden = Result(Case(task, "m", "photos/a", was), {}, provenance=Provenance(seed=3))
    assert golden_arguments(Case(task, "m", "photos/a", now), golden, find_task(task)) == expected


@pytest.mark.parametrize("name", ["clip", "probe"])
def test_a_parameter_that_is_not_fully_recorded_is_refused(name):
    golden = Result(Case("dissection", "m", "photos/a", {name: {"model": "x"}}), {})
    with pytest.raises(UsageError, match=f"the recorded {name} cannot be turned back"):
        golden_arguments(Case("dissection", "m", "photos/a", {}), golden, find_task("dissection"))


OWN = {"layers": ["layer3", "layer4"], "clip": "none", "table": {"name": 1, "other": 2}}


def test_recorded_parameters_of_a_task_of_the_user_are_its_arguments_whatever_their_names(own_tasks):
    """Only the bundled tasks record parameters of these names in another form."""

    @task("own")
    def own(
        classifier,
        images,
        *,
        layers: Sequence[str] = ("layer3",),
        clip: str = "some",
        table: Mapping[str, Any] | None = None,
    ):
        """Do nothing."""

    golden = Result(Case("own", "m", "photos/a", OWN), {})
    assert golden_arguments(Case("own", "m", "photos/a", {}), golden, find_task("own")) == OWN
