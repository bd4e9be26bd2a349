"""Whatever is done in threads beside the model, a run gives the same bytes, and the same errors at the same image."""

import shutil
from dataclasses import fields, replace

import pytest
import torch
from PIL import Image
from torch import nn

from xai_eval.bench.scenes import DEVIATION, MEAN
from xai_eval.errors import InputUnavailable
from xai_eval.inputs import steps
from xai_eval.inputs.images import lazy_image
from xai_eval.inputs.images.labelled import Intended, LabelledImage
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.result.fields import Table
from xai_eval.run.plan import plan
from xai_eval.scenes import render
from xai_eval.tasks.image import per_image

GRID = {"num_samples": (10, 20), "segmentation": ("slic", "none"), "num_features": 9, "top_labels": 1, "batch_size": 10}
TASKS = {
    "lime": {"num_samples": 20, "seeds": 2, "top_labels": 1, "segmentation": "slic"},
    "comparison": {"num_samples": 20, "segmentation": "felzenszwalb"},
    "hybrid": {"num_samples": 20},
    "lime_search": {"grid": GRID},
    "attributions": {"methods": ["saliency"]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("images")
    for seed in range(3):
        image = Image.fromarray(render(seed).pixels)
        (image.resize((150, 150)) if seed == 1 else image).save(place / f"{seed}.png")
    return place


class Net(nn.Module):
    """A small network with a layer for Grad-CAM."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 8, 3, stride=4), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.conv(x).relu().mean(dim=(2, 3)))


def planned(task, folder, monkeypatch, ahead):
    monkeypatch.setattr(steps, "items_ahead", lambda _device: ahead)
    model = Classifier("net", Net().eval(), fixed_size_preprocessing(32, MEAN, DEVIATION), tuple("abcde"))
    # Threads beside the model do not inherit its precision, which says what is nearly equal.
    precision = "bfloat16" if task == "lime" else "default"
    return plan(task, model=model, images=str(folder), device="cpu", precision=precision, params=TASKS[task])


def files_of(results):
    return [_timeless(each).files() for each in results]


def _timeless(result):
    """A result without the column of seconds, which no two runs share."""
    table = result.fields.get("methods")
    if table is None:
        return result
    untimed = Table(table.frame.drop(columns="seconds"), table.tolerance, possible=table.possible)
    return replace(result, fields={**result.fields, "methods": untimed})


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_results_are_those_of_one_step_after_the_other_to_the_last_bit(task, folder, monkeypatch):
    expected = files_of(planned(task, folder, monkeypatch, 0).results)
    monkeypatch.setattr(per_image, "_ALONE", 0)
    monkeypatch.setattr(lazy_image, "LARGEST_AHEAD", 100 * 100)  # the second image is larger
    assert len(expected) >= 3 and files_of(planned(task, folder, monkeypatch, 2).results) == expected


@pytest.mark.slow
@pytest.mark.parametrize("task", ["comparison", "attributions"])  # with other work beside the model, and without
def test_an_image_that_cannot_be_read_any_more_ends_the_run_at_its_place(task, folder, monkeypatch, tmp_path):
    own = shutil.copytree(folder, tmp_path / "own")
    run = planned(task, own, monkeypatch, 2)
    (own / "1.png").unlink()
    assert next(run.results).case.input.endswith("0.png")
    with pytest.raises(InputUnavailable, match=r"1\.png"):
        next(run.results)


def test_an_image_that_is_read_ahead_is_the_same_image():
    scene, known = render(1), {"name": "n", "digest": "d", "notes": ("noted",), "source": "s"}
    content = lazy_image.Content(scene.pixels, scene.masks[scene.main_object], scene.masks)
    lazy = lazy_image.LazyImage(lambda: content, 96 * 96, intended=Intended("car"), **known)
    read = lazy_image.read_ahead(lazy)
    for each in fields(LabelledImage):
        assert getattr(read, each.name) is getattr(lazy, each.name)
    assert type(read) is LabelledImage and lazy_image.read_ahead(read) is read
