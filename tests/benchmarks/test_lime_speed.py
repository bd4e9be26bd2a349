"""How much faster lime's loop and the search over its settings are than the plain library, measured in one run.

    pytest -m benchmark --benchmark-enable tests/benchmarks/test_lime_speed.py -s

Times depend on the machine and what else it does, so the ratio is printed and kept, and equality is asserted.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from lime.lime_image import LimeImageExplainer
from numpy.typing import NDArray
from PIL import Image
from stock_lime import stock_lime, stock_weights

from xai_eval.explainers.lime.lime import LimeSettings, _Explainer, explain_by_lime
from xai_eval.explainers.lime.lime_search import Grid, search
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import choose_segmentation
from xai_eval.inputs.models.preprocessing import normalised
from xai_eval.scenes import render

SAMPLES = 1000


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """A scene of the size of ImageNet's images."""
    return np.asarray(Image.fromarray(render(3).pixels).resize((224, 224), Image.Resampling.BICUBIC))


def free_model(views: torch.Tensor) -> torch.Tensor:
    """Probabilities that cost nothing: the mean of a few pixels."""
    share = views[:, ::32, ::32].double().mean(dim=(1, 2, 3)) / 255.0
    return torch.stack([share, 1 - share], dim=1)


@pytest.mark.benchmark
def test_lime_s_own_work_per_sample(pixels: NDArray[np.uint8], benchmark: Any) -> None:
    """1,000 samples of 100 superpixels, none of which is drawn twice, with a model that costs nothing."""
    cut = choose_segmentation("slic", 0)
    segments = cut(pixels)
    hidden = np.full_like(pixels, 128)

    def ours() -> Any:
        return _Explainer(0, PerturbedImages(free_model, 10)).data_labels(pixels, hidden, segments, None, SAMPLES)

    samples, predicted = benchmark.pedantic(ours, rounds=5, warmup_rounds=1)
    library = LimeImageExplainer(random_state=0)
    start = time.perf_counter()
    stock_samples, stock_predicted = library.data_labels(
        pixels, hidden, segments, lambda v: free_model(torch.from_numpy(v)).numpy(), SAMPLES
    )
    report("lime's loop over 1,000 samples", time.perf_counter() - start, benchmark)
    np.testing.assert_array_equal(samples, stock_samples)
    np.testing.assert_allclose(predicted, stock_predicted, rtol=0, atol=1e-12)
    stock = stock_lime(pixels, lambda v: free_model(torch.from_numpy(v)).numpy(), segmentation_fn=cut)
    weights = explain_by_lime(pixels, PerturbedImages(free_model, 10), cut, LimeSettings())[0].surrogates
    for label in stock.top_labels:
        np.testing.assert_allclose(weights[label].weights, stock_weights(stock, label), rtol=0, atol=1e-9)


@pytest.mark.benchmark
def test_search(pixels: NDArray[np.uint8], benchmark: Any) -> None:
    """All 324 settings of the study on ResNet18 against plain lime on six of them, drawn at random."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18().eval()

    def predict(views: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return net(normalised(views, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))).softmax(dim=1)

    grid = Grid()

    def ours() -> Any:
        found = search(pixels, PerturbedImages(predict, max(grid.batch_size)), grid)
        for setting in grid.settings:
            for label in found.top_labels(setting):
                found.surrogate(setting, label)
        return found

    found = benchmark.pedantic(ours, rounds=1)
    cells = [grid.settings[i] for i in np.random.default_rng(0).choice(len(grid.settings), 6, replace=False)]
    start = time.perf_counter()
    for cell in cells:
        named = cell.segmentation != "none"
        stock = stock_lime(
            pixels,
            lambda v: predict(torch.from_numpy(v)).numpy(),
            segmentation_fn=choose_segmentation(cell.segmentation, 0) if named else None,
            num_samples=cell.num_samples,
            num_features=cell.num_features,
            top_labels=cell.top_labels,
            batch_size=cell.batch_size,
        )
        # Batches of other sizes round otherwise; the library's own answers differ by as much between its batch sizes.
        for label in stock.top_labels:
            weights = found.surrogate(cell, label).weights
            np.testing.assert_allclose(weights, stock_weights(stock, label), rtol=0, atol=1e-6)
    seconds = (time.perf_counter() - start) / len(cells) * len(grid.settings)
    report("search over 324 settings (stock: six of them, times 54)", seconds, benchmark)


def report(what: str, stock_seconds: float, benchmark: Any) -> None:
    if benchmark.stats:  # absent where benchmarks are disabled
        fast = benchmark.stats.stats.median
        benchmark.extra_info["ratio"] = stock_seconds / fast
        print(f"\n{what}: stock {stock_seconds:.1f} s, fast {fast:.3f} s, ratio {stock_seconds / fast:.1f}")
