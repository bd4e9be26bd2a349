"""Runs in another precision: the stock library under torch.autocast is the reference."""

import pickle
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.precision import autocast_in_use, computing_in
from xai_eval.run.evaluate import evaluate
from xai_eval.run.plan import plan
from xai_eval.run.restore_factors import RunRequest, compute_with_restored
from xai_eval.run.spread import spread
from xai_eval.run.suite import completed, requests_of
from xai_eval.settings.find import Document
from xai_eval.settings.read import read_settings
from xai_eval.tasks.lime.lime_runs import LimeRun
from xai_eval.tasks.registry import task
from xai_eval.tasks.trials.trials import cam_trials, lime_trials

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
ASKED = {"methods": ["gradcam"]}


@pytest.fixture(scope="module")
def image():
    return load_images("scenes:1").images[0]


@pytest.fixture(scope="module")
def single():
    return evaluate("cams", images="scenes:1", device="cpu", **ASKED)[0]


@pytest.fixture(scope="module")
def halved():
    return {name: evaluate("cams", images="scenes:1", device="cpu", precision=name, **ASKED)[0] for name in HALVES}


@pytest.mark.parametrize("name", HALVES)
def test_grad_cam_is_that_of_the_library_under_autocast(name, halved, single, image):
    classifier, result = load_model("scenes:objects", device="cpu"), halved[name]
    batch = classifier.preprocess(Image.fromarray(image.pixels))[None]
    layer = classifier.layer(result.case.params["layer"])
    cam = GradCAM(classifier.module, [layer], reshape_transform=torch.Tensor.float)  # numpy has no bfloat16
    with torch.autocast("cpu", dtype=HALVES[name]), cam:
        expected = cam(batch, [ClassifierOutputTarget(result["explained"].index)])[0]
    np.testing.assert_allclose(result["gradcam"].array, expected, rtol=0, atol=1e-6)
    assert result["gradcam"].array.dtype == np.float32
    assert np.abs(result["gradcam"].array - single["gradcam"].array).max() > 1e-4
    assert result.provenance.precision["autocast"] == name and "autocast" not in single.provenance.precision


def test_float32_throughout_gives_the_bits_of_the_default(single):
    (found,) = evaluate("cams", images="scenes:1", device="cpu", precision="highest", **ASKED)
    assert found.digest == single.digest


def test_the_precision_is_off_while_somebody_else_has_a_result():
    planned = plan("cams", images="scenes:2", device="cpu", precision="bfloat16", params=ASKED)
    assert autocast_in_use() == ""
    for result in planned.results:
        assert autocast_in_use() == "" and result.provenance.precision["autocast"] == "bfloat16"
    assert planned.request["precision"] == "bfloat16"


def test_a_task_of_the_user_computes_in_it(own_tasks):
    seen = []

    @task("mine")
    def mine(classifier, images):
        for _image in images.images:
            seen.append(autocast_in_use())
            yield SimpleNamespace()

    for _result in plan("mine", images="scenes:2", device="cpu", precision="float16").results:
        seen.append(autocast_in_use())
    assert seen == ["float16", "", "float16", ""]


def test_a_classifier_may_be_used_in_two_precisions_in_any_order(halved, single):
    classifier = load_model("scenes:objects", device="cpu")
    for name in ("bfloat16", "default"):
        (found,) = evaluate("cams", model=classifier, images="scenes:1", device="cpu", precision=name, **ASKED)
        assert found.digest == {**halved, "default": single}[name].digest


def test_weights_of_lime_that_float16_lost_are_no_explanation(monkeypatch):
    """They are fitted when the precision is set back, perhaps in another thread."""
    monkeypatch.setattr(LimeRun, "weights", lambda *_: np.zeros(2))
    with pytest.raises(ModelMisbehaves, match="lime is zero everywhere in float16"):
        evaluate("lime", images="scenes:1", device="cpu", precision="float16", num_samples=20, seeds=1)


def test_an_explanation_of_another_precision_is_made_from_something_else():
    plans = {name: plan("cams", images="scenes:1", device="cpu", precision=name) for name in ("default", "bfloat16")}
    shared = {name: each.sources.shared for name, each in plans.items()}
    differ = {key for key in shared["default"] if shared["default"][key] != shared["bfloat16"][key]}
    assert differ == {"the settings of precision"}


def test_a_worker_explains_in_the_precision_of_the_run(halved, image):
    planned = plan("cams", images="scenes:1", device="cpu", precision="bfloat16", params=ASKED)
    divided = spread(planned, SimpleNamespace(words="two", workers=2), "scenes:objects")
    (order,) = divided.parts.engine.args
    explained = pickle.loads(pickle.dumps(order)).begin()(image)
    assert explained.result.digest == halved["bfloat16"].digest
    assert autocast_in_use() == ""


@pytest.mark.parametrize(("now", "golden"), [("bfloat16", "default"), ("default", "float16")])
def test_the_precision_of_a_golden_is_restored(now, golden, halved, single):
    made = {**halved, "default": single}
    request = RunRequest("cams", images="scenes:1", device="cpu", precision=now, params=ASKED)
    found = compute_with_restored(request, single.case, made[golden], ["precision"])
    assert found.digest == made[golden].digest


def test_what_cannot_be_had_is_refused_before_anything_is_computed():
    with pytest.raises(UsageError, match="tf32 is arithmetic of NVIDIA GPUs"):
        evaluate("cams", images="scenes:1", device="cpu", precision="tf32")


def test_what_no_model_computes_is_the_same_in_half_precision():
    """Steps tried on what never changes show whether a library changed, so no precision may move them."""
    found = {}
    for name in ("default", *HALVES):
        with computing_in(name, torch.device("cpu")):
            tried = {**cam_trials(("gradcam", "scorecam", "ablationcam")), **lime_trials()}
        found[name] = {stage: each.digest for stage, each in tried.items()}
    assert found["default"] == found["bfloat16"] == found["float16"]


SETTINGS = """
precision = "bfloat16"
[[suite]]
task = "cams"
[[suite]]
task = "lime"
precision = "highest"
[profile.gpu]
precision = "tf32"
"""


def read(text, profile=None):
    return read_settings(Document(Path.cwd() / "xai_eval.toml", tomllib.loads(text)), profile)


@pytest.mark.parametrize(("profile", "expected"), [(None, ["bfloat16", "highest"]), ("gpu", ["tf32", "highest"])])
def test_an_entry_and_a_profile_replace_the_precision_of_the_file(profile, expected):
    settings = read(SETTINGS, profile)
    assert [
        each.precision for each in requests_of([completed(e, settings) for e in settings.suite], settings)
    ] == expected


@pytest.mark.parametrize("place", ["", "[profile.a]\n", '[[suite]]\ntask = "cams"\n'])
def test_an_unknown_precision_is_refused_with_its_place(place):
    with pytest.raises(UsageError, match=r"xai_eval.toml.*: unknown precision 'half'"):
        read(f'{place}precision = "half"')
