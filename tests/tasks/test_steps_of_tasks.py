"""For every stage of every task it is known which step computes it."""

import pytest

from xai_eval import evaluate
from xai_eval.gate.movement import EQUAL
from xai_eval.gate.stages import responsible
from xai_eval.result.stage import StageKind
from xai_eval.tasks import all_tasks

SLIC = {"segmentation": "slic", "segmentation_parameters": {"n_segments": 12}}
PARAMETERS = {
    "cams": {"methods": ["gradcam", "eigencam"]},
    "attributions": {"steps": 4, "samples": 3, "window": 0.5},
    "lime": {"num_samples": 40, "seeds": 2, **SLIC},
    "comparison": {"num_samples": 40, **SLIC},
    "hybrid": {"num_samples": 20, **SLIC},
    "lime_search": {"grid": {"segmentation": ["slic", "felzenszwalb"], "num_samples": [30, 40]}},
    "dissection": {"layers": ["layer3", "layer4"], "shuffles": 1, "top_k": 4, "batch_size": 8},
}


@pytest.mark.parametrize("task", all_tasks())
def test_every_stage_has_a_step_whose_inputs_are_earlier_stages(task):
    for result in evaluate(task, images="scenes:24" if task == "dissection" else "scenes:1", **PARAMETERS[task]):
        stages = list(result.stages)
        for place, stage in enumerate(stages):
            found = responsible(stage, dict.fromkeys(stages[:place], EQUAL))
            assert isinstance(stage.kind, StageKind), stage
            assert not found.unknown, f"{stage}: {found}"
            assert found.held or found.given, stage
