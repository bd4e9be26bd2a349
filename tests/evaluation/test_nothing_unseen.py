"""Every field, column, stage and record of every task is compared, or declared not to be, with the reason."""

import dataclasses
from pathlib import Path

import pytest
from evaluation.changed_parts import changed_parts
from evaluation.uncompared import FIELDS, STAGES, WITH_OTHERS

from xai_eval import evaluate
from xai_eval.gate.changes import changes_between
from xai_eval.gate.judge import judge
from xai_eval.gate.stage_table import rules_of
from xai_eval.gate.verdict import State
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import bundled

ONE, LIME = {"images": "scenes:1"}, {"images": "scenes:1", "num_samples": 60}
TASKS = {
    "cams": {**ONE, "methods": ["gradcam"]},
    "attributions": {**ONE, "methods": ["saliency", "integrated_gradients"], "steps": 4},
    "lime": {**LIME, "seeds": 2},
    "comparison": LIME,
    "hybrid": LIME,
    "lime_search": {**ONE, "grid": {"num_samples": [40], "segmentation": ["slic", "felzenszwalb"]}},
    "dissection": {"images": "scenes:16", "shuffles": 1, "layers": ["layer4"]},
}
QUICK = ("cams", "dissection")
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in TASKS]


@pytest.fixture(scope="module", params=EVERY)
def results(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return list(evaluate(request.param, device="cpu", **TASKS[request.param]))


def test_every_bundled_task_is_asked():
    modules = {path.stem for path in Path(bundled.__file__).parent.glob("*.py")}
    assert set(TASKS) == modules - {"__init__", "recorded", "shared_parameters"}


def test_every_change_of_a_field_or_a_column_is_noticed_or_declared(results):
    for result in results:
        golden = result.condensed()
        for name, field in result.fields.items():
            for part, other in changed_parts(field):
                changed = dataclasses.replace(result, fields={**result.fields, name: other})
                found = [each for each in judge(changed, golden).findings if each.field == name]
                assert bool(found) != ((name, part) in FIELDS), (result.case.input, name, part)


def test_every_stage_fails_a_case_or_is_declared_not_to(results):
    for result in results:
        for stage in result.stages:
            other = dataclasses.replace(result, stages={**result.stages, stage: fingerprint_text("another")})
            failed = judge(other, result.condensed()).state is State.DRIFT
            assert failed != (stage.kind in {**STAGES, **WITH_OTHERS}), str(stage)


def test_all_kinds_of_stages_that_never_fail_are_declared():
    assert {kind for kind in StageKind if not rules_of(Stage(kind)).alarms} == set(STAGES)


def test_every_record_of_how_it_was_computed_is_told(results):
    for result in results:
        was = result.provenance
        for part in ("digests", "parameters", "versions", "precision"):
            for name, value in getattr(was, part).items():
                changed = {**getattr(was, part), name: _another(value)}
                now = dataclasses.replace(result, provenance=dataclasses.replace(was, **{part: changed}))
                assert changes_between(now, result), name


def _another(value):
    return {**value, "digest": "another"} if isinstance(value, dict) and "digest" in value else f"not {value}"


def test_every_exception_has_a_reason():
    assert all(reason and not reason.endswith(".") for reason in (*FIELDS.values(), *STAGES.values()))
