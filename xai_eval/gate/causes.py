"""Groups drifts by their cause: what one change did to many images is told once. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from xai_eval.gate.changes import Change, ChangeKind
from xai_eval.gate.changes_in_short import in_short
from xai_eval.gate.pairing import is_whole_set
from xai_eval.gate.stage_words import stage_words
from xai_eval.gate.verdict import State, Verdict

# Digests, and what is another for every image, are told by their kind alone.
_BY_KIND = {ChangeKind.WEIGHTS: "weights changed", ChangeKind.INPUT: "the images changed"}
_MODEL = "model"


@dataclass(frozen=True)
class Cause:
    """What drifts have in common.

    Attributes:
        model: spec of the model.
        what: what changed on record, or that nothing did and where the change begins.
        stage: the first stage that changed, and the step that makes it; empty if it is unknown.
        failed: whether the cases fail their run; those in quarantine do not.
    """

    model: str
    what: str
    stage: str
    failed: bool


@dataclass(frozen=True)
class Group:
    """Drifts of one cause, the worst first."""

    cause: Cause
    verdicts: tuple[Verdict, ...]

    @property
    def images(self) -> int:
        """Number of images; several tasks may have explained one."""
        return len({verdict.case.input for verdict in self.verdicts})

    @property
    def title(self) -> str:
        """Such as '11 images: weights changed'."""
        cases, noun = len(self.verdicts), "case" if any(is_whole_set(v.case) for v in self.verdicts) else "image"
        number = cases if noun == "case" else self.images
        several = f" in {cases} cases" if number < cases else ""
        return f"{number} {noun}{'s' * (number > 1)}{several}: {self.cause.what}"


def grouped(worst_first: Iterable[Verdict]) -> tuple[Group, ...]:
    """Group the drifts among verdicts by their cause; the order of groups is that of the worst case of each.

    Args:
        worst_first: verdicts of a run, the worst first.
    """
    groups: dict[Cause, list[Verdict]] = defaultdict(list)
    for verdict in worst_first:
        if verdict.state is State.DRIFT:
            groups[_cause_of(verdict)].append(verdict)
    return tuple(Group(cause, tuple(verdicts)) for cause, verdicts in groups.items())


def told_together(worst_first: Iterable[Verdict]) -> Iterator[Group | Verdict]:
    """Yield what is told at once: a group of several drifts where its worst case belongs, and any other verdict alone.

    Args:
        worst_first: verdicts of a run, the worst first.
    """
    verdicts = list(worst_first)
    groups = [group for group in grouped(verdicts) if len(group.verdicts) > 1]
    first = {group.verdicts[0].case.key: group for group in groups}
    members = {verdict.case.key for group in groups for verdict in group.verdicts}
    for verdict in verdicts:
        key = verdict.case.key
        if key in first:
            yield first[key]
        elif key not in members:
            yield verdict


def _cause_of(verdict: Verdict) -> Cause:
    origin = verdict.origin
    step = f"{origin.stage} {origin.responsible.step if origin.responsible else ''}" if origin else ""
    # Which block of the weights comes first says nothing, if the weights were changed on record.
    return Cause(verdict.case.model, _what(verdict), "" if verdict.upgrade else step, verdict.failed)


def _what(verdict: Verdict) -> str:
    if verdict.unsteady:
        return "the model answers the same image differently from pass to pass"
    told = _on_record([change for change in verdict.changes if change.kind is not ChangeKind.NAME])
    if told:
        return ", ".join(told)
    if verdict.origin is None:
        return "something that is not recorded, such as code (weights, images, versions and settings are as before)"
    if verdict.origin.stage.kind == "measures":
        return "metrics, or how the result is put together, changed"
    step = f" ({verdict.origin.responsible.step})" if verdict.origin.responsible else ""
    return f"the {stage_words(verdict.origin.stage)} changed{step}"


def _on_record(changes: Sequence[Change]) -> dict[str, None]:
    by_kind = [change for change in changes if change.kind in _BY_KIND]
    others = [change for change in changes if change.kind not in _BY_KIND]
    return dict.fromkeys([*map(_in_words, by_kind), *in_short(others)])


def _in_words(change: Change) -> str:
    return str(change) if change.what == _MODEL else _BY_KIND[change.kind]
