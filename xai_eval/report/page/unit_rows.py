"""The units of a dissected model on the page: a section per layer, a row per unit, a column per method of labelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from xai_eval.report.cases import ReportCase
from xai_eval.report.drawing.pixels import data_uri
from xai_eval.report.drawing.unit_figures import GALLERY, in_order
from xai_eval.report.text.doubt import doubts
from xai_eval.report.text.wording import cell_text
from xai_eval.result.fields import Field, Gallery, UnitLabels
from xai_eval.result.naming import words

# Numbers beside a unit's label, if the method has them.
_NUMBERS = ("score", "margin", "false_discovery_rate")


@dataclass(frozen=True)
class UnitLabelView:
    """The label that one method gives to a unit.

    Attributes:
        label: the label; empty if there is none.
        numbers: names and values of measures.
        expected: the label of the golden if it is another one, else None.
        doubt: why the label is shown in pale letters; empty if it is not in doubt.
    """

    label: str
    numbers: tuple[tuple[str, str], ...]
    expected: str | None
    doubt: str = ""


@dataclass(frozen=True)
class UnitView:
    """One unit.

    Attributes:
        name: such as "layer4/17".
        strip: data URI of its top images; empty where there are none.
        dead: whether its activation is the same on all images.
        labels: one per method, in the order of `LayerView.methods`.
    """

    name: str
    strip: Markup
    dead: bool
    labels: tuple[UnitLabelView, ...]

    @property
    def concepts(self) -> str:
        """Its labels, for the filter of the page."""
        return "\n".join(each.label for each in self.labels)


@dataclass(frozen=True)
class LayerView:
    """The units of one layer."""

    name: str
    methods: tuple[str, ...]
    units: tuple[UnitView, ...]


def layer_views(case: ReportCase) -> tuple[LayerView, ...]:
    """Prepare the layers of a case in the order of the model, their units by score; none if it has no labels of units.

    Units are sorted by the score of the last method: by pixels, if there are such labels.
    """
    methods = case.fields(UnitLabels)
    if not methods:
        return ()
    strips = case.fields(Gallery)[GALLERY].strips if GALLERY in case.fields(Gallery) else {}
    units: dict[str, list[UnitView]] = {}
    known = next(iter(methods.values())).units.set_index("unit")
    records = [_records(field) for field in methods.values()]
    expected = [_records(_golden(case, name)) for name in methods]
    doubted = [doubts(case, field) for field in methods.values()]
    order = {unit: place for place, unit in enumerate(in_order(list(methods.values())[-1]))}
    for name in sorted(records[0], key=lambda each: order.get(each, len(order))):
        views = tuple(
            _view(each.get(name, {}), was.get(name, {}), why.get(name, ""))
            for each, was, why in zip(records, expected, doubted, strict=True)
        )
        strip = Markup(data_uri(strips[name], "jpeg") if name in strips else "")
        view = UnitView(name, strip, bool(known.at[name, "dead"]), views)
        units.setdefault(str(known.at[name, "layer"]), []).append(view)
    titles = tuple(words(name.removesuffix("_units")) for name in methods)
    layers = dict.fromkeys(known["layer"])
    return tuple(LayerView(layer, titles, tuple(units[layer])) for layer in layers)


def concepts_of(layers: Sequence[LayerView]) -> tuple[str, ...]:
    """All labels that occur, sorted, for the filter."""
    return tuple(sorted({each.label for layer in layers for unit in layer.units for each in unit.labels if each.label}))


def _golden(case: ReportCase, name: str) -> Field | None:
    return case.golden.fields.get(name) if case.golden else None


def _records(field: Field | None) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(field, UnitLabels):
        return {}
    columns = [str(column) for column in field.frame.columns]
    rows = field.frame.itertuples(index=False, name=None)
    return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


def _view(row: Mapping[str, Any], was: Mapping[str, Any], doubt: str) -> UnitLabelView:
    label, expected = row.get("label") or "", was.get("label") or ""
    numbers = tuple((words(name), cell_text(row[name])) for name in _NUMBERS if label and name in row)
    return UnitLabelView(label, numbers, (expected or "no label") if was and expected != label else None, doubt)
