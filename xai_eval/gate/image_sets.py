"""Which images a set lost or gained since the golden of the whole set was accepted, by the results of its images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from xai_eval.gate.pairing import is_whole_set, scope_of
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind

_REPLACED = "replaced by another image of the same name"
_NAMED = 5  # images that a sentence spells out
_IMAGES = "images"
_PIXELS = Stage(StageKind.DECODED_PIXELS)
# The stages of a model are the same for every image, so they do not depend on the order of the images.
_OF_NO_IMAGE = frozenset({StageKind.MODULE_TYPES, StageKind.TRAINING_FLAGS, StageKind.HOOKS, StageKind.MODEL_WEIGHTS})


@dataclass(frozen=True)
class OtherImages:
    """How the images of a set differ from those of its golden.

    Attributes:
        before: the input of the golden, such as 'scenes (4 images)'.
        now: the input of the result.
        gone: names of images that the set no longer has; None if it is not known which they are.
        new: names of images that it did not have.
        names: of images in both, the name now by the name before.
    """

    before: str
    now: str
    gone: tuple[str, ...] | None = None
    new: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether it is the same images, in another order or under other names."""
        return self.gone == () and not self.new

    @property
    def sentence(self) -> str:
        """What became of the set, and what to do."""
        if self.same:
            return (
                "The set holds the same images as when its golden was accepted, in another order or under other names. "
                "Stages are recorded in the order of the images, so only those of the model are compared."
            )
        return (
            f"The set has changed, so the two cannot be compared as a whole: {self._what}. Results of its images are "
            "compared one by one. If the change was intended, accept the new case, and delete the old golden with "
            "`xai-eval prune`."
        )

    @property
    def _what(self) -> str:
        if self.gone is None:
            if self.now == self.before:
                return "it has other images, or the same in another order, and which of them is not recorded"
            return f"{self.before} is now {self.now}, and which images are gone or new is not recorded"
        replaced = [name for name in self.gone if name in self.new]
        gone, new = ([name for name in names if name not in replaced] for names in (self.gone, self.new))
        parts = (
            _listed(gone, "gone"),
            _listed(new, "new"),
            _listed(replaced, _REPLACED),
        )
        return "; ".join(filter(None, parts))


def _listed(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more} {'is' if len(names) == 1 else 'are'} {what}"


def other_images(
    obtained: Result, golden: Result, results: Mapping[str, Result], goldens: Mapping[str, Result]
) -> OtherImages | None:
    """Return how the images of a set changed; None if they did not, or if the case is of one image.

    Args:
        obtained: the result of a whole set.
        golden: its golden.
        results: of the run, by case key. Those of the images of the set say which images it has.
        goldens: by case key.
    """
    if not (is_whole_set(obtained.case) and is_whole_set(golden.case)):
        return None
    now, was = _images(obtained, results.values()), _images(golden, goldens.values())
    if not _differ(obtained, golden) and (now is None or was is None or now == was):
        return None
    before, after = golden.case.input, obtained.case.input
    if now is None or was is None:
        return OtherImages(before, after)
    gone = tuple(name for content, name in was.items() if content not in now)
    new = tuple(name for content, name in now.items() if content not in was)
    names = {name: now[content] for content, name in was.items() if content in now}
    return OtherImages(before, after, gone, new, names)


def of_the_model(result: Result) -> Result:
    """Return a result of a whole set with only the stages that do not depend on the order of its images."""
    stages = {stage: each for stage, each in result.stages.items() if stage.kind in _OF_NO_IMAGE}
    return Result(result.case, result.fields, stages, result.provenance)


def _differ(obtained: Result, golden: Result) -> bool:
    """Whether the images differ: their number, or else their pixels; another compression makes no other image."""
    if _number(obtained.case) != _number(golden.case):
        return True
    now, was = obtained.provenance.digests.get(_IMAGES), golden.provenance.digests.get(_IMAGES)
    return now is not None and was is not None and now != was and not _same_pixels(obtained, golden)


def _same_pixels(obtained: Result, golden: Result) -> bool:
    now, was = obtained.stage_digest(_PIXELS), golden.stage_digest(_PIXELS)
    return now is None or now == was


def _images(whole: Result, results: Iterable[Result]) -> dict[str, str] | None:
    """Return the names of the images of a set by their pixels; None unless there is a result of each."""
    scope = scope_of(whole.case)
    own = [each for each in results if not is_whole_set(each.case) and scope_of(each.case) == scope]
    found = {each.stage_digest(_PIXELS) or "": each.case.input for each in own}
    return found if "" not in found and len(found) == _number(whole.case) else None


def _number(case: Case) -> int:
    """Return the number of images in the name of a whole set; 0 if there is none."""
    digits = case.input.rpartition("(")[2].partition(" ")[0]
    return int(digits) if digits.isdecimal() else 0
