"""The kinds of fields that a Result is made of. Together with `@task` the only table to extend: see `base`."""

from xai_eval.result.fields.base import KINDS as KINDS
from xai_eval.result.fields.base import Difference as Difference
from xai_eval.result.fields.base import Distance as Distance
from xai_eval.result.fields.base import Field as Field
from xai_eval.result.fields.base import Finding as Finding
from xai_eval.result.fields.base import Severity as Severity
from xai_eval.result.fields.base import Shift as Shift
from xai_eval.result.fields.base import Statement as Statement
from xai_eval.result.fields.base import register as register
from xai_eval.result.fields.curve import Curve as Curve
from xai_eval.result.fields.document import Document as Document
from xai_eval.result.fields.gallery import Gallery as Gallery
from xai_eval.result.fields.heatmap import LOOSEST_MAP as LOOSEST_MAP
from xai_eval.result.fields.heatmap import Heatmap as Heatmap
from xai_eval.result.fields.heatmap import HeatmapTolerance as HeatmapTolerance
from xai_eval.result.fields.input_image import InputImage as InputImage
from xai_eval.result.fields.label import Label as Label
from xai_eval.result.fields.mask import LEAST_OVERLAP as LEAST_OVERLAP
from xai_eval.result.fields.mask import Mask as Mask
from xai_eval.result.fields.ranking import Ranking as Ranking
from xai_eval.result.fields.score import Score as Score
from xai_eval.result.fields.segments import Segments as Segments
from xai_eval.result.fields.table import Table as Table
from xai_eval.result.fields.unit_labels import UnitLabels as UnitLabels
from xai_eval.result.fields.weights import SeedTolerance as SeedTolerance
from xai_eval.result.fields.weights import Weights as Weights
