"""The kinds of fields that a Result is made of. Together with `@task` the only table to extend."""

from xai_eval.result.fields.base import Distance, Extensible, Field, Finding, Severity, Shift
from xai_eval.result.fields.curve import Curve
from xai_eval.result.fields.document import Document
from xai_eval.result.fields.gallery import Gallery
from xai_eval.result.fields.heatmap import LOOSEST_MAP, Heatmap, HeatmapTolerance
from xai_eval.result.fields.input_image import InputImage
from xai_eval.result.fields.label import Label
from xai_eval.result.fields.mask import LEAST_OVERLAP, Mask
from xai_eval.result.fields.ranking import Ranking
from xai_eval.result.fields.score import Score
from xai_eval.result.fields.segments import Segments
from xai_eval.result.fields.table import Table
from xai_eval.result.fields.unit_labels import UnitLabels
from xai_eval.result.fields.weights import SeedTolerance, Weights

KINDS: dict[str, type[Field]] = {
    kind.kind: kind
    for kind in (
        Curve,
        Document,
        Gallery,
        Heatmap,
        Label,
        Mask,
        InputImage,
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
    "Extensible",
    "Field",
    "Finding",
    "Gallery",
    "Heatmap",
    "HeatmapTolerance",
    "InputImage",
    "Label",
    "Mask",
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
