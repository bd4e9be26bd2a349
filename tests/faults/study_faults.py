"""Faults in the studies that combine or search explanations: comparison, hybrid, lime_search."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from fault import POOLED, RESNET, Fault, column, everywhere, reframed, replaced, scaled

from xai_eval.explainers import hybrid_maps
from xai_eval.metrics import faithfulness as faithfulness_module
from xai_eval.metrics import focus as sentences
from xai_eval.metrics.faithfulness import faithfulness
from xai_eval.metrics.paired import paired_test
from xai_eval.metrics.search import Objective, mean_ranks, winners
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image import map_rows
from xai_eval.tasks.studies import comparison_results, hybrid_results, search_results, search_scores
from xai_eval.tasks.studies.comparison_results import _Compared

SCENES = {"images": "scenes:2", "num_samples": 60}
HYBRID = "hybrid"


def rolled(name: str) -> Any:
    return lambda frame: np.roll(frame[name].to_numpy(), 1)


def one_more(values: Any) -> Any:
    return values + 1


def final(name: str) -> Stage:
    return Stage(StageKind.FINAL_MAP, name)


def without_prior_scale(original: Any) -> Any:
    """The prior is not scaled before it is used."""

    def fit(self: Any, samples: Any, values: Any, sample_weight: Any) -> Any:
        found = original(self, samples, values, sample_weight)
        self.coef_ = self.coef_ + self.prior
        return found

    return fit


def with_signs(inputs: hybrid_maps.HybridInputs) -> hybrid_maps.HybridInputs:
    """Only the signs of lime's weights remain."""
    signs = np.sign(inputs.weights)
    inputs = dataclasses.replace(inputs)
    # A cached property keeps its value here.
    vars(inputs)["weights"] = signs
    return inputs


def turned_test(original: Any) -> Any:
    return lambda own, other: original(other, own)


def one_step_less(original: Any) -> Any:
    return lambda saliency, pixels, predict, label, steps=20: original(saliency, pixels, predict, label, steps - 1)


def of_next_class(original: Any) -> Any:
    return lambda saliency, pixels, predict, label, *rest: original(saliency, pixels, predict, label - 1, *rest)


def sign_of(name: str) -> Any:
    def make(objectives: Any) -> Any:
        return tuple(Objective(each.name, -each.sign) if each.name == name else each for each in objectives)

    return make


def second_in_place(original: Any) -> Any:
    """The second best setting is taken for the best."""

    def best(self: Any, objective: Any) -> Any:
        found = original(self, objective)
        others = [settings for settings in self.tied.values() if found and settings[0] not in found]
        return others[0] if others else found

    return best


def settings_with(**changes: Any) -> Any:
    def make(scored: Any) -> Any:
        columns = {name: change(scored.frame[name]) for name, change in changes.items()}
        return dataclasses.replace(scored, frame=scored.frame.assign(**columns))

    return replaced(search_results, "score_settings", scaled(make))


def largest_ranks(_original: Any) -> Any:
    """Tied settings get the largest of their ranks."""

    def ranks(values: Any, objective: Any) -> Any:
        from scipy.stats import rankdata

        return rankdata(-np.round(values * objective.sign / 1e-6), axis=1, method="max").mean(axis=0)

    return ranks


def study(name: str, tasks: tuple[str, ...], stage: Any, inject: Any, kind: str = "reading", **given: Any) -> Fault:
    return Fault(name, kind, tasks, stage, inject, **given)


