"""`judge`: what became of an explanation since its golden was accepted. Pure: results in, verdicts out."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from xai_eval.errors import StorageError, one_line
from xai_eval.gate.changes import Change, changes_between, parameter_changes
from xai_eval.gate.pairing import pair_cases, scope_of, set_name
from xai_eval.gate.stages import StageShift, moved_input, origin_of, stage_findings
from xai_eval.gate.unwatched import unwatched_parts, watched
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.fields import Field, Finding, Severity
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind

_BYTES, _PIXELS = Stage(StageKind.IMAGE_BYTES), Stage(StageKind.DECODED_PIXELS)


class Listener(Protocol):
    """Wants to know more of a run than its verdicts."""

    def add(self, verdict: Verdict, obtained: Result, golden: Result) -> None:
        """Keep what is worth keeping of one case."""
        ...


def judge(obtained: Result, golden: Result) -> Verdict:
    """Compare what a run obtained with its golden.

    The experiment comes first: other parameters, or another image, and the two cannot be compared. Then every
    field is compared by its kind, with the tolerance that stands beside the task *now*. What the golden lacks is named
    as unwatched and compared with nothing; what the golden has and the result lacks is a drift. Where comparing raises,
    the verdict is an error that says so: one case that cannot be judged must not end the judging of the others.
    """
    try:
        return _judged(obtained, golden)
    except StorageError:
        raise
    except Exception as error:  # kinds of fields are anybody's code
        return _unjudgeable(obtained.case, error)


def _judged(obtained: Result, golden: Result) -> Verdict:
    reason = _another_experiment(obtained, golden)
    changes = changes_between(obtained, golden)
    if reason:
        return Verdict(obtained.case, State.INCOMPARABLE, (), moved_input(obtained, golden), changes, reason)
    unwatched = unwatched_parts(obtained, golden)
    findings = sorted(_compare_fields(obtained, golden), key=lambda finding: -finding.severity)
    findings = findings or [*_lost_stages(obtained, golden)] or [*stage_findings(obtained, golden)]
    origin = origin_of(obtained, golden, drifted=bool(findings))
    if findings:
        return Verdict(obtained.case, State.DRIFT, tuple(findings), origin, changes, unwatched=unwatched)
    reason = _ok_sentence(origin, changes)
    return Verdict(obtained.case, State.OK, origin=origin, changes=changes, reason=reason, unwatched=unwatched)


def judge_all(
    obtained: Mapping[str, Result],
    goldens: Mapping[str, Result],
    errors: Mapping[str, Verdict] | None = None,
    selections: Sequence[str] = (),
    listener: Listener | None = None,
) -> list[Verdict]:
    """Judge a whole run.

    Args:
        obtained: results of the run by case key.
        goldens: all goldens by case key.
        errors: verdicts on results and goldens that cannot be read.
        selections: input sets of which the run took only a part: their other goldens are not unused.
        listener: is told of every verdict on a result and its golden, with the two, while their arrays are at hand.

    A result without a golden is paired with a golden without a result if the two differ in nothing but the model,
    or, failing that, in nothing but parameters: then the verdict can say what replaced what. Pairs must be
    unambiguous. Whatever remains is missing or unused.

    Raises:
        StorageError: a result or golden whose arrays stay on disk turns out to be damaged.
    """
    errors = errors or {}
    pairs = pair_cases(
        [r.case for k, r in obtained.items() if k not in errors],
        [g.case for k, g in goldens.items() if k not in errors],
    )
    verdicts = []
    for key, former in pairs.items():
        now, was = obtained[key].in_memory(), goldens[former].in_memory() if former else None
        verdicts.append(_judge_and_tell(now, was, listener) if was else missing(now.case))
    used = {key for key in pairs.values() if key}
    for alone in (*_others(obtained, pairs), *_others(goldens, used)):
        alone.in_memory()
    measured = {scope_of(each.case) for each in (*obtained.values(), *(goldens[key] for key in used))}
    unused = [
        Verdict(
            g.case,
            State.UNUSED,
            reason="a golden of this run's models and images, but the run did not obtain it.",
        )
        for k, g in goldens.items()
        if k not in used and k not in errors and set_name(g.case) not in selections and scope_of(g.case) in measured
    ]
    return [*errors.values(), *verdicts, *unused]


def _judge_and_tell(obtained: Result, golden: Result, listener: Listener | None) -> Verdict:
    verdict = judge(obtained, golden)
    if listener is None or verdict.state is State.ERROR:
        return verdict
    try:
        listener.add(verdict, obtained, golden)
    except StorageError:
        raise
    except Exception as error:  # fields tell of their changes here, too
        return _unjudgeable(obtained.case, error)
    return verdict


def _unjudgeable(case: Case, error: Exception) -> Verdict:
    where = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
    reason = (
        f"the case could not be judged: {where}{one_line(error)}. Look at what the task gave there, mend the task "
        "or the kind of field, and run again; if the golden is at fault, accept a new result."
    )
    return Verdict(case, State.ERROR, reason=reason)


def _others(results: Mapping[str, Result], keys: Collection[str]) -> list[Result]:
    return [result for key, result in results.items() if key not in keys]


def missing(case: Case) -> Verdict:
    """The verdict on a case that has no golden yet."""
    return Verdict(case, State.MISSING, reason="there is no golden for this case: look at it, then accept it.")


def _another_experiment(obtained: Result, golden: Result) -> str:
    if dict(obtained.case.params) != dict(golden.case.params):
        changed = parameter_changes(obtained.case.params, golden.case.params)
        return f"the experiment changed, so there is nothing to compare: {'; '.join(map(str, changed))}."
    was, now = golden.stages.get(_BYTES), obtained.stages.get(_BYTES)
    pixels_was, pixels_now = golden.stages.get(_PIXELS), obtained.stages.get(_PIXELS)
    if (
        was
        and now
        and was.digest != now.digest
        and pixels_was
        and pixels_now
        and pixels_was.digest != pixels_now.digest
    ):
        return "the image's bytes and pixels are not those of the golden, so there is nothing to compare."
    return ""


def _compare_fields(obtained: Result, golden: Result) -> list[Finding]:
    findings: list[Finding] = []
    for name, was in golden.fields.items():
        now = obtained.fields.get(name)
        if now is None or now.kind != was.kind:
            what = "is gone" if now is None else f"was a {was.kind}, is a {now.kind}"
            findings.append(Finding(name, Severity.CONCLUSION, "field", what))
        else:
            with _named(name, now):
                findings.extend(watched(now, was).compare(was, name))
    return findings


@contextlib.contextmanager
def _named(name: str, field: Field) -> Iterator[None]:
    """Note with whatever is raised which field it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"field {name} ({field.kind})")
        raise


def _lost_stages(obtained: Result, golden: Result) -> list[Finding]:
    """A stage that nobody records any more is watched no more, also where its moves would only be told."""
    gone = [str(stage) for stage in golden.stages if stage not in obtained.stages]
    return [Finding("stages", Severity.NUMBERS, stage, f"{stage} is gone: the golden has it") for stage in gone]


def _ok_sentence(origin: StageShift | None, changes: Sequence[Change]) -> str:
    if not changes and origin is None:
        return "as accepted."
    held = f"the explanation held although these changed: {'; '.join(map(str, changes))}." if changes else ""
    moved = f"{origin.sentence}." if origin else ""
    return " ".join(filter(None, [held, moved])) or "as accepted."
