"""However many models a suite names, one of them is in memory at a time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from xai_eval.inputs.models import models
from xai_eval.result.result import Result
from xai_eval.run.kept import NOTHING_KEPT
from xai_eval.run.plan import Plan
from xai_eval.run.resume import kept_results
from xai_eval.run.run_plans import Progress, run
from xai_eval.run.suite import Inputs, Request, completed, plan_all, requests_of
from xai_eval.run.suite_cases import Suite
from xai_eval.settings.read import load_settings
from xai_eval.store.run_folder import RunFolder

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

NETS = """
import torch
from torch import nn

def _net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

def one(): return _net(1)
def two(): return _net(2)
def three(): return _net(3)
"""
SUITE = """
models = ["file:nets.py:one", "file:nets.py:two", "file:nets.py:three"]
images = "scenes:2"
device = "cpu"

[[suite]]
task = "cams"
methods = ["gradcam"]

[[suite]]
task = "cams"
methods = ["hirescam"]
"""
TOLERANCES = "\n[tolerances.cams]\ngradcam = { largest = 0.1 }\nhirescam = { largest = 0.1 }\n"


class Living:
    """Counts the models that were loaded, and those of them that are still in memory."""

    def __init__(self) -> None:
        self.modules: list[weakref.ref[nn.Module]] = []
        self.most = 0

    def note(self, module: nn.Module) -> None:
        self.modules.append(weakref.ref(module))
        self.count()

    def count(self) -> int:
        gc.collect()
        alive = sum(each() is not None for each in self.modules)
        self.most = max(self.most, alive)
        return alive


@pytest.fixture
def few_objects() -> Iterator[None]:
    """Let the garbage collector look only at what comes from now on: a long session has millions of objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def living(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_objects: None) -> Living:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "xai_eval.toml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    seen, load = Living(), models.load_file_model

    def noted(rest: str, output: object = None) -> object:
        loaded = load(rest, output)  # type: ignore[arg-type]
        seen.note(loaded.module)
        return loaded

    monkeypatch.setattr(models, "_ASKING", {**models._ASKING, "file": noted})
    return seen


def planned() -> list[Plan]:
    settings = load_settings()
    return plan_all(requests_of([completed(each, settings) for each in settings.suite], settings))


def watched(living: Living) -> Progress:
    def progress(results: Iterator[Result], total: int, name: str) -> Iterator[Result]:
        for result in results:
            assert living.count() == 1
            yield result

    return progress


@pytest.mark.parametrize("tolerances", ["", TOLERANCES])
def test_a_run_holds_one_model_and_loads_each_once_more_than_it_checks_it(living: Living, tolerances: str) -> None:
    Path("xai_eval.toml").write_text(SUITE + tolerances)
    plans = planned()
    checked = len(living.modules)
    assert (living.count(), living.most) == (1, 1)
    folder = RunFolder(Path("reports"))
    record = run(plans, folder, watched(living), NOTHING_KEPT)
    assert (record.planned, len(folder.load(Result.load)[0])) == (12, 12)
    assert living.most == 1
    assert len(living.modules) - checked <= 3 + 1  # the model that was checked last is loaded once more


def test_a_resumed_run_holds_one_model(living: Living) -> None:
    folder = RunFolder(Path("reports"))
    run(planned(), folder, watched(living), NOTHING_KEPT)
    before = {key: each.digest for key, each in folder.load(Result.load)[0].items()}
    removed = sorted(before)[::2]
    for key in removed:
        (folder.folder_of(key) / "result.json").unlink()
    plans = planned()
    kept = kept_results(plans, folder)
    assert len(kept.keys) == 6
    run(plans, folder, watched(living), kept)
    assert {key: each.digest for key, each in folder.load(Result.load)[0].items()} == before
    assert living.most == 1


def test_the_tests_of_a_suite_hold_one_model(living: Living) -> None:
    suite = Suite(load_settings())
    assert len(suite.cases) == 12
    for case in suite.cases:
        assert len(suite.compute(case).results) == 1
        assert living.count() == 1
    assert len(living.modules) == 6  # once per task and model: the cases of one model follow each other


def test_one_model_is_loaded_once(living: Living) -> None:
    Path("xai_eval.toml").write_text(SUITE.replace(', "file:nets.py:two", "file:nets.py:three"', ""))
    run(planned(), RunFolder(Path("reports")), watched(living), NOTHING_KEPT)
    assert len(living.modules) == 1


def test_a_model_that_refers_to_itself_leaves_before_the_next_one_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[weakref.ref[nn.Module]] = []

    def load(name: str, device: str) -> SimpleNamespace:
        assert all(each() is None for each in loaded)
        module = nn.Linear(1, 1)
        module.register_forward_hook(lambda *_: module.extra_repr())
        loaded.append(weakref.ref(module))
        return SimpleNamespace(module=module)

    monkeypatch.setattr(models, "load_model", load)
    inputs = Inputs()
    for name in ("one", "two", "two", "one"):
        inputs.model(Request("cams", model=name, device="cpu"))
    assert len(loaded) == 3