COMPARISON, SEARCH = ("comparison",), ("lime_search",)
READ = StageKind.MEASURES
FAULTS = (
    study(
        "concepts of the other way up",
        COMPARISON,
        StageKind.CONCEPT_MASKS,
        replaced(_Compared, "concepts", lambda o: property(lambda self: {k: v[::-1] for k, v in o.fget(self).items()})),
        "identity",
        parameters=SCENES,
    ),
    study(
        "a concept is missing",
        COMPARISON,
        StageKind.CONCEPT_MASKS,
        replaced(_Compared, "concepts", lambda o: property(lambda self: dict(list(o.fget(self).items())[1:]))),
        "identity",
        parameters=SCENES,
    ),
    study(
        "shares of both methods change places",
        COMPARISON,
        READ,
        replaced(
            comparison_results,
            "_concept_table",
            lambda o: (
                lambda each: {
                    name: reframed(table, table.frame.assign(gradcam=table.frame["lime"], lime=table.frame["gradcam"]))
                    for name, table in o(each).items()
                }
            ),
        ),
        parameters=SCENES,
    ),
    study(
        "names of what a mask covers are those of the other method",
        COMPARISON,
        READ,
        replaced(comparison_results, "_methods", column("focus", lambda frame: [*frame["focus"][1:], "nothing"])),
        parameters=SCENES,
    ),
    study(
        "areas of masks are half as large",
        COMPARISON,
        READ,
        replaced(comparison_results, "_methods", column("area", lambda frame: frame["area"] / 2)),
    ),
    study(
        "the same place begins earlier",
        COMPARISON,
        "metric insight",
        replaced(sentences, "SAME_PLACE", lambda least: least / 2),
        "identity",
    ),
    study(
        "the sentence forgets R2",
        COMPARISON,
        "metric insight",
        replaced(sentences, "LEAST_R2", lambda _: -10.0),
        "identity",
    ),
    study(
        "overlap and chance change places along the areas",
        COMPARISON,
        READ,
        replaced(_Compared, "sweep", lambda o: property(lambda self: _reversed(o.func(self)))),
    ),
    study(
        "the study's table has the overlap of the next image",
        COMPARISON,
        READ,
        replaced(comparison_results, "_study_table", column("iou", rolled("iou"))),
    ),
    study(
        "the study's table has the sentence of the next image",
        COMPARISON,
        READ,
        replaced(comparison_results, "_study_table", column("insight", rolled("insight"))),
    ),
    study(
        "what masks cover in the study's table is that of the next image",
        COMPARISON,
        READ,
        replaced(comparison_results, "_study_table", column("gradcam_focus", rolled("gradcam_focus"))),
        parameters=SCENES,
    ),
    study(
        "an image more is averaged",
        COMPARISON,
        READ,
        replaced(comparison_results, "_measure_table", column("count", lambda frame: frame["count"] + 1)),
        "counts",
    ),
    study(
        "LIME's share is larger",
        (HYBRID,),
        final("sum_of_both"),
        replaced(hybrid_maps, "LIME_SHARE", lambda _: 0.6),
        "library",
    ),
    study(
        "superpixels are refined later",
        (HYBRID,),
        final("refined_superpixels"),
        replaced(hybrid_maps, "HOT", lambda _: 0.6),
        "library",
        models=(RESNET, POOLED),
    ),
    study(
        "a scale is left out",
        (HYBRID,),
        Stage(StageKind.SEGMENTS, "several_scales"),
        replaced(hybrid_maps, "SCALES", lambda s: s[:2]),
        "library",
    ),
    study(
        "a weaker prior",
        (HYBRID,),
        final("cam_prior"),
        replaced(hybrid_maps, "PRIOR_ALPHA", lambda a: a / 10),
        "library",
    ),
    study(
        "the prior is added twice",
        (HYBRID,),
        final("cam_prior"),
        replaced(hybrid_maps.PriorRidge, "fit", without_prior_scale),
        "library",
    ),
    study(
        "the product ignores how large weights are",
        (HYBRID,),
        final("pooled_product"),
        replaced(
            hybrid_maps,
            "HYBRIDS",
            lambda h: {**h, "pooled_product": lambda i: h["pooled_product"](with_signs(i))},
        ),
        "library",
    ),
    study(
        "hybrids explain the next class",
        (HYBRID,),
        final("several_scales"),
        replaced(
            hybrid_maps,
            "HYBRIDS",
            lambda h: {
                **h,
                "several_scales": lambda i: h["several_scales"](dataclasses.replace(i, label=i.label - 1)),
            },
        ),
        "target",
    ),
    study(
        "differences of means have the other sign",
        (HYBRID,),
        "metric paired_test",
        everywhere(paired_test, turned_test),
        "metric",
    ),
    study(
        "a win more of each hybrid",
        (HYBRID,),
        READ,
        replaced(hybrid_results, "_test_columns", scaled(lambda found: {**found, "wins": found["wins"] + 1})),
        "counts",
    ),
    study(
        "the conclusion names a hybrid",
        (HYBRID,),
        READ,
        replaced(hybrid_results, "_conclusion", lambda _: lambda tests: "cam_prior beats both Grad-CAM and LIME"),
    ),
    study(
        "differences are significant later",
        (HYBRID,),
        READ,
        replaced(hybrid_results, "SIGNIFICANT", lambda _: 0.01),
        "identity",
    ),
    study(
        "curves have a step less",
        (HYBRID,),
        "metric faithfulness",
        everywhere(faithfulness, one_step_less),
        "metric",
    ),
    study(
        "pixels are hidden in black",
        ("attributions",),
        "metric faithfulness",
        replaced(faithfulness_module, "_mean_colour", lambda _: lambda pixels: pixels * 0),
        "metric",
    ),
    study(
        "curves of the next class",
        (HYBRID,),
        "metric scored_row",
        replaced(map_rows, "faithfulness", of_next_class),
        "metric",
    ),
    study(
        "Grad-CAM's mask is larger", SEARCH, READ, replaced(search_scores, "AREA", lambda area: area + 0.1), "metric"
    ),
    study("R2 is better if it is lower", SEARCH, READ, replaced(search_results, "OBJECTIVES", sign_of("r2")), "search"),
    study(
        "nearly equal settings win together",
        SEARCH,
        "metric winners",
        everywhere(winners, lambda o: lambda v, objective: o(np.round(v, 1), objective)),
        "search",
    ),
    study("tied ranks are the largest", SEARCH, "metric mean_ranks", everywhere(mean_ranks, largest_ranks), "search"),
    study(
        "the second best setting is taken",
        SEARCH,
        final("lime"),
        replaced(search_scores.ScoredSettings, "best", second_in_place),
        "search",
    ),
    study(
        "a setting more is tied with the best",
        SEARCH,
        READ,
        replaced(search_results, "_winners", column("tied_settings", lambda frame: frame["tied_settings"] + 1)),
        "counts",
    ),
    study("settings have a superpixel more", SEARCH, READ, settings_with(superpixels=one_more), "counts"),
    study("settings have a feature less", SEARCH, READ, settings_with(features=lambda n: n - 1), "counts"),
    study("settings have the R2 of the next", SEARCH, READ, settings_with(r2=lambda values: values.to_numpy()[::-1])),
    study(
        "the winner is named by the next row",
        SEARCH,
        READ,
        replaced(search_results, "_winners", column("setting", rolled("setting"))),
        "search",
    ),
    study(
        "the search says how many settings are tied wrongly",
        SEARCH,
        READ,
        replaced(search_results, "_ties", scaled(lambda text: text.replace("4 ", "3 "))),
    ),
    study(
        "the best setting of all images is another one",
        SEARCH,
        READ,
        replaced(search_results, "best_overall", scaled(lambda found: found[::-1])),
        "search",
    ),
    study(
        "trust in an objective is that of the next",
        SEARCH,
        READ,
        replaced(search_results, "_objectives", column("agrees_with_mask", rolled("agrees_with_mask"))),
    ),
    study(
        "insertion is added to deletion",
        (HYBRID,),
        READ,
        replaced(
            hybrid_results,
            "scored_row",
            scaled(lambda row: {**row, "insertion_less_deletion": row["insertion"] + row["deletion"]}),
        ),
        "metric",
    ),
)


def _reversed(lines: Any) -> Any:
    return dict(zip(lines, list(lines.values())[::-1], strict=True))
