"""Goldens are kept in the repository for ever, so that they must stay small: 50 KB a case."""

from pathlib import Path

import pytest

from xai_eval import evaluate

LIMIT = 50_000
GOLDENS = sorted(path.parent for path in (Path(__file__).parents[2] / "golden").rglob("result.json"))
TASKS = {
    "cams": {"images": "scenes:1"},
    "attributions": {"images": "scenes:1", "steps": 4, "samples": 4},
    "lime": {"images": "scenes:1", "num_samples": 50},
    "comparison": {"images": "scenes:1", "num_samples": 50},
    "hybrid": {"images": "scenes:1", "num_samples": 50},
    "lime_search": {"images": "scenes:1", "grid": {"num_samples": [50], "segmentation": ["slic", "felzenszwalb"]}},
    "dissection": {"images": "scenes:32", "shuffles": 1},
}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != "accepted.json")


@pytest.mark.parametrize("folder", GOLDENS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_golden_is_large(folder):
    assert size(folder) <= LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_what_would_be_accepted_today_is_not_large(task, tmp_path):
    for result in evaluate(task, device="cpu", **TASKS[task]):
        kept = result.condensed().save(tmp_path / result.case.id)
        sketches = sum(stage.sketch is not None for stage in result.stages.values())
        print(f"{result.case.key}: {size(kept)} bytes, {len(result.stages)} stages, {sketches} with a sketch")
        assert size(kept) <= LIMIT
