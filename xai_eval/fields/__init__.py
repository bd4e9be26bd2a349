"""The kinds of fields that a Result is made of. Together with `@task` the only table to extend."""

from xai_eval.fields.base import Field, Finding, Severity
from xai_eval.fields.heatmap import Heatmap, HeatmapTolerance
from xai_eval.fields.label import Label
from xai_eval.fields.mask import Mask
from xai_eval.fields.picture import Picture
from xai_eval.fields.ranking import Ranking
from xai_eval.fields.score import Score
from xai_eval.fields.table import Table

KINDS: dict[str, type[Field]] = {kind.kind: kind for kind in (Heatmap, Label, Mask, Picture, Ranking, Score, Table)}

__all__ = [
    "KINDS",
    "Field",
    "Finding",
    "Heatmap",
    "HeatmapTolerance",
    "Label",
    "Mask",
    "Picture",
    "Ranking",
    "Score",
    "Severity",
    "Table",
]
