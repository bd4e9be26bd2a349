"""What the tables of the bundled tasks show, in one sentence each, for people who have not opened them yet."""

from __future__ import annotations

from collections.abc import Sequence

from xai_eval.result.naming import words

_SHARED = "How many units each network has for each concept {}, and how many concepts both know."
_DIFFERENCE = (
    "How far the concepts of two networks differ {}, per layer, beside the distance that a random division of the "
    "units would give."
)
_CLIP, _PIXELS = "by CLIP", "by pixel labels"
_ABOUT = {
    "clip_units": "The label that CLIP gives each unit, and how well it fits.",
    "pixel_units": "The label that pixel labels give each unit, and how well it fits.",
    "study": "How far Grad-CAM and LIME mark the same pixels in each image, and what that says.",
    "measures": "The mean over the images of each measure of agreement, with its 95 % interval from low to high.",
    "thresholds": "The settings behind the measures.",
    "clip_shared_concepts": _SHARED.format(_CLIP),
    "pixel_shared_concepts": _SHARED.format(_PIXELS),
    "clip_difference": _DIFFERENCE.format(_CLIP),
    "pixel_difference": _DIFFERENCE.format(_PIXELS),
    "means": "The mean of each measure over the images, per method.",
    "tests": "Each method against another one: the mean difference with its 95 % interval, how often chance alone "
    "gives as much, and on how many images either was better.",
    "objectives": "Each way to choose the settings of LIME, what it chooses over all images, and whether it ranks the "
    "settings as the true masks do.",
    "settings": "Every setting of LIME that was tried, with its measures.",
    "winners": "The setting of LIME that each objective chooses for this image.",
    "surrogates": "How well the simple model of LIME follows the network, per class.",
    "stability": "How far LIME agrees with itself when its random numbers change.",
    "iou_sweep": "How far the object and all that is hotter than a threshold overlap, for growing thresholds.",
    "methods": "How much of the image the focus of each method covers.",
    "concepts": "How much of the focus of each method lies on each concept.",
    "layers": "How many units of each layer have a label, by each way to label, and how well the labels fit.",
    "clip_concepts": "How many units of each layer CLIP labels with each concept.",
    "pixel_concepts": "How many units of each layer pixel labels label with each concept.",
    "interpretation": "The units that are most active on one image, and their labels.",
    "label_quality": "How well the labels say on which images a unit is active, as the mean over the units.",
    "clip_categories": "How many units CLIP labels with each sort of concept.",
    "pixel_categories": "How many units pixel labels label with each sort of concept.",
}


def about_table(name: str, columns: Sequence[str]) -> str:
    """Return what the table of the field `name` shows; of an unknown one, what a row is."""
    return _ABOUT.get(name) or (f"One row per {words(columns[0])}." if columns else "")
