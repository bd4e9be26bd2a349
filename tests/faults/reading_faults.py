"""Faults in what people read of an image: tables, masks, sentences, and who is meant by a class."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from fault import SWIN, VIT, Fault, changed, column, everywhere, reframed, replaced, scaled

from xai_eval import Classifier
from xai_eval.inputs.images import image_files
from xai_eval.inputs.models.preprocessing import TorchvisionPreset
from xai_eval.metrics.localisation import pointing_hit
from xai_eval.result.fields import Label, Weights
from xai_eval.result.stage import StageKind
from xai_eval.tasks import attribution_results, cam_results
from xai_eval.tasks.image import target
from xai_eval.tasks.image.subject import Subject
from xai_eval.tasks.image.target import Target
from xai_eval.tasks.lime import lime_results, lime_runs
from xai_eval.tasks.lime.lime_runs import LimeRun

WITH_MASKS = {"images": "scenes:2", "methods": ["gradcam", "eigencam"]}
MANY = {"segmentation_parameters": {"n_segments": 40}}
INTENDED = {"images": "scenes:2", "methods": ["gradcam"], "target": "intended"}


def next_row(name: str) -> Any:
    return lambda frame: np.roll(frame[name].to_numpy(), 1)


def rows_swapped(fields: Any) -> Any:
    table = fields["table"]
    measures = [name for name in table.frame if name not in ("method", "map")]
    turned = table.frame.assign(**{name: np.roll(table.frame[name].to_numpy(), 1) for name in measures})
    return {**fields, "table": reframed(table, turned)}


def never_exact(fields: Any) -> Any:
    table = fields["table"]
    return {**fields, "table": reframed(table, table.frame.assign(pointing_exact=False))}


def sweep_shifted(table: Any) -> Any:
    moved = {name: np.roll(table.frame[name].to_numpy(), 1) for name in table.frame if name != "threshold"}
    return reframed(table, table.frame.assign(**moved))


def fields_with(**changes: Any) -> Any:
    """Change fields of `Subject.fields`."""

    def make(original: Any) -> Any:
        def fields(self: Any) -> Any:
            found = original.fget(self)
            return {**found, **{name: change(found[name], self) for name, change in changes.items() if name in found}}

        return property(fields)

    return replaced(Subject, "fields", make)


def ranked(change: Any) -> Any:
    def top5(field: Any, _subject: Any) -> Any:
        names, values = change(list(field.names), list(field.values))
        return dataclasses.replace(field, names=tuple(names), values=tuple(values))

    return fields_with(top5=top5)


def other_of_two(original: Any) -> Any:
    def intended(classifier: Any, image: Any) -> Label:
        found = original(classifier, image)
        index = ((found.index or 0) + 1) % len(classifier.class_names)
        return Label(classifier.class_names[index], index)

    return intended


def wrong_prediction_told(original: Any) -> Any:
    def resolve(*args: Any) -> Any:
        found = original(*args)
        index = (found.predicted.index + 1) % len(args[0].class_names)
        return dataclasses.replace(found, predicted=Label(args[0].class_names[index], index))

    return resolve


def names_swapped(*pair: int) -> Any:
    def change(classifier: Classifier) -> Classifier:
        names = list(classifier.class_names)
        first, second = (each % len(names) for each in pair)
        names[first], names[second] = names[second], names[first]
        return dataclasses.replace(classifier, class_names=tuple(names))

    return changed(change)


def without_words(_original: Any) -> Any:
    return property(lambda self: None)


def other_spread(original: Any) -> Any:
    def weights(*args: Any) -> Weights:
        found = original(*args)
        return dataclasses.replace(found, spread=found.spread / np.sqrt(2))

    return weights


def of_the_first_seed(_original: Any) -> Any:
    return lambda self, label: float(self.explanations[0].surrogates[label].r2)


def mask_of_fewer(original: Any) -> Any:
    return lambda weights, count: original(weights, count - 1)


def measures_with(**changes: Any) -> Any:
    """Change measures of a table of single numbers."""

    def change(field: Any) -> Any:
        frame = field.frame
        values = [
            changes[name](value) if name in changes else value
            for name, value in zip(frame["measure"].str.replace(" ", "_"), frame["value"], strict=True)
        ]
        return reframed(field, frame.assign(value=values))

    return scaled(change)


def larger_mask(original: Any) -> Any:
    def mask(self: Any, pixels: Any) -> Any:
        found = original(self, pixels)
        return found | np.roll(found, 1, axis=0)

    return mask


def inside_out(original: Any) -> Any:
    return lambda *asked: ~original(*asked)


def read(name: str, tasks: tuple[str, ...], inject: Any, **given: Any) -> Fault:
    return Fault(name, "reading", tasks, StageKind.MEASURES, inject, **given)


def identity(name: str, tasks: tuple[str, ...], stage: Any, inject: Any, **given: Any) -> Fault:
    return Fault(name, "identity", tasks, stage, inject, **given)


FAULTS = (
    read("rows of two methods change places", ("cams",), replaced(cam_results, "_map_fields", scaled(rows_swapped))),
    read(
        "no method points exactly",
        ("cams",),
        replaced(cam_results, "_map_fields", scaled(never_exact)),
        parameters={"methods": ["gradcam", "scorecam", "eigencam"], "images": "scenes:4"},
    ),
    read(
        "thresholds of the sweep are one off", ("cams",), replaced(cam_results, "_sweep_table", scaled(sweep_shifted))
    ),
    read(
        "a map is called constant",
        ("cams",),
        replaced(cam_results, "_map_fields", scaled(lambda f: {**f, "table": _called(f["table"], "constant")})),
    ),
    read("two ranks of the top five change places", ("cams",), ranked(lambda n, v: ([n[0], n[2], n[1], *n[3:]], v))),
    read("the last of the top five is another class", ("cams",), ranked(lambda n, v: ([*n[:4], "nothing (99)"], v))),
    read(
        "probabilities of the top five are doubled",
        ("lime",),
        ranked(lambda n, v: (n, [v[0], *[2 * x for x in v[1:]]])),
    ),
    read("the audit says nothing", ("cams",), replaced(Target, "audit", without_words), parameters={"target": "kite"}),
    read(
        "the audit takes the explained class for the intended one",
        ("cams",),
        fields_with(audit=lambda field, self: Label((field.text or "").replace("explain", "show") or None)),
        parameters={"target": "kite"},
    ),
    read("spreads are half of the variance", ("lime",), replaced(lime_results, "_weights", other_spread)),
    read("R2 of the first seed", ("lime",), replaced(LimeRun, "r2", of_the_first_seed)),
    read(
        "predictions of surrogates in the rows of other classes",
        ("lime",),
        replaced(lime_results, "_surrogates", column("prediction", next_row("prediction"))),
    ),
    read(
        "intercepts of surrogates without their sign",
        ("lime",),
        replaced(lime_results, "_surrogates", column("intercept", lambda frame: frame["intercept"].abs() + 0.03)),
    ),
    read(
        "a superpixel less among the best",
        ("lime",),
        replaced(lime_results, "best_superpixels", mask_of_fewer),
        parameters=MANY,
    ),
    read(
        "a superpixel more is counted",
        ("lime",),
        replaced(lime_results, "_stability", measures_with(superpixels=lambda n: n + 1)),
        parameters={"segmentation_parameters": {"n_segments": 30}},
    ),
    read(
        "one seed more is counted",
        ("lime",),
        replaced(lime_results, "_stability", measures_with(seeds=lambda n: n + 1)),
    ),
    read(
        "the best superpixels of the seeds overlap less",
        ("lime",),
        replaced(lime_results, "_stability", measures_with(mean_IoU_of_the_best_5=lambda x: x - 0.2)),
    ),
    read(
        "a warning needs fewer samples",
        ("lime",),
        replaced(lime_runs, "LEAST_SAMPLES_PER_SUPERPIXEL", lambda n: n // 2),
    ),
    read(
        "warnings are not told", ("lime",), replaced(LimeRun, "warning", without_words), parameters={"num_samples": 60}
    ),
    read(
        "the positive part is absolute",
        ("attributions",),
        replaced(attribution_results, "displayed", lambda o: lambda values: o(np.abs(values))),
        parameters={"methods": ["input_x_gradient"], "images": "scenes:2"},
    ),
    read(
        "what does not add up is halved",
        ("attributions",),
        replaced(attribution_results, "completeness_error", scaled(lambda error: error / 2)),
        parameters={"methods": ["integrated_gradients"], "steps": 2},
    ),
    Fault(
        "the margin of the pointing game is left out",
        "metric",
        ("cams",),
        "metric pointing_hit",
        everywhere(pointing_hit, lambda o: lambda saliency, mask, margin=(0, 0): o(saliency, mask)),
    ),
    identity(
        "two other classes change their names",
        ("cams", "lime"),
        StageKind.TARGET,
        names_swapped(-1, -2),
    ),
    identity(
        "two other classes change their names", ("cams",), StageKind.TARGET, names_swapped(-1, -2), models=(VIT, SWIN)
    ),
    identity(
        "the intended class of the next",
        ("cams", "lime", "comparison"),
        StageKind.TARGET,
        replaced(target, "_intended", other_of_two),
    ),
    identity(
        "the intended class of the next is explained",
        ("cams",),
        StageKind.TARGET,
        replaced(target, "_intended", other_of_two),
        parameters=INTENDED,
    ),
    identity(
        "another prediction is told",
        ("cams", "hybrid", "comparison"),
        StageKind.TARGET,
        everywhere(target.resolve_target, wrong_prediction_told),
    ),
    identity(
        "the object is what it is not",
        ("cams", "lime_search"),
        StageKind.OBJECT_MASK,
        replaced(image_files, "_mask", inside_out),
    ),
    identity(
        "masks are a pixel larger",
        ("cams",),
        StageKind.OBJECT_MASK,
        replaced(TorchvisionPreset, "mask", larger_mask),
    ),
)


def _called(table: Any, word: str) -> Any:
    return reframed(table, table.frame.assign(map=[word, *table.frame["map"][1:]]))
