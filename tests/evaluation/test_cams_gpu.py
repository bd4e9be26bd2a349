"""The full evaluation: ResNet50 on the ten ImageNet photographs, on a GPU."""

import pytest

from xai_eval import evaluate, judge

pytestmark = pytest.mark.gpu

METHODS = ("gradcam", "scorecam", "ablationcam")


@pytest.fixture(scope="module")
def explained():
    return evaluate("cams", model="torchvision:resnet50", images="imagenet-samples", device="cuda")


def test_every_photograph_has_three_maps_that_mean_something(explained):
    assert len(explained) >= 10
    for result in explained:
        assert {m: result[m].degenerate for m in METHODS} == dict.fromkeys(METHODS)
        assert result.provenance.device != "cpu"


def test_the_gpu_explains_as_the_cpu_does(explained):
    """One golden serves all devices: the CPU's result judges the GPU's."""
    photographs = {"model": "torchvision:resnet50", "images": "imagenet-samples", "methods": ["gradcam"]}
    for cpu, gpu in zip(*(evaluate("cams", device=d, **photographs) for d in ("cpu", "cuda")), strict=True):
        verdict = judge(gpu, cpu)
        assert not verdict.failed, verdict.sentence
