"""Names images that were renamed: cases that are judged by the golden of the same image under another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import DIGESTS_OF_INPUTS, IMAGE_NAME, changes_between
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind

_PIXELS = Stage(StageKind.DECODED_PIXELS)
_NAMED = 3  # images that the sentence spells out


@dataclass(frozen=True)
class Renamed:
    """An image, or a set of images, that is there under another name: the input of the golden, and that of the case."""

    before: str
    now: str


def renamed_images(
    pairs: Mapping[str, str], results: Mapping[str, Result], goldens: Mapping[str, Result]
) -> tuple[Renamed, ...]:
    """Return the images that are judged by goldens with other names, each once.

    Args:
        pairs: the case key of the golden that a result was compared with, by the case key of the result.
        results: of the run, by case key.
        goldens: by case key.
    """
    others = [(results[key], goldens[former]) for key, former in pairs.items() if key != former]
    named = [pair for pair in others if any(each.what == IMAGE_NAME for each in changes_between(*pair))]
    return tuple(dict.fromkeys(Renamed(was.case.input, now.case.input) for now, was in named))


def only_renamed(now: Result, was: Result) -> bool:
    """Whether a case is about the same image as a golden and differs in nothing but its name."""
    same = now.case.task == was.case.task and now.case.model == was.case.model and now.case.params == was.case.params
    inputs = [{k: v for k, v in each.provenance.digests.items() if k in DIGESTS_OF_INPUTS} for each in (now, was)]
    pixels = [each.stage_digest(_PIXELS) for each in (now, was)]
    return same and any(one and one == other for one, other in (inputs, pixels))


def renamed_sentence(renamed: Sequence[Renamed]) -> str:
    """Say which images were renamed, and what to do; empty if none was."""
    if not renamed:
        return ""
    listed = ", ".join(f"{each.before} is now {each.now}" for each in renamed[:_NAMED])
    more = f" and {len(renamed) - _NAMED} more" if len(renamed) > _NAMED else ""
    return (
        f"The same images are there under another name: {listed}{more}. They are compared with the goldens of the "
        "earlier names. To keep the new names, accept the new cases and delete the old goldens with `xai-eval prune`."
    )
