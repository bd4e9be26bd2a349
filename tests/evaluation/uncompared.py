"""What results hold and no verdict compares, with the reason: the only table of such exceptions.

`test_nothing_unseen.py` changes every part of a result of every task. What nobody notices must stand here, and what
stands here must not be noticed.
"""

from __future__ import annotations

from collections.abc import Mapping

from xai_eval.result.stage import StageKind

_FOLLOWS = "in a table of one row per unit; the table by layer, which is made of it, is compared"

# By the field and the column or part of it; "" for a whole field.
FIELDS: Mapping[tuple[str, str], str] = {
    ("image", ""): "drawn for people; the decoded pixels and the view are stages",
    ("methods", "seconds"): "time",
    ("model", "changed by a pass"): "a counter, say, while the logits are the same; if they moved, it is compared",
    **{
        (field, column): _FOLLOWS
        for field in ("clip_units", "pixel_units")
        for column in ("correlation", "auprc", "f1", "iou")
    },
    ("clip_units", "second_margin"): "says which runner-ups are tied; the margin of the label is compared",
    ("pixel_units", "second_margin"): "as of clip_units",
    ("pixel_units", "p_value"): _FOLLOWS,
    ("pixel_units", "false_discovery_rate"): _FOLLOWS,
}

# Of stages that are told and fail no case.
STAGES: Mapping[StageKind, str] = {
    StageKind.IMAGE_BYTES: "a file may be written anew with the same pixels, which are compared",
    StageKind.TARGET: "the field `explained` is compared",
    StageKind.REGION: "two classes may be tied at a place; the fields `region` and `box` are compared",
    StageKind.TOP_IMAGES: "two images with the same activation may change places; TOP_K compares their activations",
    StageKind.LABELS_BY_CLIP: "two labels may be tied; the field of the labels is compared",
    StageKind.LABELS_BY_PIXELS: "two labels may be tied; the field of the labels is compared",
    StageKind.VALUE: "the tolerance of the field decides about a value of a test",
}

# Of stages that fail a case only together with others.
WITH_OTHERS: Mapping[StageKind, str] = {
    StageKind.MODULE_TYPES: "a model can be written in many ways; it fails if an answer moved as well",
    StageKind.CLIP_MODULE_TYPES: "as of the module types of the model",
}
