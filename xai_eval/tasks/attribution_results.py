"""Computes the results of the task `attributions`: a signed map per method, and how well it points at the object."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from xai_eval.explainers.attribution.method import Method
from xai_eval.explainers.attribution.methods import explain, score, signed_map
from xai_eval.explainers.attribution.question import Question, Settings
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.metrics.completeness import completeness_error
from xai_eval.result.fields import Heatmap, HeatmapTolerance, SignedMap, SignedMapTolerance, Table
from xai_eval.result.fields.possible import Possible
from xai_eval.result.fingerprint import Fingerprint, fingerprint_array
from xai_eval.result.result import Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image.explanation_setup import ExplanationSetup
from xai_eval.tasks.image.forward import input_batch
from xai_eval.tasks.image.map_rows import SCORE_TOLERANCE, displayed, scored_row
from xai_eval.tasks.image.per_image import PerImage
from xai_eval.tasks.image.subject import Subject
from xai_eval.tasks.steady_explainers import remark_on_repetition
from xai_eval.tasks.ties.bounds import rounding_on
from xai_eval.tasks.ties.possible_rows import by_column, possible_row
from xai_eval.tasks.trials.trials import attribution_trials, model_trials, signed_map_trials

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import LabelledImage

LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "scikit-image", "scipy")
_DIGITS = 16
MAP_TOLERANCE = SignedMapTolerance()
TABLE_TOLERANCE = {**SCORE_TOLERANCE, "completeness_error": 0.02}
# The map of the positive values, from 0 to 1, by which the object is pointed at. It is not stored.
_POSITIVE = HeatmapTolerance(largest=0.02)


# A gradient jumps where rounding moves an activation over the kink of a ReLU, which moved attributions by up to 5e-4.
_ROUNDING = 2 * 5e-4


@dataclass(frozen=True, eq=False)
class AttributionsRequest:
    """The checked options of one run of `attributions`: model, images, class and seed; the methods; their settings."""

    setup: ExplanationSetup
    methods: tuple[Method, ...]
    settings: Settings

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that identify the results: the methods, and the settings that they read."""
        read = [name for method in self.methods for name in method.settings]
        return {"methods": [method.spec or method.name for method in self.methods], **self.settings.of(read)}

    @cached_property
    def trials(self) -> dict[Stage, Fingerprint]:
        """Steps tried on what never changes, once per run."""
        return {**model_trials(), **attribution_trials(self.methods), **signed_map_trials()}

    @property
    def own_versions(self) -> dict[str, str]:
        """The beginnings of the digests of the files of methods of the user, which stand for versions of these."""
        return {method.spec: method.digest[:_DIGITS] for method in self.methods if method.spec}

    @property
    def libraries(self) -> tuple[str, ...]:
        """The distributions that compute the results."""
        own = (library for method in self.methods for library in method.libraries)
        return tuple(dict.fromkeys((*LIBRARIES, *own)))


@dataclass(frozen=True, eq=False)
class _Attribution:
    """What one method says of one image.

    Attributes:
        method: the method.
        raw: what the method gives: an attribution (C, H, W) or a map (h, w).
        array: the map of the pixels, (H, W).
        sums: sum of the attribution, score of the image, score of the baseline; None if it need not add up.
    """

    method: Method
    raw: NDArray[np.float32]
    array: NDArray[np.float32]
    sums: tuple[float, float, float] | None

    @property
    def field(self) -> SignedMap:
        """The map as a field."""
        return SignedMap(self.array, MAP_TOLERANCE)

    @property
    def stages(self) -> dict[Stage, Fingerprint]:
        name = self.method.name
        found = {Stage(StageKind.ATTRIBUTION, name): self.raw, Stage(StageKind.SIGNED_MAP, name): self.array}
        if self.sums is not None:
            found[Stage(StageKind.COMPLETENESS, name)] = np.array(self.sums)
        return {stage: fingerprint_array(array) for stage, array in found.items()}


def attribution_results(request: AttributionsRequest) -> PerImage:
    """Explain every image by every method. Each result is computed when an iterator reaches it."""
    return PerImage("attributions", request.setup, lambda _image: request.parameters, partial(_evaluate, request))


