"""Finds the layer of a golden again under another name, as behind a wrapper: the one that gives the same. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from xai_eval.gate.movement import LEAST_SHARE
from xai_eval.gate.stage_table import rules_of
from xai_eval.result.fields import Field, Gallery, Table, UnitLabels
from xai_eval.result.fields.table import Column
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage
from xai_eval.result.stage import StageKind as K

# The parameters whose values are names within a model: of the explained layer, and of the layers of a dissection, which
# are one list per model.
LAYER, LAYERS = "layer", "layers"
_GIVES = (K.ACTIVATIONS, K.UNIT_MAPS)
# The columns that name layers, or units and groups of units of layers: "layer4/17", "layer4 by clip", "layer4, object".
_COLUMNS = frozenset({"layer", "unit", "labels", "of"})
_AFTER_NAME = re.compile(r"/| by |, |$")


def held(obtained: Result, golden: Result, stage: Stage, share: float, now: Stage | None = None) -> bool:
    """Whether a stage of a golden moved by at most a share of its limit; `now` is its name in the result."""
    found, most = obtained.stages.get(now or stage), rules_of(stage).limit(on_cpu=obtained.provenance.device == "cpu")
    return found is not None and found.distance(golden.stages[stage]) <= share * most


def same_layer(obtained: Result, golden: Result) -> bool:
    """Whether the explained layer gives what that of the golden gave, whatever the two are called."""
    stage = Stage(K.LAYER_ACTIVATIONS)
    return stage in golden.stages and held(obtained, golden, stage, LEAST_SHARE)


def renamed_layers(obtained: Result, golden: Result) -> dict[str, str]:
    """Return the names of a dissection's layers, before and now, if all layers give what those of the golden gave.

    It is empty if no name changed, or if a layer is really another one: its activations and maps decide, up to a
    hundredth of their limits. Layers are compared in the order in which they were given.
    """
    pairs = list(_pairs(obtained, golden))
    names = {was: now for _, was, now in pairs if was != now}
    several = any(names.get(was, was) != now for _, was, now in pairs)
    if not names or several or not all(_gives_the_same(obtained, golden, *each) for each in pairs):
        return {}
    return names


def _pairs(obtained: Result, golden: Result) -> Iterator[tuple[str, str, str]]:
    """Yield model, name before and name now of every layer; nothing if the numbers of models or layers differ."""
    now, was = (_listed(each.case.params.get(LAYERS)) for each in (obtained, golden))
    models = list(dict.fromkeys(stage.model for stage in golden.stages if stage.kind is K.ACTIVATIONS))
    if [len(each) for each in now] != [len(each) for each in was] or len(models) != len(was):
        return
    for model, names, former in zip(models, now, was, strict=True):
        yield from ((model, before, name) for before, name in zip(former, names, strict=True))


def _listed(layers: Any) -> list[list[str]]:
    """Return the names of layers by model; nothing of what a file claims in another form."""
    nested = isinstance(layers, list) and all(isinstance(each, list) for each in layers)
    return [list(map(str, each)) for each in layers] if nested else []


def _gives_the_same(obtained: Result, golden: Result, model: str, was: str, now: str) -> bool:
    known = [kind for kind in _GIVES if Stage(kind, was, model) in golden.stages]
    return K.ACTIVATIONS in known and all(
        held(obtained, golden, Stage(kind, was, model), LEAST_SHARE, Stage(kind, now, model)) for kind in known
    )


def with_layers_of_now(golden: Result, names: Mapping[str, str], obtained: Result) -> Result:
    """Return the golden of a dissection with the names that its layers have now."""
    if not names:
        return golden
    stages = {_of_layer_now(stage, names): each for stage, each in golden.stages.items()}
    params = {**golden.case.params, LAYERS: obtained.case.params[LAYERS]}
    case = Case(golden.case.task, golden.case.model, golden.case.input, params)
    fields = {name: _renamed(field, names) for name, field in golden.fields.items()}
    return Result(case, fields, stages, golden.provenance)


def _of_layer_now(stage: Stage, names: Mapping[str, str]) -> Stage:
    """Return a stage of a layer under the new name of the layer; a block of weights may be called as a layer is."""
    if not rules_of(stage).box_per_part or stage.of not in names:
        return stage
    return Stage(stage.kind, names[stage.of], stage.model)


def _renamed(field: Field, names: Mapping[str, str]) -> Field:
    if isinstance(field, UnitLabels):
        columns = {name: [_told(cell, names) for cell in field.frame[name]] for name in _COLUMNS & set(field.frame)}
        return UnitLabels(field.frame.assign(**columns), field.tolerance)
    if isinstance(field, Gallery):
        return dataclasses.replace(field, strips={_told(name, names): each for name, each in field.strips.items()})
    if isinstance(field, Table):
        return type(field).of_columns(tuple(_column(each, names) for each in field.columns), field.tolerance)
    return field


def _column(column: Column, names: Mapping[str, str]) -> Column:
    cells = column.values if column.name not in _COLUMNS else tuple(_told(cell, names) for cell in column.values)
    return Column(names.get(column.name, column.name), column.type, cells)


def _told(text: Any, names: Mapping[str, str]) -> Any:
    """Return a text with the new name of the layer that it begins with."""
    for was, now in names.items():
        if isinstance(text, str) and text.startswith(was) and _AFTER_NAME.match(text, len(was)):
            return f"{now}{text[len(was) :]}"
    return text
