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
    (
        "methods",
        "focus",
    ): "says in words, with rounded shares, what `concepts` and the two masks hold, which are compared",
    ("methods", "seconds"): "time",
    ("study", "gradcam_focus"): "the text of `methods` of each image",
    ("study", "lime_focus"): "the text of `methods` of each image",
    (
        "clip_difference",
        "different",
    ): "says whether p_value, which is compared, is below the threshold, which is recorded",
    ("pixel_difference", "different"): "as of clip_difference",
    **{
        (field, column): _FOLLOWS
        for field in ("clip_units", "pixel_units")
        for column in ("dead", "correlation", "auprc", "f1", "iou")
    },
    **{
        (field, column): "repeats the name of the unit, which is compared"
        for field in ("clip_units", "pixel_units")
        for column in ("layer", "index")
    },
    **{
        (field, "top_images"): "names of files, which may be renamed; what the gallery shows is compared"
        for field in ("clip_units", "pixel_units")
    },
    ("clip_units", "second_margin"): "says which runner-ups are tied; the margin of the label is compared",
    ("pixel_units", "second_margin"): "as of clip_units",
    ("pixel_units", "category"): "the categories are counted in pixel_categories, which is compared",
    ("pixel_units", "interpretable"): "whether the score, which is compared, is above the threshold, which is recorded",
    ("pixel_units", "p_value"): _FOLLOWS,
    ("pixel_units", "false_discovery_rate"): _FOLLOWS,
}

# Of stages that are told and fail no case.
STAGES: Mapping[StageKind, str] = {
    StageKind.IMAGE_BYTES: "a file may be written anew with the same pixels, which are compared",
    StageKind.TARGET: "the field `explained` is compared",
    StageKind.TOP_IMAGES: "two images with the same activation may change places; TOP_K compares their activations",
    StageKind.LABELS_BY_CLIP: "two labels may be tied; the field of the labels is compared",
    StageKind.LABELS_BY_PIXELS: "two labels may be tied; the field of the labels is compared",
    StageKind.VALUE: "the tolerance of the field decides about a value of a test",
}