def checked_on_first_image(request: AttributionsRequest) -> AttributionsRequest:
    """Call the methods that may refuse a model, before the results of an earlier run are replaced.

    Those of the user are called twice. If their maps differ a little, the returned request remarks it.

    Raises:
        UsageError: a method cannot explain the model, or one of the user gives another map when it is called again.
        ModelMisbehaves: the model raises an error.
    """
    asked, setup = [method for method in request.methods if method.may_refuse], request.setup
    remarks: list[str] = []
    for image in setup.images.images[: bool(asked)]:
        subject = setup.run_model(image)
        for method in asked:
            first, *again = (
                _attribution(method, _question(subject, request.settings), subject, setup.seed).field
                for _ in range(2 if method.spec else 1)
            )
            remarks += [remark_on_repetition(method.spec, (first.array, each.array), (first, each)) for each in again]
    return dataclasses.replace(request, setup=setup.with_remarks(*filter(None, remarks)))


def _evaluate(request: AttributionsRequest, image: LabelledImage) -> Result:
    # Tried first, so that a broken library is not taken for a broken model.
    trials, setup = request.trials, request.setup
    subject = setup.run_model(image)
    question = _question(subject, request.settings)
    found = [_attribution(method, question, subject, setup.seed) for method in request.methods]
    rows = [_row(each, subject, request.settings) for each in found]
    possible = [_possible(each, subject, request.settings) for each in found]
    return Result(
        case=setup.case("attributions", image, request.parameters),
        fields={
            **subject.fields,
            **{each.method.name: each.field for each in found},
            "table": Table(pd.DataFrame(rows), TABLE_TOLERANCE, possible=by_column(possible)),
        },
        stages={**subject.stages, **_baseline_stage(request.methods, question), **_stages(found), **trials},
        provenance=_provenance(request, image),
    )


def _provenance(request: AttributionsRequest, image: LabelledImage) -> Provenance:
    found = request.setup.provenance(image, request.libraries)
    return dataclasses.replace(found, versions={**found.versions, **request.own_versions})


def _question(subject: Subject, settings: Settings) -> Question:
    batch = subject.batch
    if settings.baseline == "black":
        baseline = input_batch(subject.classifier, np.zeros_like(subject.image.pixels))
    else:
        baseline = torch.zeros_like(batch)
    return Question(subject.model, batch, baseline, subject.target.index, settings, subject.answer)


def _attribution(method: Method, question: Question, subject: Subject, seed: int) -> _Attribution:
    with as_model_error(subject.classifier.name, question.batch.shape, method.name):
        raw = explain(method, question, seed)
        sums = None
        if method.complete:
            total = float(raw.sum(dtype=np.float64))
            sums = total, score(question, question.batch), score(question, question.baseline)
    height, width = question.batch.shape[-2:]
    return _Attribution(method, raw, signed_map(raw, (height, width)), sums)


def _row(each: _Attribution, subject: Subject, settings: Settings) -> dict[str, Any]:
    field, margin = each.field, _margin(each, settings)
    heatmap = Heatmap(displayed(each.array), _POSITIVE)
    row = scored_row(each.method.name, each.array, heatmap, subject, margin, subject.predict)
    error = float("nan") if each.sums is None else completeness_error(*each.sums)
    # Whether the signed map means something, which is more than its positive part.
    return {**row, "map": field.degenerate or "ok", "completeness_error": error}


def _margin(each: _Attribution, settings: Settings) -> tuple[int, int]:
    rows, columns = each.raw.shape[-2:]
    return each.method.margin((rows, columns), each.field.shape, settings)


def _possible(each: _Attribution, subject: Subject, settings: Settings) -> dict[str, Possible]:
    rounding = max(rounding_on(subject.classifier.device.type), _ROUNDING)
    heatmap = Heatmap(displayed(each.array), _POSITIVE)
    return possible_row(heatmap, subject.mask, _margin(each, settings), rounding, each.array)


def _baseline_stage(methods: Sequence[Method], question: Question) -> dict[Stage, Fingerprint]:
    if not any(method.needs_baseline for method in methods):
        return {}
    return {Stage(StageKind.BASELINE): fingerprint_array(question.baseline.float().cpu().numpy())}


def _stages(found: Sequence[_Attribution]) -> Mapping[Stage, Fingerprint]:
    return {stage: fingerprint for each in found for stage, fingerprint in each.stages.items()}
