"""A verdict together with its result and its golden: pages, figures and tables are made from these."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from xai_eval.gate.verdict import Verdict
from xai_eval.result.fields import Field, Heatmap, InputImage, Label, Mask, Segments, SignedMap, Table
from xai_eval.result.result import Result

# The label that warns, in a sentence, that the explained class is not the one that was meant.
AUDIT = "audit"
# The mask of the object that an image is meant to show.
OBJECT = "mask"
_Kind = TypeVar("_Kind", bound=Field)


@dataclass(frozen=True)
class ReportCase:
    """One case of the report.

    Attributes:
        verdict: the judgement on it.
        obtained: the result of the run; None for an unused golden.
        golden: the result that it was compared with; None if there is none, or if it is damaged.
    """

    verdict: Verdict
    obtained: Result | None
    golden: Result | None

    @property
    def key(self) -> str:
        """`<task>/<id>`."""
        return self.verdict.case.key

    @property
    def anchor(self) -> str:
        """The case's id on the page, which is also a link: without characters that a link would have to escape."""
        return re.sub(r"[^\w.+-]", "-", self.key.replace("/", "--"), flags=re.ASCII)

    @property
    def image(self) -> str:
        """Name of the input within its set, without extension."""
        return re.sub(r"\.\w{1,5}$", "", self.verdict.case.input.split("/", 1)[-1])

    @functools.cached_property
    def view(self) -> InputImage | None:
        """The image as the model saw it."""
        return next(iter(self.fields(InputImage).values()), None)

    @functools.cached_property
    def mask(self) -> Mask | None:
        """The mask of the object, if it is known and has the size of the image. Other masks show where maps point."""
        mask = self.fields(Mask).get(OBJECT)
        fits = mask is not None and self.view is not None and mask.array.shape == self.view.array.shape[:2]
        return mask if fits else None

    @property
    def whole_set(self) -> bool:
        """Whether the case sums up a whole image set, not one input of it."""
        return "/" not in self.verdict.case.input

    @property
    def audit(self) -> str | None:
        """The warning of the target audit."""
        return self.labels[AUDIT].text if AUDIT in self.labels else None

    @functools.cached_property
    def labels(self) -> Mapping[str, Label]:
        """Label fields by name, the audit among them."""
        return self.fields(Label)

    @functools.cached_property
    def maps(self) -> Mapping[str, Heatmap | SignedMap]:
        """Heatmaps and signed maps that lie over the image pixel by pixel; all of them if the image is not known."""
        every: dict[str, Heatmap | SignedMap] = {**self.fields(Heatmap), **self.fields(SignedMap)}
        if self.view is None:
            return every
        shape = self.view.array.shape[:2]
        return {name: each for name, each in every.items() if each.array.shape == shape}

    @functools.cached_property
    def changed_fields(self) -> Mapping[str, tuple[Field, Field]]:
        """Every map, mask and set of superpixels that drifted, by name: the obtained field and the golden's."""
        found = {finding.field for finding in self.verdict.findings}
        pairs = {
            name: (now, self.golden.fields[name])
            for name, now in (self.obtained.fields if found and self.obtained and self.golden else {}).items()
            if self.golden and name in found & self.golden.fields.keys()
        }
        return {name: pair for name, pair in pairs.items() if pair[0].kind == pair[1].kind and _is_drawn(pair[0])}

    def unloaded(self) -> ReportCase:
        """The same case without the arrays that were loaded for it: the arrays of many cases do not fit into memory."""
        return dataclasses.replace(self)

    def fields(self, kind: type[_Kind]) -> dict[str, _Kind]:
        """Obtained fields of one kind by name."""
        return _of_kind(self.obtained, kind)

    def expected_labels(self) -> Mapping[str, Label]:
        """Label fields of the golden by name."""
        return _of_kind(self.golden, Label)

    def row_of(self, name: str) -> dict[str, object]:
        """The row about the field `name` in tables whose first column names fields, without that column."""
        return _row(self.obtained, name)

    def expected_row_of(self, name: str) -> dict[str, object]:
        """The same row in the tables of the golden."""
        return _row(self.golden, name)


def collect(
    results: Mapping[str, Result],
    goldens: Mapping[str, Result],
    verdicts: Sequence[Verdict],
    pairs: Mapping[str, str],
) -> list[ReportCase]:
    """Find for every verdict its result and its golden; both mappings go from case key to result.

    `pairs` maps the case key of a result to that of the golden that it was compared with.
    """
    keys = [verdict.case.key for verdict in verdicts]
    return [
        ReportCase(verdict, results.get(key), goldens.get(pairs.get(key, key)))
        for verdict, key in zip(verdicts, keys, strict=True)
    ]


def _is_drawn(field: Field) -> bool:
    return isinstance(field, Heatmap | SignedMap | Mask | Segments)


def _of_kind(result: Result | None, kind: type[_Kind]) -> dict[str, _Kind]:
    return result.of_kind(kind) if result else {}


def _row(result: Result | None, name: str) -> dict[str, object]:
    row: dict[str, object] = {}
    for table in _of_kind(result, Table).values():
        frame = table.frame
        chosen = frame[frame.iloc[:, 0] == name]
        if len(chosen):
            row |= {str(column): chosen[column].iloc[0] for column in frame.columns[1:]}
    return row
