"""The full evaluation of superpixels: ResNet50 on the ten ImageNet photographs, on a GPU."""

import numpy as np
import pytest

from xai_eval import evaluate

pytestmark = pytest.mark.gpu

PHOTOGRAPHS = {"model": "torchvision:resnet50", "images": "imagenet-samples", "device": "cuda"}


def test_lime_explains_every_photograph():
    results = evaluate("lime", **PHOTOGRAPHS)
    assert len(results) >= 10
    for result in results:
        assert result["lime"].degenerate is None
        assert np.isfinite(result["weights"].values).all()
        assert result.provenance.device != "cpu"


def test_the_whole_grid_is_searched_on_every_photograph():
    *images, overall = evaluate("lime_search", **PHOTOGRAPHS)
    assert len(images) >= 10
    assert all(result["settings"].frame["tied_settings"].sum() == 324 for result in images)
    assert overall["best"].content["images"].keys() == {result.case.input for result in images}


def test_gradcam_and_lime_are_compared_beside_the_study_s_table():
    *images, overall = evaluate("comparison", **PHOTOGRAPHS)
    assert len(images) >= 10
    assert overall["study"].frame["study_iou"].notna().sum() == 10


def test_the_gpu_gives_the_weights_that_the_cpu_gives():
    """Same superpixels, same samples: what differs is rounding, far below the spread over seeds."""
    few = {"model": "torchvision:resnet50", "images": "imagenet-samples", "num_samples": 50, "seeds": 1}
    gpu, cpu = (evaluate("lime", device=device, **few) for device in ("cuda", "cpu"))
    for on_gpu, on_cpu in zip(gpu, cpu, strict=True):
        np.testing.assert_array_equal(on_gpu["segments"].array, on_cpu["segments"].array)
        scale = np.abs(on_cpu["weights"].values).max()
        np.testing.assert_allclose(on_gpu["weights"].values, on_cpu["weights"].values, atol=0.02 * scale)
