"""The goldens of the CPU hold on a GPU that rounds as TF32 does, which is simulated here.

Because all bundled tasks are computed here as a user would, this is also where the size of their results is asked.
"""

import dataclasses
from pathlib import Path

import pytest
import torch
from evaluation.test_golden_sizes import LIMIT, size
from tf32 import rounded, tf32

from xai_eval import evaluate
from xai_eval.gate.judge import judge_all
from xai_eval.result.result import Result

GOLDENS = Path(__file__).parents[2] / "golden"
TASKS = ("cams", "attributions", "lime", "lime_search", "comparison", "hybrid", "dissection")
ALL_METHODS = ("gradcam", "gradcam++", "xgradcam", "layercam", "hirescam", "eigencam", "eigengradcam")


def on_gpu(results):
    """The results as a GPU would have given them, by key."""
    return {
        each.case.key: dataclasses.replace(each, provenance=dataclasses.replace(each.provenance, device="NVIDIA H100"))
        for each in results
    }


def failed(results, goldens):
    return [verdict.sentence for verdict in judge_all(on_gpu(results), goldens) if verdict.failed]


def test_numbers_are_rounded_to_ten_bits():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    found = rounded(values)
    assert ((found - values).abs() <= values.abs() * 2.0**-11).all() and not torch.equal(found, values)
    assert torch.equal(rounded(found), found)
    assert torch.equal(rounded(torch.tensor([1.0, -0.5, 0.0])), torch.tensor([1.0, -0.5, 0.0]))


@pytest.fixture(scope="module", params=TASKS)
def found(request):
    with tf32():
        return list(evaluate(request.param, device="cpu"))


@pytest.mark.slow
def test_bundled_goldens_hold_in_tf32(found):
    goldens = [Result.load(folder) for folder in sorted((GOLDENS / found[0].case.task).iterdir())]
    assert len(found) == len(goldens)
    assert not failed(found, {each.case.key: each for each in goldens})


@pytest.mark.slow
def test_what_would_be_accepted_today_is_not_large(found, tmp_path):
    for result in found:
        kept = result.condensed().save(tmp_path / result.case.id)
        sketches = sum(stage.sketch is not None for stage in result.stages.values())
        print(f"{result.case.key}: {size(kept)} bytes, {len(result.stages)} stages, {sketches} with a sketch")
        assert size(kept) <= LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("model", ["scenes:objects", "scenes:vit", "scenes:vit_pooled", "scenes:swin"])
def test_every_method_holds_on_every_bundled_network(model):
    asked = {"model": model, "images": "scenes:2", "device": "cpu", "methods": ALL_METHODS}
    goldens = {each.case.key: each.condensed() for each in evaluate("cams", **asked)}
    with tf32():
        found = list(evaluate("cams", **asked))
    assert not failed(found, goldens)


@pytest.mark.slow
def test_the_simulation_changes_activations_as_tf32_does():
    """By about 1e-3: if it rounded nothing, every test here would pass."""
    plain = next(iter(evaluate("cams", images="scenes:1", device="cpu")))
    with tf32():
        other = next(iter(evaluate("cams", images="scenes:1", device="cpu")))
    changes = {str(stage): each.distance(plain.stages[stage]) for stage, each in other.stages.items()}
    assert 1e-4 < changes["layer activations"] < 5e-3 and 1e-5 < changes["logits"] < 5e-3
