"""The kinds of fields that a Result is made of. Together with `@task` the only table to extend."""

from xai_eval.fields.base import Distance, Field, Finding, Severity, Shift
from xai_eval.fields.curve import Curve
from xai_eval.fields.document import Document
from xai_eval.fields.gallery import Gallery
from xai_eval.fields.heatmap import LOOSEST_MAP, Heatmap, HeatmapTolerance
from xai_eval.fields.label import Label
from xai_eval.fields.mask import LEAST_OVERLAP, Mask
from xai_eval.fields.picture import Picture
from xai_eval.fields.ranking import Ranking
from xai_eval.fields.score import Score
from xai_eval.fields.segments import Segments
from xai_eval.fields.table import Table
from xai_eval.fields.unit_labels import UnitLabels
from xai_eval.fields.weights import SeedTolerance, Weights

KINDS: dict[str, type[Field]] = {
    kind.kind: kind
    for kind in (
        Curve,
        Document,
        Gallery,
        Heatmap,
        Label,
        Mask,
        Picture,
        Ranking,
        Score,
        Segments,
        Table,
        UnitLabels,
        Weights,
    )
}

__all__ = [
    "KINDS",
    "LEAST_OVERLAP",
    "LOOSEST_MAP",
    "Curve",
    "Distance",
    "Document",
    "Field",
    "Finding",
    "Gallery",
    "Heatmap",
    "HeatmapTolerance",
    "Label",
    "Mask",
    "Picture",
    "Ranking",
    "Score",
    "SeedTolerance",
    "Segments",
    "Severity",
    "Shift",
    "Table",
    "UnitLabels",
    "Weights",
]
