"""Every task is run once, small: which metrics it calls, and which step computes each of its stages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from replaced_metrics import METRICS, function, replace_everywhere

import xai_eval.explainers.hybrid_maps  # noqa: F401 (imports metrics as late as a task runs)
from xai_eval import evaluate
from xai_eval.gate.movement import EQUAL
from xai_eval.gate.stages import responsible
from xai_eval.result.result import Result
from xai_eval.result.stage import StageKind
from xai_eval.tasks import all_tasks, find_task
from xai_eval.tasks.reference.check import check_metrics

SLIC = {"segmentation": "slic", "segmentation_parameters": {"n_segments": 12}}
GRID = {
    "segmentation": ["slic", "felzenszwalb"],
    "num_samples": [20, 30],
    "num_features": [15_000],
    "top_labels": [3],
    "batch_size": [10],
}
SMALL: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "cams": ("scenes:1", {"methods": ["gradcam", "eigencam"]}),
    "attributions": ("scenes:1", {"steps": 4, "samples": 3, "window": 0.5}),
    "lime": ("scenes:1", {"num_samples": 40, "seeds": 2, **SLIC}),
    "comparison": ("scenes:2", {"num_samples": 40, **SLIC}),
    "hybrid": ("scenes:1", {"num_samples": 20, **SLIC}),
    "lime_search": ("scenes:1", {"grid": GRID}),
    "dissection": ("scenes:12", {"layers": ["layer3", "layer4"], "shuffles": 1, "top_k": 4, "batch_size": 8}),
}


@functools.cache
def small_run(task: str) -> tuple[list[Result], set[str]]:
    """Return the results of a task, and the modules of the metrics that it called."""
    called = set[str]()

    def noting(module: str, right: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **named: called.add(module) or right(*args, **named)

    check_metrics(find_task(task).metrics)
    images, parameters = SMALL[task]
    with pytest.MonkeyPatch.context() as patch:
        for module, right in ((module, function(module, metric)) for module, metric in METRICS):
            if callable(right):
                replace_everywhere(patch, right, noting(module, right))
        return list(evaluate(task, images=images, device="cpu", **parameters)), called


def test_every_task_is_in_the_table_of_small_runs():
    assert set(SMALL) == set(all_tasks())


@pytest.mark.parametrize("task", SMALL)
def test_a_task_names_the_modules_of_all_metrics_that_it_calls(task):
    _, called = small_run(task)
    assert called and called <= set(find_task(task).metrics)


@pytest.mark.parametrize("task", SMALL)
def test_every_stage_has_a_step_whose_inputs_are_earlier_stages(task):
    results, _ = small_run(task)
    assert results
    for result in results:
        stages = list(result.stages)
        for place, stage in enumerate(stages):
            found = responsible(stage, dict.fromkeys(stages[:place], EQUAL))
            assert isinstance(stage.kind, StageKind), stage
            assert not found.unknown, f"{stage}: {found}"
            assert found.held or found.given, stage
