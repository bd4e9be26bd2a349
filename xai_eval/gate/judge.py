"""`judge`: what became of an explanation since its golden was accepted. Pure: results in, verdicts out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from xai_eval.gate.pairing import Scope, pair_cases, scope_of, set_name
from xai_eval.gate.stages import StageShift, moved_input, origin_of, stage_findings
from xai_eval.gate.verdict import Change, State, Verdict
from xai_eval.result.fields import Finding, Severity
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.parallel import in_halves

_BYTES, _PIXELS = Stage(StageKind.IMAGE_BYTES), Stage(StageKind.DECODED_PIXELS)


class Listener(Protocol):
    """Wants to know more of a run than its verdicts."""

    def note(self, verdict: Verdict, obtained: Result, golden: Result) -> Any:
        """Return what is worth keeping of one case; changes nothing, because it may be called in another process."""
        ...

    def add(self, note: Any) -> None:
        """Take what `note` gave, case by case."""
        ...


def judge(obtained: Result, golden: Result) -> Verdict:
    """Compare what a run obtained with its golden.

    The experiment comes first: other parameters, or another image, and the two cannot be compared. Then every
    field is compared by its kind, with the tolerance that stands beside the task *now*.
    """
    reason = _another_experiment(obtained, golden)
    changes = provenance_changes(obtained.provenance, golden.provenance)
    if obtained.case.model != golden.case.model:
        changes = (Change("model", golden.case.model, obtained.case.model), *changes)
    if reason:
        return Verdict(obtained.case, State.INCOMPARABLE, (), moved_input(obtained, golden), changes, reason)
    findings = sorted(_compare_fields(obtained, golden), key=lambda finding: -finding.severity)
    findings = findings or list(stage_findings(obtained, golden))
    origin = origin_of(obtained, golden, drifted=bool(findings))
    if findings:
        return Verdict(obtained.case, State.DRIFT, tuple(findings), origin, changes)
    return Verdict(obtained.case, State.OK, origin=origin, changes=changes, reason=_ok_sentence(origin, changes))


def judge_all(
    obtained: Mapping[str, Result],
    goldens: Mapping[str, Result],
    errors: Mapping[str, Verdict] | None = None,
    selections: Sequence[str] = (),
    scope: Collection[Scope] = (),
    listener: Listener | None = None,
) -> list[Verdict]:
    """Judge a whole run.

    Args:
        obtained: results of the run by case key.
        goldens: all goldens by case key.
        errors: verdicts on results and goldens that cannot be read.
        selections: input sets of which the run took only a part: their other goldens are not unused.
        scope: what the run set out to measure, beyond what its results tell.
        listener: is told of every verdict on a result and its golden, with the two, while their arrays are at hand.

    A result without a golden is paired with a golden without a result if the two differ in nothing but the model,
    or, failing that, in nothing but parameters: then the verdict can say what replaced what. Pairs must be
    unambiguous. Whatever remains is missing or unused.
    """
    errors = errors or {}
    pairs = pair_cases(
        [r.case for k, r in obtained.items() if k not in errors],
        [g.case for k, g in goldens.items() if k not in errors],
    )

    def judged(pair: tuple[str, str | None]) -> tuple[Verdict, Any]:
        now, was = obtained[pair[0]], goldens[pair[1]] if pair[1] else None
        verdict = judge(now, was) if was else missing(now.case)
        return verdict, listener.note(verdict, now, was) if listener and was else None

    verdicts = []
    for verdict, note in in_halves(judged, pairs.items()):
        verdicts.append(verdict)
        if listener and note is not None:
            listener.add(note)
    used = {key for key in pairs.values() if key}
    measured = {*scope, *(scope_of(r.case) for r in obtained.values()), *(scope_of(goldens[key].case) for key in used)}
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


def missing(case: Case) -> Verdict:
    """The verdict on a case that has no golden yet."""
    return Verdict(case, State.MISSING, reason="there is no golden for this case: look at it, then accept it.")


def provenance_changes(now: Provenance, was: Provenance) -> tuple[Change, ...]:
    """List what differs, in the order in which it is likely to matter."""
    changes = [
        *_mapping_changes("", was.digests, now.digests, shorten=True),
        *_mapping_changes("", was.versions, now.versions),
        *_mapping_changes("parameter ", was.parameters, now.parameters),
        *_mapping_changes("", {"device": was.device, "seed": was.seed}, {"device": now.device, "seed": now.seed}),
        *_mapping_changes("precision ", was.precision, now.precision),
    ]
    return tuple(changes)


def _another_experiment(obtained: Result, golden: Result) -> str:
    if dict(obtained.case.params) != dict(golden.case.params):
        changed = _mapping_changes("", golden.case.params, obtained.case.params)
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
            findings.extend(now.compare(was, name))
    for name in obtained.fields:
        if name not in golden.fields and obtained.fields[name].condensed() is not None:
            findings.append(Finding(name, Severity.NUMBERS, "field", "is new: the golden has no such field"))
    return findings


def _mapping_changes(
    prefix: str, was: Mapping[str, Any], now: Mapping[str, Any], *, shorten: bool = False
) -> list[Change]:
    def show(mapping: Mapping[str, Any], key: str) -> str:
        text = str(mapping.get(key, "none"))
        return text[:8] if shorten else text

    was, now = dict(_flat(was)), dict(_flat(now))
    keys = dict.fromkeys((*was, *now))
    return [Change(prefix + k, show(was, k), show(now, k)) for k in keys if was.get(k) != now.get(k)]


def _flat(mapping: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Name what lies deeper by the words on the way there: people want to read what changed, not what did not."""
    for name, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name} ")
        else:
            yield f"{above}{name}", value


def _ok_sentence(origin: StageShift | None, changes: Sequence[Change]) -> str:
    if not changes and origin is None:
        return "as accepted."
    held = f"the explanation held although these changed: {'; '.join(map(str, changes))}." if changes else ""
    moved = f"{origin.sentence}." if origin else ""
    return " ".join(filter(None, [held, moved])) or "as accepted."
