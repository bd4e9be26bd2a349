"""Go on with a run that was interrupted: keep the results that would be computed identically, and no others.

A result is kept if everything that it was made from is the same, by digest (`run/contents.py`). That is not trusted
blindly. The stages of a kept result that come before the explanation are computed again, by one forward pass, and must
be the same. Of a task or an explainer of the user one whole result is computed again, because its code may depend on
anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xai_eval.errors import StorageError, UsageError
from xai_eval.result.result import Result
from xai_eval.run.kept import Kept
from xai_eval.store.made_from import Contents, changed_contents, read_made_from

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.run.contents import Sources
    from xai_eval.run.plan import Plan
    from xai_eval.store.run_folder import RunFolder
    from xai_eval.tasks.image.per_image import PerImage

_NAMED = 3  # reasons or changes that a sentence spells out
_INCOMPLETE = "its task sums up all images at the end, and was not finished"
_OF_IMAGES = "it sums up all images, and some of them are computed"


def kept_results(plans: Sequence[Plan], folder: RunFolder) -> Kept:
    """Decide which results in the folder of an interrupted run are kept.

    Raises:
        UsageError: the folder holds results, but none of what is asked for now: going on would delete them all.
        StorageError: the folder holds files that no run of xai_eval wrote.
        ModelMisbehaves: the model raises an error.
    """
    folder.check_results()
    _refuse_other_work(plans, folder)
    decided = [dict(_decided(each.loaded(), folder)) for each in plans]
    by_plan = tuple(frozenset(key for key, reason in each.items() if not reason) for each in decided)
    kept = frozenset().union(*by_plan)
    again = {key: reason for each in decided for key, reason in each.items() if key not in kept}
    provenance = next((Result.load(folder.folder_of(key)).provenance for key in sorted(kept)), None)
    return Kept(sum(each.count for each in plans), by_plan, again, provenance)


def _refuse_other_work(plans: Sequence[Plan], folder: RunFolder) -> None:
    found = [contents for place in _places(folder) if (contents := read_made_from(place)) is not None]
    asked = {(each.task, each.model, each.inputs) for each in plans}
    others = {_work(contents) for contents in found}
    if others and not others & asked:
        task, model, images = sorted(others)[0]
        raise UsageError(
            f"{folder.results} holds results of {task} with {model} on {images}, but this command asks for "
            f"{', '.join(' with '.join(each[:2]) + f' on {each[2]}' for each in sorted(asked))}. Give --resume the "
            "options of the run that was interrupted, or leave it out: then these results are replaced."
        )


def _work(contents: Contents) -> tuple[str, str, str]:
    return contents.get("task", ""), contents.get("model", ""), contents.get("image set", "")


def _places(folder: RunFolder, task: str = "*") -> list[Path]:
    return sorted(place for place in folder.results.glob(f"{task}/*") if place.is_dir())


def _decided(plan: Plan, folder: RunFolder) -> Iterator[tuple[str, str]]:
    """Yield the case keys of results that are there, each with the reason to compute it again, or an empty text."""
    if plan.parts is not None and plan.sources is not None:
        yield from _decided_per_image(plan.parts, plan.sources, folder)
    elif plan.sources is not None:
        yield from _decided_together(plan, plan.sources, folder)
    else:
        yield from ((_key(place), "nobody can tell what it was made from") for place in _places(folder, plan.task))


def _decided_per_image(parts: PerImage, sources: Sources, folder: RunFolder) -> Iterator[tuple[str, str]]:
    reasons = {}
    for image in parts.setup.images.images:
        key = parts.case(image).key
        if folder.folder_of(key).is_dir():
            reasons[key] = _reason(folder.folder_of(key), sources.of_image(image)) or _changed_start(
                folder.folder_of(key), parts, image
            )
    tried = next((i for i in parts.setup.images.images if reasons.get(parts.case(i).key) == ""), None)
    if tried is not None and sources.has_code_of_user and not _is_reproduced(parts, tried, folder):
        reasons = {key: reason or "one result was tried, and came out differently" for key, reason in reasons.items()}
    yield from reasons.items()
    if parts.sum_up is not None:
        yield from _decided_sum(parts, parts.sum_up.case.key, reasons, sources, folder)


def _decided_sum(
    parts: PerImage, key: str, reasons: Mapping[str, str], sources: Sources, folder: RunFolder
) -> Iterator[tuple[str, str]]:
    """Yield the key of the result of all images, if it is there: it is kept if the results of all images are."""
    if folder.folder_of(key).is_dir():
        kept = list(reasons.values()).count("") == len(parts.setup.images)
        yield key, _reason(folder.folder_of(key), sources.of_set) or ("" if kept else _OF_IMAGES)


def _decided_together(plan: Plan, sources: Sources, folder: RunFolder) -> Iterator[tuple[str, str]]:
    now = sources.of_set
    own = [place for place in _places(folder, plan.task) if _is_about(place, now)]
    reasons = {_key(place): _reason(place, now) for place in own}
    if list(reasons.values()).count("") != plan.count or sources.has_code_of_user:
        reasons = {key: reason or _INCOMPLETE for key, reason in reasons.items()}
    yield from reasons.items()


def _is_about(place: Path, now: Contents) -> bool:
    before = read_made_from(place)
    return before is not None and _work(before) == _work(now)


def _reason(place: Path, now: Contents) -> str:
    """Return why the result in a folder has to be computed again; empty if it is whole and made from the same."""
    before = read_made_from(place)
    try:
        Result.load(place)
    except StorageError:
        return "it cannot be read"
    if before is None:
        return "nobody can tell what it was made from"
    changed = changed_contents(before, now)
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f"of a change of {', '.join(changed[:_NAMED])}{more}" if changed else ""


def _changed_start(place: Path, parts: PerImage, image: LabelledImage) -> str:
    stored, now = Result.load(place).stages, parts.begin(image)
    changed = [stage for stage, seen in now.items() if stage not in stored or stored[stage].digest != seen.digest]
    return f"of a change of {changed[0]}" if changed else ""


def _is_reproduced(parts: PerImage, image: LabelledImage, folder: RunFolder) -> bool:
    return parts.explained(image).digest == Result.load(folder.folder_of(parts.case(image).key)).digest


def _key(place: Path) -> str:
    return f"{place.parent.name}/{place.name}"
