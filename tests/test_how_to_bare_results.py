"""The page on explanations of one's own is what it says it is: its tests and its commands, as they stand there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from xai_eval import SignedMap, UsageError, load_images, load_model
from xai_eval.cli.main import main
from xai_eval.result.bare.bare_fields import field_of
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import load_cases

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "bare-results.md"
# Unlike any other module of these tests, because pytester runs them in this process.
FILES = ("test_page_captum", "test_page_shap", "test_page_result")
# What another version of a library, or another model, would do: everything is turned upside down.
TURNED = """
import pytest
from captum.attr import Saliency

@pytest.fixture(autouse=True)
def turned(monkeypatch):
    plain = Saliency.attribute
    monkeypatch.setattr(Saliency, "attribute", lambda *args, **options: plain(*args, **options).flip(2))
"""


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(pytester, monkeypatch):
    """An empty repository; `place(name)` writes one test file of the page into it."""
    monkeypatch.delenv("CI", raising=False)
    code = dict(zip(FILES, blocks("python"), strict=True))
    return lambda name: pytester.makepyfile(**{name: code[name]})


def accept():
    first, accepted, again = blocks("console")[0].splitlines()
    assert first == again == "pytest"
    assert main(shlex.split(accepted)[1:]) == 0


def stored():
    (golden,) = Goldens(Path("golden")).load_all()[0].values()
    return golden


def runs_of_the_page(place, pytester, name):
    """Run the page's commands; the second run passes."""
    place(name)
    pytester.runpytest().assert_outcomes(failed=1)
    (full,) = load_cases(Path("reports") / "results")[0].values()
    accept()
    pytester.runpytest().assert_outcomes(passed=1)
    return full


def explained():
    """The model of the page, its image as a batch, and its class."""
    classifier = load_model("scenes:objects", device="cpu")
    batch = classifier.preprocess(Image.fromarray(load_images("scenes:1").images[0].pixels))[None]
    return classifier.module, batch, int(classifier.module(batch).argmax())


def test_captum(place, pytester):
    result = runs_of_the_page(place, pytester, "test_page_captum")
    from captum.attr import IntegratedGradients

    module, batch, target = explained()
    found = IntegratedGradients(module).attribute(batch, target=target, n_steps=20)[0].sum(0)
    np.testing.assert_allclose(result["integrated gradients"].array, found.detach().numpy(), atol=1e-5)
    assert {"captum", "torch", "pillow"} <= set(stored().provenance.versions)


@pytest.mark.slow
def test_shap(place, pytester):
    result = runs_of_the_page(place, pytester, "test_page_shap")
    import shap

    module, batch, target = explained()
    found = shap.GradientExplainer(module, torch.zeros_like(batch)).shap_values(batch, nsamples=20, rseed=0)
    np.testing.assert_allclose(result["expected gradients"].array, found[0, ..., target].sum(0), atol=1e-5)
    assert {"shap", "pillow"} <= set(stored().provenance.versions)
    with pytest.raises(UsageError, match=r"got Explanation of shape .*Give the numbers of one image and one class"):
        field_of(shap.Explanation(np.moveaxis(found, 1, 3)), "check")


def test_a_result_of_ones_own_tells_at_which_step_a_change_began(place, pytester):
    runs_of_the_page(place, pytester, "test_page_result")
    assert isinstance(stored()["saliency"], SignedMap) and "image" not in stored().fields
    pytester.makeconftest(TURNED)
    changed = pytester.runpytest()
    changed.assert_outcomes(failed=1)
    told = "drift: saliency/scenes-0-*: Saliency changed (evidence): *The change begins at the raw map of saliency *"
    changed.stdout.fnmatch_lines([told])
    changed.stdout.no_fnmatch_line("*explain-drift*")


def test_the_table_of_the_page_names_the_usual_tolerances():
    """The page's figures are those of the code."""
    import pandas as pd

    from xai_eval import SignedMapTolerance

    page = PAGE.read_text()
    usual = SignedMapTolerance()
    assert f"{usual.largest:.0%} of its largest value; {usual.scale:.0%} stronger".replace("%", " %") in page
    assert f"(IoU) of {field_of(np.ones((2, 2), bool), 'x').least_iou}" in page
    assert field_of(100.0, "x").tolerance == 1.0 and "| 1 % of it |" in page
    frame = pd.DataFrame({"key": ["a"], "value": [100.0]})
    assert field_of(frame, "x").tolerance == {"value": 1.0} and "1 % of the largest value of each column" in page
