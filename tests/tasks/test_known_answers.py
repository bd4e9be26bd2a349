"""A metric that misses a known answer stops the run. The tests break every metric in turn."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import runpy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import scipy.stats
import skimage.measure
from replaced_metrics import METRICS, MODULES, function, replace_everywhere

import xai_eval.explainers.hybrid_maps  # noqa: F401 (imports metrics as late as a task runs)
from xai_eval import evaluate, metrics
from xai_eval.cli.main import main
from xai_eval.errors import InputUnavailable, MetricMisbehaves, UsageError
from xai_eval.inputs.downloads import fixtures_folder
from xai_eval.metrics import faithfulness, focus, label_quality, paired, search
from xai_eval.metrics.geometry import Place
from xai_eval.metrics.labels import agreement
from xai_eval.metrics.localisation import hottest
from xai_eval.metrics.paired import PairedTest
from xai_eval.tasks.image import map_rows
from xai_eval.tasks.reference import check
from xai_eval.tasks.reference.check import answers, check_metrics
from xai_eval.tasks.reference.known_arguments import KNOWN_ARGUMENTS


@pytest.fixture(autouse=True)
def asked_anew():
    """Forget which metrics were already checked, before and after each test."""
    check_metrics.cache_clear()
    yield
    check_metrics.cache_clear()


def refusal(modules: tuple[str, ...] = MODULES) -> MetricMisbehaves:
    with pytest.raises(MetricMisbehaves) as caught:
        check_metrics(modules)
    return caught.value


def test_every_metric_gives_its_known_answers():
    check_metrics(MODULES)


def test_the_known_answers_equal_those_of_independent_references():
    stored = check._known_answers()
    found = runpy.run_path(str(fixtures_folder() / "known_answers.py"))["known_answers"]()
    assert list(found) == list(stored) == [f"{module}.{metric}" for module, metric in METRICS]
    for name, given in found.items():
        misses = [check._miss(*pair) for pair in zip(stored[name], given, strict=True)]
        assert not any(misses), (name, misses)


def test_every_public_function_of_the_metrics_has_known_answers():
    for module in pkgutil.iter_modules(metrics.__path__):
        home = importlib.import_module(f"xai_eval.metrics.{module.name}")
        own = {n for n, f in inspect.getmembers(home, inspect.isfunction) if f.__module__ == home.__name__}
        tables = {n for n, each in vars(home).items() if n.isupper() and isinstance(each, tuple | list | dict)}
        public = {name for name in own | tables if not name.startswith("_")}
        assert public == set(KNOWN_ARGUMENTS[f"metrics.{module.name}"])


def test_every_public_function_that_makes_rows_of_maps_is_asked():
    own = {n for n, f in inspect.getmembers(map_rows, inspect.isfunction) if f.__module__ == map_rows.__name__}
    assert own == set(KNOWN_ARGUMENTS["tasks.image.map_rows"])


PROPERTIES = [
    (home, name)
    for module in MODULES
    for _, home in inspect.getmembers(importlib.import_module(f"xai_eval.{module}"), inspect.isclass)
    if home.__module__ == f"xai_eval.{module}"
    for name, each in vars(home).items()
    if isinstance(each, property)
]


@pytest.mark.parametrize(("home", "name"), PROPERTIES, ids=lambda each: getattr(each, "__name__", each))
def test_a_property_that_misses_by_a_little_is_refused(home, name, monkeypatch):
    right = vars(home)[name].fget

    def missing(self):
        found = right(self)
        if isinstance(found, str | bool):
            return f"{found} " if isinstance(found, str) else not found
        return found + 5e-6 if isinstance(found, float) else found[::-1]

    monkeypatch.setattr(home, name, property(missing))
    assert refusal().exit_code == 3


def test_properties_of_metrics_are_found():
    assert {"beats", "better", "deletion", "overlap"} <= {name for _, name in PROPERTIES}


def wrong(answer: check.Answer) -> check.Answer:
    """Return a slightly different answer: off by five millionths, or another text."""
    if answer is None:
        return 0.0
    return f"{answer} " if isinstance(answer, str) else answer + 5e-6 * max(1.0, abs(answer))


@pytest.mark.parametrize(("module", "metric"), METRICS)
def test_a_metric_that_is_off_by_a_little_is_refused_by_name(module, metric, monkeypatch):
    right = function(module, metric)
    home = importlib.import_module(f"xai_eval.{module}")
    missing = [wrong(each) for each in answers(right)] if not callable(right) else None
    monkeypatch.setattr(home, metric, missing or (lambda *args: [wrong(each) for each in answers(right(*args))]))
    found = refusal((module,))
    assert found.metric == metric and found.exit_code == 3
    assert f"the metric {metric} (xai_eval.{module}) misses its known answer" in str(found)


@pytest.mark.parametrize(("module", "metric"), METRICS)
def test_a_metric_that_raises_is_refused_by_name(module, metric, monkeypatch):
    def raises(*_):
        raise TypeError("got an unexpected keyword argument")

    monkeypatch.setattr(importlib.import_module(f"xai_eval.{module}"), metric, raises)
    found = refusal((module,))
    assert found.metric == metric and "TypeError: got an unexpected keyword argument" in str(found)


Breaks = Callable[[Callable[..., Any]], Callable[..., Any]]


def then(change: Callable[[Any], Any]) -> Breaks:
    """Break a function by applying `change` to its result."""
    return lambda right: lambda *args, **named: change(right(*args, **named))


def given(change: Callable[[Any], Any]) -> Breaks:
    """Break a function by applying `change` to its first argument."""
    return lambda right: lambda first, *rest: right(change(first), *rest)


def changed(**values: Any) -> Breaks:
    return then(lambda found: dataclasses.replace(found, **values))


def first_of_the_hottest(saliency, mask, margin=(0, 0)):
    row, column = np.unravel_index(np.argmax(saliency), saliency.shape)
    top, left = max(0, row - margin[0]), max(0, column - margin[1])
    return bool(mask[top : row + margin[0] + 1, left : column + margin[1] + 1].any())


backwards = then(lambda found: found[::-1])
mirrored = then(lambda mask: mask[:, ::-1])

# Module, metric, and the way in which it is broken everywhere. A test on a few maps might not notice these faults.
BROKEN: Mapping[str, tuple[str, str, Breaks]] = {
    "half a cell is a whole one": ("metrics.localisation", "half_cell", given(lambda layer: np.divide(layer, 2))),
    "half a cell of the other axis": ("metrics.localisation", "half_cell", backwards),
    "the first of the hottest": ("metrics.localisation", "pointing_hit", lambda right: first_of_the_hottest),
    "no margin": ("metrics.localisation", "pointing_hit", lambda right: lambda *args: right(*args[:2])),
    "every map hits": ("metrics.localisation", "pointing_hit", then(lambda hit: True)),
    "no map hits": ("metrics.localisation", "pointing_hit", then(lambda hit: False)),
    "deletion is insertion": (
        "tasks.image.map_rows",
        "scored_row",
        then(lambda row: {**row, "deletion": row["insertion"], "insertion": row["deletion"]}),
    ),
    "against is for": ("tasks.image.map_rows", "displayed", then(lambda shown: 1 - shown)),
    "sweep": ("metrics.localisation", "iou_sweep", backwards),
    "hottest": ("metrics.localisation", "hottest", mirrored),
    "columns change places": (
        "tasks.image.map_rows", "map_row", then(lambda row: {**row, "energy_inside": row["iou_equal_area"]})
    ),
    "stability": ("metrics.stability", "stability", changed(overlaps=(0.5,))),
    "best superpixels": ("metrics.superpixels", "best_superpixels", backwards),
    "mask of an area": ("metrics.superpixels", "mask_of_area", mirrored),
    "tolerance over seeds": ("metrics.seeds", "seed_tolerance", changed(errors=9.0)),
    "down and across": (
        "metrics.geometry", "centre_of_mass", then(lambda place: place and Place(place.across, place.down))
    ),
    "shares of concepts": ("metrics.focus", "concept_shares", then(lambda shares: {"object": 0.3})),
    "interval": ("metrics.bootstrap", "mean_interval", changed(low=0.0)),
    "p-value": ("metrics.paired", "paired_test", changed(p=0.5)),
    "wins": ("metrics.paired", "paired_test", changed(wins=0)),
    "settings without a value": ("metrics.search", "mean_ranks", given(lambda values: np.nan_to_num(values, nan=9.0))),
    "winners": ("metrics.search", "winners", then(lambda places: places[:-1])),
    "least score": ("metrics.unit_labels", "interpretable", then(lambda units: units[units["score"] > 0.04])),
    "order of concepts": ("metrics.unit_labels", "top_concepts", then(lambda table: table[::-1])),
    "scenes are not left out": ("metrics.unit_labels", "unique_concepts", then(lambda names: (*names, "sky"))),
    "discoveries are not controlled": ("metrics.false_discovery", "discovery_rates", lambda right: np.asarray),
}  # fmt: skip

# Functions that metrics call, of this package or of a library: the metric that must be named, the module and attribute
# of the function, and the way in which it is broken.
PARTS: Mapping[str, tuple[str, Any, str, Breaks]] = {
    "no method beats another": ("paired_test", PairedTest, "beats", lambda _: property(lambda self: False)),
    "the worse method beats": (
        "paired_test", PairedTest, "beats", lambda _: property(lambda self: self.mean < 0 and self.p < 0.05)
    ),
    "accidents are significant": ("paired_test", paired, "SIGNIFICANT", lambda _: 0.055),
    "hardly anything is significant": ("paired_test", paired, "SIGNIFICANT", lambda _: 0.039),
    "objectives reversed": (
        "OBJECTIVES", search, "OBJECTIVES", lambda right: tuple(search.Objective(o.name, -o.sign) for o in right)
    ),
    "equal activations one by one": (
        "best_threshold", label_quality.np, "append", lambda right: lambda *_: True
    ),
    "words of a focus": ("focus", focus, "_place", given(lambda mask: mask[::-1])),
    "words of an insight": ("insight", focus, "_agreement", given(lambda overlap: overlap - 0.02)),
    "neighbours across corners": (
        "blobs", skimage.measure, "label", lambda right: lambda mask, connectivity: right(mask, connectivity=1)
    ),
    "mean colour": ("faithfulness", faithfulness, "_mean_colour", then(lambda plain: plain - (plain > 200))),
    "curves": ("faithfulness", faithfulness, "_blurred", lambda right: lambda pixels: pixels.copy()),
    "differences of 0": (
        "paired_test", scipy.stats, "wilcoxon", lambda right: lambda values: right(values, zero_method="pratt")
    ),
    "ranks of ties": (
        "mean_ranks", scipy.stats, "rankdata", lambda right: lambda values, axis: right(values, axis=axis, method="min")
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_metric_is_refused_by_name(fault, monkeypatch):
    module, metric, breaks = BROKEN[fault]
    right = function(module, metric)
    replace_everywhere(monkeypatch, right, breaks(right))
    assert refusal().metric == metric


@pytest.mark.parametrize("fault", PARTS)
def test_a_metric_made_of_a_broken_part_is_refused(fault, monkeypatch):
    metric, module, name, breaks = PARTS[fault]
    monkeypatch.setattr(module, name, breaks(getattr(module, name)))
    assert refusal().metric == metric


def test_a_refusal_tells_what_was_expected_what_came_and_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.import_module("xai_eval.metrics.localisation"), "half_cell", lambda *_: (7, 9))
    found = str(refusal())
    assert "expected 8.0, got 9.0" in found and "fixtures/known_answers.py" in found


def test_metrics_are_checked_once_per_process_and_again_after_a_refusal(monkeypatch):
    asked = []
    monkeypatch.setattr(check, "_check_metric", lambda *arguments: asked.append(arguments[:2]))
    for _ in range(3):
        check_metrics(("metrics.overlap",))
    assert asked == [("metrics.overlap", metric) for metric in KNOWN_ARGUMENTS["metrics.overlap"]]


def test_an_unknown_module_is_an_error_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"'metrics.overlaps'. Did you mean metrics.overlap"):
        check_metrics(("metrics.overlaps",))


def test_a_changed_file_of_known_answers_is_refused(monkeypatch):
    monkeypatch.setattr(check, "_known_answers", check._known_answers.__wrapped__)
    monkeypatch.setattr("xai_eval.inputs.downloads.file_sha256", lambda path: "0" * 64)
    with pytest.raises(InputUnavailable, match=r"known_answers\.json"):
        check_metrics(("metrics.overlap",))


def test_nothing_is_measured_with_a_broken_metric(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    replace_everywhere(monkeypatch, hottest, lambda saliency, area: ~hottest(saliency, area))
    with pytest.raises(MetricMisbehaves, match="the metric hottest"):
        evaluate("cams", images="scenes:1", device="cpu")
    assert main(["run", "cams", "--images", "scenes:1"]) == 3
    assert "the metric hottest (xai_eval.metrics.localisation) misses its known answer" in capsys.readouterr().err
    assert not list(tmp_path.rglob("result.json"))


def test_a_task_runs_if_only_metrics_that_it_does_not_use_are_broken(monkeypatch):
    (result,) = evaluate("cams", images="scenes:1", device="cpu", methods=["gradcam"])
    replace_everywhere(monkeypatch, agreement, lambda *_: None)
    check_metrics.cache_clear()
    (again,) = evaluate("cams", images="scenes:1", device="cpu", methods=["gradcam"])
    assert again.case.key == result.case.key
