"""The measured amplification of a map is that of the formula, and follows what rounding does to it."""

import numpy as np
import pytest
import torch

from xai_eval import load_model
from xai_eval.explainers.cam.amplification import amplification
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.inputs.models.examination import examine
from xai_eval.scenes import render
from xai_eval.tasks.image.forward import input_batch


def summed(activations, _gradients):
    return activations.sum(axis=1)


@pytest.mark.parametrize("condition", [2.0, 30.0, 900.0])
def test_a_sum_that_nearly_cancels_amplifies_by_its_condition_number(condition):
    """Two terms a and b move by a share of each, so that their sum moves by up to (|a| + |b|) / |a + b|."""
    terms = np.array([1.0 + 1.0 / condition, -1.0 + 1.0 / condition]).reshape(1, 2, 1, 1)
    assert amplification(summed, terms, None) == pytest.approx(condition, rel=0.02)


def test_a_product_of_both_inputs_counts_both():
    ones = np.ones((1, 1, 2, 2))
    found = amplification(lambda a, g: (a * g).sum(axis=1), ones, ones)
    assert 1.0 <= found <= 2.0


@pytest.mark.parametrize("array", [np.zeros((1, 2, 2, 2)), np.full((1, 2, 2, 2), np.nan)])
def test_a_map_that_means_nothing_amplifies_nothing(array):
    assert amplification(summed, array, None) == 1.0


def test_it_follows_what_rounding_does_to_a_transformer():
    """XGradCAM divides by sums over activations of both signs, which Grad-CAM does not."""
    classifier = load_model("scenes:vit")
    layer, batch = classifier.default_layer(), input_batch(classifier, render(3).pixels)
    layout = examine(classifier, layer, batch).layout
    nudge = 1e-6 * torch.randn(batch.shape, generator=torch.Generator().manual_seed(0))
    found, moved = {}, {}
    for method in ("gradcam", "xgradcam"):
        maps, other = (
            explain_by_cam(classifier.scoring, classifier.layer(layer), each, [0], method, layout=layout)
            for each in (batch, batch * (1 + nudge))
        )
        found[method] = maps.amplification
        moved[method] = np.linalg.norm(other.raw - maps.raw) / np.linalg.norm(maps.raw)
    assert found["xgradcam"] > 3 * found["gradcam"]
    assert moved["xgradcam"] > 3 * moved["gradcam"]
