"""Faults in what is measured from maps, masks and weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from fault import IMAGE_TASKS, Fault, everywhere, replaced

from xai_eval.metrics import faithfulness as faithfulness_module
from xai_eval.metrics.bootstrap import mean_interval
from xai_eval.metrics.comparison import superpixel_correlation
from xai_eval.metrics.faithfulness import area_under, faithfulness
from xai_eval.metrics.false_discovery import discovery_rates
from xai_eval.metrics.focus import insight
from xai_eval.metrics.geometry import Place, centre_distance, centre_of_mass
from xai_eval.metrics.label_quality import judge_label
from xai_eval.metrics.localisation import energy_inside, half_cell, hottest, iou_at_equal_area, iou_sweep, pointing_hit
from xai_eval.metrics.overlap import dice, iou_beyond_chance
from xai_eval.metrics.search import trust, winners
from xai_eval.metrics.stability import stability
from xai_eval.metrics.superpixels import best_superpixels, mask_of_area
from xai_eval.result.fields import Measures
from xai_eval.result.map_similarity import iou
from xai_eval.result.stage import StageKind
from xai_eval.tasks import cam_results as cams_task
from xai_eval.tasks.image.map_rows import map_row
from xai_eval.tasks.image.subject import Subject
from xai_eval.tasks.lime import lime_results, lime_runs

TABLE_TASKS = ("cams", "lime", "hybrid")
CURVE_TASKS = ("hybrid", "lime_search")


def always(value: Any) -> Any:
    return lambda _original: lambda *_args, **_options: value


def then(change: Any) -> Any:
    return lambda original: lambda *args, **options: change(original(*args, **options))


def first_part_only(original: Any) -> Any:
    """Curves of which only the first steps were measured."""

    def curves(saliency: Any, pixels: Any, predict: Any, label: int, steps: int = 20) -> Any:
        found = original(saliency, pixels, predict, label, steps)
        for curve in (found.deletion_curve, found.insertion_curve):
            curve[5:] = curve[4]
        return found

    return curves


def swapped_maps(original: Any) -> Any:
    def fields(mask: Any, maps: Any) -> Any:
        names, values = list(maps), list(maps.values())
        return original(mask, dict(zip(names, [*values[1:], values[0]], strict=True)))

    return fields


def flattened(original: Any) -> Any:
    return property(lambda self: np.sqrt(original.func(self)) / np.sqrt(original.func(self)).sum())


def doubled(table: Any) -> Any:
    values = zip(table.frame["measure"], 2 * table.frame["value"], strict=True)
    return Measures.of(dict(values), table.tolerance)


def metric(name: str, tasks: tuple[str, ...], inject: Any, source: str = "") -> Fault:
    return Fault(name, "metric", tasks, StageKind.MEASURES, inject, source)


def refused(name: str, tasks: tuple[str, ...], function: Any, make: Any, source: str = "") -> Fault:
    """A metric that misses its known answer: the run refuses, and names it."""
    return Fault(name, "metric", tasks, f"metric {function.__name__}", everywhere(function, make), source)


def by_the_smaller(_original: Any) -> Any:
    return lambda first, second: float((first & second).sum() / max(1, min(first.sum(), second.sum())))


def upside_down(original: Any) -> Any:
    return lambda saliency, mask, *rest: original(saliency[::-1], mask, *rest)


def first_of_the_hottest(original: Any) -> Any:
    def hit(saliency: Any, *rest: Any) -> Any:
        only = np.zeros_like(saliency)
        only[np.unravel_index(np.argmax(saliency), saliency.shape)] = 1.0
        return original(only, *rest)

    return hit


def turned(place: Any) -> Any:
    return place and Place(place.across, place.down)


def from_the_mean(interval: Any) -> Any:
    return dataclasses.replace(interval, low=interval.mean)


def flattered(quality: Any) -> Any:
    return dataclasses.replace(quality, correlation=abs(quality.correlation) ** 0.5)


def other_columns(original: Any) -> Any:
    def row(*args: Any) -> Any:
        found = dict(original(*args))
        if "energy_inside" in found:
            found["energy_inside"], found["iou_equal_area"] = found["iou_equal_area"], found["energy_inside"]
        return found

    return row


FAULTS = (
    refused("every map hits", TABLE_TASKS, pointing_hit, always(True)),
    refused("no map hits", TABLE_TASKS, pointing_hit, always(False)),
    refused("energy is squared", TABLE_TASKS, energy_inside, then(lambda share: share**2)),
    refused("energy is always the same", TABLE_TASKS, energy_inside, always(0.5)),
    refused("overlap at equal area is always the same", TABLE_TASKS, iou_at_equal_area, always(0.4)),
    refused("the coldest pixels", ("cams", "comparison", "hybrid"), hottest, lambda o: lambda s, n: o(-s, n)),
    refused("overlap is Dice", ("cams", "comparison"), iou, then(lambda share: 2 * share / (1 + share))),
    refused("every threshold is the same", ("cams",), iou_sweep, then(lambda ious: (ious[0],) * len(ious))),
    refused("Dice is always 1", ("comparison",), dice, always(1.0)),
    refused("chance is left out", ("comparison",), iou_beyond_chance, lambda _: iou),
    refused("ranks always agree", ("comparison",), superpixel_correlation, always(1.0)),
    refused("distance in pixels", ("comparison", "lime_search"), centre_distance, then(lambda share: share * 64)),
    refused("only the first batch is scored", CURVE_TASKS, faithfulness, first_part_only, "19"),
    refused("area by another norm", CURVE_TASKS, area_under, then(lambda area: area * 0.9), "20"),
    Fault(
        "removals are not kept",
        "metric",
        CURVE_TASKS,
        "metric faithfulness",
        replaced(faithfulness_module, "_mean_colour", lambda _: lambda p: p.copy()),
        "20",
    ),
    refused("seeds always agree", ("lime",), stability, lambda o: lambda w, s: o(np.repeat(w[:1], len(w), axis=0), s)),
    refused(
        "the worst superpixels",
        ("lime", "comparison", "lime_search"),
        best_superpixels,
        lambda o: lambda w, n: o(-w, n),
    ),
    refused(
        "one superpixel more", ("comparison", "lime_search"), mask_of_area, lambda o: lambda w, s, a: o(w, s, a + 0.1)
    ),
    refused("the worst setting wins", ("lime_search",), winners, lambda o: lambda v, objective: o(-v, objective)),
    refused("every objective is trusted", ("lime_search",), trust, always(1.0)),
    Fault(
        "a softer softmax",
        "metric",
        IMAGE_TASKS,
        StageKind.PROBABILITIES,
        replaced(Subject, "probabilities", flattened),
    ),
    metric("a table of stability made wrongly", ("lime",), replaced(lime_results, "_stability", then(doubled))),
    metric("warnings come later", ("lime",), replaced(lime_runs, "LEAST_R2", lambda least: least - 0.1)),
    metric("maps of two methods change places", ("cams",), replaced(cams_task, "_map_fields", swapped_maps)),
    refused("overlap by the smaller mask", ("cams", "comparison", "hybrid"), iou, by_the_smaller),
    refused("the pointing game is upside down", TABLE_TASKS, pointing_hit, upside_down),
    refused("area is a sum of steps", CURVE_TASKS, area_under, lambda _: lambda curve: float(curve.mean())),
    refused("two columns change places", TABLE_TASKS, map_row, other_columns),
    refused("half a cell is a whole one", TABLE_TASKS, half_cell, then(lambda half: (2 * half[0], 2 * half[1]))),
    refused("the first of the hottest pixels", TABLE_TASKS, pointing_hit, first_of_the_hottest),
    refused("across and down change places", ("comparison", "lime_search"), centre_of_mass, then(turned)),
    refused("an interval begins at the mean", ("comparison", "hybrid"), mean_interval, then(from_the_mean)),
    refused("insight sees more than there is", ("comparison",), insight, lambda o: lambda x, *r: o(x + 0.02, *r)),
    refused("false discoveries are not controlled", ("dissection",), discovery_rates, lambda _: np.asarray),
    refused("the quality of a label is flattered", ("dissection",), judge_label, then(flattered)),
)
