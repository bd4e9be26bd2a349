"""Terms that a reader cannot know: their words, their meaning, and whether higher or lower is better."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass


class Better(enum.StrEnum):
    """In which direction a measure improves."""

    HIGHER = "higher is better"
    LOWER = "lower is better"
    NEITHER = ""


@dataclass(frozen=True)
class Term:
    """One term.

    Attributes:
        words: the words for people.
        meaning: one sentence, without a full stop.
        better: in which direction it improves.
    """

    words: str
    meaning: str
    better: Better = Better.NEITHER

    @property
    def explanation(self) -> str:
        """The meaning, and which way is better: the text of a tooltip."""
        return f"{self.meaning}{f'; {self.better}' if self.better else ''}."

    @property
    def arrow(self) -> str:
        """An arrow that says which way is better, or nothing."""
        return {Better.HIGHER: "↑", Better.LOWER: "↓"}.get(self.better, "")


_HIGHER, _LOWER = Better.HIGHER, Better.LOWER


def _of_signed_maps() -> dict[str, Term]:
    """Return the measures of both parts of signed maps."""
    terms: dict[str, Term] = {}
    for part, speaks in (("positive", "for"), ("negative", "against")):
        about = f"what speaks {speaks} the class in a signed map"
        moved = f"How far {about} must travel to give the other map, as a share of the side of the image"
        rank = f"Whether two maps rank the places of {about} alike: 1 alike, 0 unrelated, -1 reversed"
        shared = f"Where {about} is strongest, in both maps: pixels in both over pixels in either, from 0 to 1"
        largest = f"Largest difference of one place of {about}, as a share of the largest value of the map"
        terms |= {
            f"{part} part: mass moved": Term(f"distance that the {part} part moved", moved, _LOWER),
            f"{part} part: rank correlation": Term(f"rank correlation of the {part} part", rank, _HIGHER),
            f"{part} part: overlap of the strongest": Term(f"overlap of the {part} part", shared, _HIGHER),
            f"{part} part: largest difference": Term(f"largest difference of the {part} part", largest, _LOWER),
        }
    return terms


# The keys are names of columns and fields, and measures of findings.
_TERMS = {
    "map": Term("map", "Whether the map can be read: ok, or why it means nothing (NaN, constant, all zero)"),
    "pointing_hit": Term(
        "pointing hit",
        "Whether the hottest place of the map lies on the object, or misses it by no more than half a cell of the "
        "explained layer; in the task lime, the map of superpixels may miss it by a fourteenth of the image",
    ),
    "pointing_exact": Term(
        "hottest pixel on the object", "Whether the hottest pixel of the map lies on the object, with no tolerance"
    ),
    "energy_inside": Term(
        "energy inside",
        "Share of the heat of the map that lies on the object, from 0 to 1; compare with the share of the image that "
        "the object covers",
        _HIGHER,
    ),
    "iou_equal_area": Term(
        "IoU at equal area",
        "As many of the hottest pixels as the object has, and the object: pixels in both over pixels in either, from "
        "0 to 1",
        _HIGHER,
    ),
    "iou_sweep": Term(
        "IoU over thresholds",
        "Overlap (pixels in both over pixels in either) of the object and of all that is hotter than a threshold",
        _HIGHER,
    ),
    "iou": Term("IoU", "Intersection over union: what two areas share, over what either covers, 0 to 1", _HIGHER),
    "dice": Term("Dice", "Twice what two areas share, over the sum of the two, from 0 to 1", _HIGHER),
    "iou_beyond_chance": Term(
        "IoU beyond chance", "IoU less what two areas of this size share by chance: 0 is chance, 1 is equal", _HIGHER
    ),
    "rank_correlation": Term(
        "rank correlation", "Whether two maps rank the places alike: 1 alike, 0 unrelated, -1 reversed", _HIGHER
    ),
    "centre_distance": Term(
        "distance of centres", "Distance of the centres of two maps, as a share of the diagonal of the image", _LOWER
    ),
    "iou_by_area": Term(
        "IoU by area",
        "What the hottest parts of both maps share, for growing parts; dotted: by chance",
        _HIGHER,
    ),
    "deletion": Term(
        "deletion",
        "Mean probability of the class while the hottest places are taken away first, from 0 to 1: what matters is "
        "gone early",
        _LOWER,
    ),
    "insertion": Term(
        "insertion", "Mean probability of the class while the hottest places are put back first, from 0 to 1", _HIGHER
    ),
    "insertion_less_deletion": Term("insertion less deletion", "The insertion measure less the deletion one", _HIGHER),
    "completeness_error": Term(
        "completeness error",
        "By how much the sum of an attribution misses the change of the score from baseline to image, as a share of "
        "the larger score",
        _LOWER,
    ),
    "r2": Term("R²", "How well the simple model that LIME fits follows the network: 1 is perfectly", _HIGHER),
    "intercept": Term("intercept", "What the simple model of LIME predicts when all superpixels are hidden"),
    "prediction": Term("prediction", "What the simple model of LIME predicts for the whole image"),
    "mass moved, share of the side": Term(
        "distance that the heat moved",
        "How far the heat of one map must travel to give the other map, as a share of the side of the image",
        _LOWER,
    ),
    "overlap of the hottest": Term(
        "overlap of the hottest part",
        "Hottest part of the map expected and of the map obtained: pixels in both over pixels in either, from 0 to 1; "
        "1 is the same place",
        _HIGHER,
    ),
    "largest difference": Term(
        "largest difference", "Largest difference of one place between the two maps, which go from 0 to 1", _LOWER
    ),
    **_of_signed_maps(),
    "scale": Term(
        "scale",
        "How much stronger or weaker a signed map has become, as a share: 0 is equally strong, 1 is twice or half",
        _LOWER,
    ),
    "relative": Term(
        "change of a stage",
        "How large the difference is between what a step computed before and now, as a share of what it computed: 0 % "
        "is equal, 100 % is a difference as large as the whole",
        _LOWER,
    ),
    "kappa": Term(
        "kappa", "Agreement of the two ways to label, less agreement by chance: 0 is chance, 1 is full (Cohen)", _HIGHER
    ),
    "agreement": Term("agreement", "Share of the units to which both ways to label give the same label", _HIGHER),
    "agreement_by_chance": Term(
        "agreement by chance", "Agreement that there would be if each way dealt out its labels at random"
    ),
    "dead": Term("dead", "Units that never change over all images, and so stand for nothing"),
    "clip_concepts": Term("concepts by CLIP", "Different concepts among the labels that CLIP gives to the units"),
    "pixel_concepts": Term(
        "concepts by pixel labels", "Different concepts among the interpretable units that pixel labels find"
    ),
    "interpretable": Term("interpretable", "Units whose overlap (IoU) with their concept is at least 0.04", _HIGHER),
    "interpretable_by_chance": Term(
        "interpretable by chance", "Units that would pass as interpretable with the label maps of other images"
    ),
    "beyond_chance": Term(
        "beyond chance", "Units that overlap with their concept more than chance explains (5 % false)", _HIGHER
    ),
    "mean_iou": Term("mean IoU", "Mean overlap of the units with the concept of their label", _HIGHER),
    "never_above_threshold": Term("never above threshold", "Units that are nowhere active enough to be labelled"),
    "auprc": Term(
        "average precision", "How surely the concept of the label finds the images that the unit is active on", _HIGHER
    ),
    "f1": Term("F1", "Precision and recall of the unit in finding its concept, in one number from 0 to 1", _HIGHER),
    "correlation": Term("correlation", "Of the activation of the unit with the presence of its concept", _HIGHER),
    "margin": Term("margin", "Score of the label less the score of the second best concept", _HIGHER),
    "second_margin": Term(
        "margin of the runner-up", "Score of the second best concept less the score of the third best"
    ),
    "score": Term("score", "How well the label fits the unit; comparable within one layer and method only", _HIGHER),
    "false_discovery_rate": Term(
        "false discovery rate", "Share of labels as good as this one that chance would explain", _LOWER
    ),
    "p_value": Term(
        "p-value", "How often chance alone gives a difference at least as large: below 0.05 it is called significant"
    ),
    "p": Term("p", "How often chance alone gives a difference at least as large: below 0.05 it is called significant"),
    "expected_by_chance": Term("expected by chance", "Distance that a random division of the units would give"),
    "low": Term("low", "Lower end of the 95 % interval"),
    "high": Term("high", "Upper end of the 95 % interval"),
    "deviations": Term("deviations", "Standard deviations above the mean of the unit: how active it is here"),
    "agrees_with_mask": Term(
        "agrees with mask",
        "Whether the objective ranks the settings as the true masks do: 1 alike, 0 unrelated, -1 reversed",
        _HIGHER,
    ),
    "iou_gradcam": Term("IoU with Grad-CAM", "Overlap of LIME and Grad-CAM, from 0 to 1"),
    "iou_mask": Term("IoU with the mask", "Overlap of the explanation and the object, from 0 to 1", _HIGHER),
    "top5": Term("top 5", "The five classes that the model finds most probable, with their probabilities"),
    "intended": Term("intended class", "What the image is meant to show, by its name"),
    "predicted": Term("predicted class", "What the model sees in the image"),
    "explained": Term("explained class", "The class that the maps explain"),
}


# The page finds terms in its text by their words, because it no longer knows the names of columns there.
_BY_WORDS = {each.words: each for each in _TERMS.values()}
_SHARE = re.compile(r" \d+ ?%$")


def term(name: str) -> Term | None:
    """Return the term of a column, a field, the measure of a finding, or of its own words; None if it needs none."""
    key = _SHARE.sub("", name.strip(" ,"))
    return _TERMS.get(key) or _BY_WORDS.get(key)


def all_terms() -> tuple[Term, ...]:
    """Return all terms by their words in alphabetical order."""
    return tuple(_BY_WORDS[words] for words in sorted(_BY_WORDS, key=str.lower))


# What a coloured badge says of a case: its state, whether it is set aside, and how bad a drift is.
_STATES = (
    Term("ok", "The result equals its golden within the tolerances"),
    Term("drift", "The explanation, or a step of its computation, changed by more than its tolerance"),
    Term("new", "There is no golden yet, so there was nothing to compare with"),
    Term("unused", "There is a golden, but the run did not compute its case"),
    Term(
        "incomparable",
        "The result is about another experiment than its golden: other parameters, another image or another set",
    ),
    Term("error", "A file could not be read, or the case was not measured"),
    Term("in quarantine", "Somebody set the case aside for a while: it is computed and shown, but fails no run"),
    Term("quarantine expired", "The case was set aside for too long: it fails until its entry is deleted"),
)
_SEVERITIES = (
    Term("conclusion", "The answer changed, such as the predicted class or the label of a unit: the worst severity"),
    Term("evidence", "The answer is the same, but the map points elsewhere"),
    Term("numbers", "The map points to the same place, but numbers changed by more than their tolerance"),
)
_BADGES = {each.words: each for each in (*_STATES, *_SEVERITIES)}


def state_terms() -> tuple[Term, ...]:
    """Return the states of a case."""
    return _STATES


def severity_terms() -> tuple[Term, ...]:
    """Return the severities of a drift, the worst first."""
    return _SEVERITIES


def badge_term(words: str) -> Term | None:
    """Return the term of a state or a severity; None for any other word."""
    return _BADGES.get(words)
