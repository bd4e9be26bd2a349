"""The gate's own test of what must raise no alarm: the same model, images, libraries and process in another form.

`pytest -m slow tests/faults/test_harmless.py` prints the false alarms at its end, by task, model and kind. With
XAI_EVAL_DATA set, it tries every second one on a real MobileNetV2 or EfficientNet-Lite0 and a photograph, and with
`-m "slow or thorough"` the others.

A change runs on every network of a kind, but in one task of those that it names: the tasks, and the three transformers,
take turns.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import benign
import pytest
import same_answers
import same_images
import spelt_further
import spelt_networks
import spelt_transformers
import unseen_harmless
import written_otherwise
from faults.harmless_table import PROPERTY, outcome
from gate import PARAMETERS, SLIC, Bench
from harmless import IMAGENET, LITE0, OTHER_OUTPUTS, REAL, SCENES, TRANSFORMERS, Harmless
from turns import in_turns

from xai_eval.errors import XaiEvalError
from xai_eval.gate.judge import judge_all

SMALL = {
    **PARAMETERS,
    "cams": {"methods": ["gradcam", "xgradcam", "eigencam"]},
    "lime": {"num_samples": 40, "seeds": 2, "top_labels": 2, **SLIC},
    "comparison": {"num_samples": 40, **SLIC},
    "attributions": {"methods": ["saliency", "integrated_gradients"], "steps": 8},
    "dissection": {name: value for name, value in PARAMETERS["dissection"].items() if name != "layers"},
}
ON_PHOTOGRAPHS = {
    "cams": {"methods": ["gradcam", "eigencam"]},
    "lime": {"num_samples": 30, "seeds": 1, "top_labels": 2, **SLIC},
    "attributions": {"methods": ["saliency", "integrated_gradients"], "steps": 3},
}
PHOTOGRAPH = "n01443537_goldfish.JPEG"


@dataclass(frozen=True)
class OneImage(Bench):
    """Small evaluations of one image, except where a test names the folder."""

    name: str = "one"

    def _images(self, task: str) -> Path | str:
        return super()._images(task) if task == "dissection" else self.folder / self.name


@pytest.fixture(scope="session")
def small_benches(bench):
    """A bench for each bundled model and each network of other outputs, by its short name."""
    nets = Path(__file__).with_name("nets.py")
    specs = {
        **{name: f"scenes:{name}" for name in (SCENES, *TRANSFORMERS)},
        **{name: f"file:{nets}:{name}" for name in OTHER_OUTPUTS},
    }
    return {name: OneImage(spec, bench.folder, parameters=SMALL) for name, spec in specs.items()}


@pytest.fixture(scope="session")
def real_benches(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    (folder / "one").mkdir()
    shutil.copy(real_data / "imagenet-samples" / PHOTOGRAPH, folder / "one")
    files = {
        IMAGENET: real_data / "models" / "factories.py",
        LITE0: Path(__file__).parents[1] / "models/efficientnet_lite.py",
    }
    factories = {IMAGENET: "imagenet", LITE0: "lite0"}
    return {name: OneImage(f"file:{files[name]}:{factories[name]}", folder, parameters=ON_PHOTOGRAPHS) for name in REAL}


def alarm_of(judged):
    """The sentence of the first verdict that failed, or the error that the run ended with; empty if all is well."""
    try:
        failed = [verdict for verdict in judged() if verdict.failed]
    except XaiEvalError as error:
        return f"{type(error).__name__}: {error}"
    return failed[0].sentence if failed else ""


def verdicts(bench, change, task):
    """Judge what a task gives with a change in place, as results of the device that it stands for."""
    goldens = bench.goldens(task)
    results = {
        key: replace(each, provenance=replace(each.provenance, device=change.device))
        for key, each in bench.run(task, change.inject, **change.options).items()
    }
    return judge_all(results, goldens)


def noted(record_property, alarm, *pair):
    record_property(PROPERTY, outcome(*pair, alarm=bool(alarm)))
    assert not alarm, alarm


# --- changes that were tried from the beginning ----------------------------------------------------------------------

KNOWN = [(kind, each) for kind, of in (("process", benign), ("spelling", written_otherwise)) for each in of.CHANGES]
QUICK = (*benign.CHANGES[1:4], *written_otherwise.CHANGES[1:3])


@pytest.mark.parametrize(
    ("kind", "change", "task"),
    [
        pytest.param(
            kind,
            change,
            task,
            id=f"{change.name}-{task}",
            marks=() if task == "cams" and change in QUICK else pytest.mark.slow,
        )
        for kind, change in KNOWN
        for task in change.tasks
    ],
)
def test_a_harmless_change_raises_no_alarm(bench, kind, change, task, record_property):
    alarm = alarm_of(lambda: bench.verdicts(task, change.inject, **change.options))
    noted(record_property, alarm, kind, SCENES, task)


# --- other words for the same, on several networks -------------------------------------------------------------------

CHANGES: tuple[Harmless, ...] = (
    *spelt_networks.CHANGES,
    *spelt_transformers.CHANGES,
    *same_answers.CHANGES,
    *spelt_further.CHANGES,
    *unseen_harmless.CHANGES,
)
RARELY = spelt_further.RARELY | {change.name for change in unseen_harmless.CHANGES}
OFTEN = {"the last stage in Sequential", "features and classifier", "rank correlation by NumPy"}


def turns(models):
    """The networks that a change is tried on: of the transformers one in turn, else all of these; in one task each."""
    pairs = []
    for number, change in enumerate(CHANGES):
        transformers = [name for name in change.models if name in TRANSFORMERS]
        left_out = set(transformers) - set(transformers[number % len(transformers) :][:1] if transformers else ())
        for model in (name for name in change.models if name in models and name not in left_out):
            tasks = [task for task in change.tasks if model not in REAL or task in ON_PHOTOGRAPHS]
            pairs += [(change, model, tasks[number % len(tasks)])] if tasks else []
    return pairs


def named(pairs):
    return [pytest.param(*pair, id="-".join((pair[0].name, *pair[1:])), marks=marks_of(pair[0].name)) for pair in pairs]


def named_in_turns(pairs):
    """Every second pair; the others are tried by a thorough run."""
    return in_turns([[pair] for pair in pairs], every=2)


def marks_of(name):
    if name in OFTEN:
        return ()
    return pytest.mark.thorough if name in RARELY else pytest.mark.slow


@pytest.mark.parametrize(("change", "model", "task"), named(turns((SCENES, *TRANSFORMERS, *OTHER_OUTPUTS))))
def test_the_same_in_other_words_raises_no_alarm(small_benches, change, model, task, record_property):
    alarm = alarm_of(lambda: verdicts(small_benches[model], change, task))
    noted(record_property, alarm, change.kind, model, task)


@pytest.mark.real
@pytest.mark.parametrize(("change", "model", "task"), named_in_turns(turns(REAL)))
def test_the_same_in_other_words_on_photographs(real_benches, change, model, task, record_property):
    alarm = alarm_of(lambda: verdicts(real_benches[model], change, task))
    noted(record_property, alarm, change.kind, model, task)


# --- the same images -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def several(bench):
    return OneImage(bench.model, bench.folder, parameters=SMALL, name="several")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "task"),
    [
        pytest.param(change, change.tasks[number % len(change.tasks)], id=change.name)
        for number, change in enumerate(same_images.CHANGES)
    ],
)
def test_the_same_images_raise_no_alarm(several, tmp_path, change, task, record_property):
    folder = tmp_path / "several"
    shutil.copytree(several.folder / "several", folder)
    folder = change.change(folder) or folder
    moved = OneImage(several.model, folder.parent, parameters=SMALL, name=folder.name)
    alarm = alarm_of(lambda: judge_all(moved.run(task), several.goldens(task)))
    noted(record_property, alarm, "set", SCENES, task)
