"""`judge` compares an explanation with its golden. Pure: results in, verdicts out."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from xai_eval.errors import StorageError, error_line
from xai_eval.gate.beside import is_beside
from xai_eval.gate.changes import Change, ChangeKind, changes_between
from xai_eval.gate.earlier_notes import in_other_words, with_facts
from xai_eval.gate.image_sets import OtherImages, of_the_model, other_images
from xai_eval.gate.movement import Movement
from xai_eval.gate.noise_in_use import noise_in_use
from xai_eval.gate.pairing import Scope, is_whole_set, pair_results, scope_of, set_name
from xai_eval.gate.processes import in_shards
from xai_eval.gate.renamed_classes import RenamedClass, renamed_classes, with_new_names
from xai_eval.gate.renamed_in_sets import Member, set_with_new_names
from xai_eval.gate.same_code import findings_of_same_stages
from xai_eval.gate.set_origin import with_origins_of_images
from xai_eval.gate.set_rows import in_order_of
from xai_eval.gate.spelling import counterpart, respelt, written_otherwise
from xai_eval.gate.stages import StageShift, moved_input, movements, origin_of, stage_findings
from xai_eval.gate.tied_choices import without_tied_choices
from xai_eval.gate.unsteady import unsteady
from xai_eval.gate.unwatched import emptied, in_other_order, unwatched_parts, watched
from xai_eval.gate.upgrades import (
    Upgrade,
    another_model,
    changed_parameters,
    decided_by,
    explained_stages,
    lost_with_the_model,
    upgrade_of,
    upgraded_kinds,
)
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.class_list import CLASS_LIST
from xai_eval.result.fields import Document, Field, Finding, Severity
from xai_eval.result.naming import plain
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.noise import Noise
from xai_eval.store.upgrade_policy import DEFAULT_POLICY, Decides, Policy

# The field that says what the examination of the model found; of another model it says something else.
_ABOUT_THE_MODEL = "model"
_BYTES, _PIXELS = Stage(StageKind.IMAGE_BYTES), Stage(StageKind.DECODED_PIXELS)


class Listener(Protocol):
    """Receives every verdict with its result and golden while a run is judged, by several processes if it is large."""

    def add(self, verdict: Verdict, obtained: Result, golden: Result) -> None:
        """Note what is needed of one case."""
        ...

    def taken(self) -> Any:
        """Return what was noted since the last time, which has to be picklable, and forget it."""
        ...

    def join(self, notes: Any) -> None:
        """Keep what `taken` returned, perhaps in another process, of the next cases."""
        ...


def judge(
    obtained: Result,
    golden: Result,
    policy: Policy = DEFAULT_POLICY,
    *,
    noise: Noise | None = None,
    images: OtherImages | None = None,
    members: Sequence[Member] = (),
) -> Verdict:
    """Compare a result with its golden. `policy` says what decides after a change that is on record.

    `noise`, which was measured for the golden, helps to say where a drift began, if it was measured in the precision of
    both. It decides nothing. `images` says how
    the images of a set changed, which the two results alone cannot tell, and `members`, the results of its images with
    their goldens, which classes were renamed.

    If the image changed, or what the policy does not compare (by default: the parameters), the two cannot be compared.
    Otherwise every field is compared by the rules
    of its kind, with the tolerance that the task states *now*, not the one stored in the golden. Parts that the golden
    lacks are named as unwatched and not compared. Parts that the result lacks are drift. If comparing raises, the
    verdict is an error that says so: one case that cannot be judged must not end the judging of the others.

    Example:
        >>> from xai_eval import Case, Result, Score
        >>> case = Case(task="speed", model="", input="photos/cat.jpg")
        >>> golden = Result(case=case, fields={"seconds": Score(2.0, tolerance=0.1)})
        >>> verdict = judge(Result(case=case, fields={"seconds": Score(2.5, tolerance=0.1)}), golden)
        >>> print(verdict.state, verdict.findings[0].sentence)
        drift 2 became 2.5 (may differ by at most 0.1)
    """
    try:
        noise = noise_in_use(noise, obtained, golden)
        return _judged(obtained, golden, policy, noise, images or other_images(obtained, golden, {}, {}), members)
    except StorageError:
        raise
    except Exception as error:  # A kind of field may be code of a user.
        return _unjudgeable(obtained.case, error)


def _judged(
    obtained: Result,
    golden: Result,
    policy: Policy,
    noise: Noise | None,
    images: OtherImages | None,
    members: Sequence[Member],
) -> Verdict:
    changes = changes_between(obtained, golden)
    reason = _another_experiment(obtained, golden, changes, policy, images)
    if reason:
        return Verdict(obtained.case, State.INCOMPARABLE, (), moved_input(obtained, golden), changes, reason)
    obtained, golden = with_facts(obtained, golden)
    words = in_other_words(obtained, golden)
    pair = respelt(obtained, golden)
    comparable = without_tied_choices(pair.obtained, pair.golden)
    obtained, golden = comparable.obtained, comparable.golden
    golden, renamed = _with_names_of_now(obtained, golden, members)
    changes = (*changes, *map(_class_name, renamed))
    if images is not None:
        golden = of_the_model(in_order_of(obtained, golden, images.names))
        obtained = of_the_model(obtained)
    unwatched = unwatched_parts(obtained, golden)
    kinds = upgraded_kinds(obtained, golden, changes, policy)
    explained = explained_stages(obtained, golden, changes, kinds)
    upgrade = upgrade_of(obtained, golden, explained, kinds)
    every = movements(obtained, golden, noise)
    findings = _findings(obtained, golden, every, explained, upgrade)
    if images is None and not renamed:
        findings = findings or findings_of_same_stages(obtained, golden)
    drifted = bool(findings) and images is None  # in another order, stages cannot tell where a drift began
    fields = frozenset(each.field for each in findings)
    origin = origin_of(obtained, golden, every, drifted=drifted, expected=explained, fields=fields)
    if findings:
        drift = Verdict(obtained.case, State.DRIFT, tuple(findings), origin, changes)
        return dataclasses.replace(drift, unwatched=unwatched, upgrade=upgrade, unsteady=unsteady(obtained))
    lacking = emptied(obtained, golden)
    if lacking:
        return Verdict(obtained.case, State.ERROR, changes=changes, reason=_emptied_sentence(lacking))
    notes = f"{written_otherwise(pair)}{words}{comparable.sentence}{in_other_order(obtained, golden)}"
    ok = f"{_ok_sentence(origin, changes, upgrade)}{notes}"
    reason = " ".join(filter(None, [ok, images.sentence if images else ""]))
    return Verdict(
        obtained.case, State.OK, origin=origin, changes=changes, reason=reason, unwatched=unwatched, upgrade=upgrade
    )


def _with_names_of_now(
    obtained: Result, golden: Result, members: Sequence[Member]
) -> tuple[Result, tuple[RenamedClass, ...]]:
    """Return the golden with the names that classes have now, and the classes that were renamed."""
    if members:
        return set_with_new_names(obtained, golden, members)
    renamed = renamed_classes(obtained, golden)
    return with_new_names(golden, renamed, obtained), renamed


def _class_name(renamed: RenamedClass) -> Change:
    return Change(f"name of class {renamed.index}", renamed.before, renamed.now, ChangeKind.NAME)


def _findings(
    obtained: Result,
    golden: Result,
    every: Mapping[Stage, Movement],
    explained: frozenset[Stage],
    upgrade: Upgrade | None,
) -> Sequence[Finding]:
    """Return what differs, the worst first: in fields, or else stages that are gone, or else the first that moved.

    `every` says how far each stage moved.
    """
    described = upgrade is not None and upgrade.of_weights and another_model(obtained, golden)
    found = _compare_fields(obtained, golden, described)
    fields = sorted(found, key=lambda each: _badness(each, obtained.case.task), reverse=True)
    lost = lost_with_the_model(obtained, golden, explained) if described else frozenset()
    return fields or [*_lost_stages(obtained, golden, lost)] or [*stage_findings(obtained, golden, every, explained)]


def _badness(finding: Finding, task: str) -> tuple[Severity, bool, float]:
    """Return what findings are sorted by: severity, whether they are of what stands beside the subject, and excess."""
    return finding.severity, not is_beside(finding, task), finding.excess


def judge_all(
    obtained: Mapping[str, Result],
    goldens: Mapping[str, Result],
    errors: Mapping[str, Verdict] | None = None,
    selections: Sequence[str] = (),
    listener: Listener | None = None,
    policy: Policy = DEFAULT_POLICY,
    noises: Mapping[str, Noise] | None = None,
    complete: bool = False,
) -> list[Verdict]:
    """Judge a whole run.

    Args:
        obtained: results of the run by case key.
        goldens: all goldens by case key.
        errors: verdicts on results and goldens that cannot be read.
        selections: input sets, or what comes before a "/" in inputs, of which the run used only a part; goldens of the
            rest do not count as unused.
        listener: receives every verdict with its result and golden while their arrays are in memory.
        policy: what decides after a change that is on record.
        noises: what was measured for goldens, by case key.
        complete: whether every golden must have a result, whatever the run says of what it used. Values that only
            tests check are excepted.

    Results are paired with goldens as `pair_results` says. Results that remain are missing a golden, goldens that
    remain are unused.

    Raises:
        StorageError: a result or golden whose arrays are read only now is damaged.
    """
    errors = errors or {}
    pairs = pair_results(_readable(obtained, errors), _readable(goldens, errors), selections)
    verdicts: list[Verdict] = []
    run = _Run(obtained, goldens, pairs, policy, noises or {}, listener)
    with contextlib.closing(in_shards(run.judged, list(pairs), "judging")) as shards:
        known: dict[Any, Any] = {}
        for judged, notes in shards:
            verdicts += (_in_common(each, obtained[each.case.key].case, known) for each in judged)
            if listener is not None:
                listener.join(notes)
    used = {key for key in pairs.values() if key}
    with contextlib.closing(
        in_shards(_read_all, [*_others(obtained, pairs), *_others(goldens, used)], "reading")
    ) as alone:
        collections.deque(alone, maxlen=0)
    measured = {scope_of(each.case) for each in (*obtained.values(), *(goldens[key] for key in used))}
    asked = {k for k, g in goldens.items() if scope_of(g.case) in measured and not among(g.case, selections)}
    if complete:
        asked |= {key for key, golden in goldens.items() if golden.case.repeatable}
    unused = [
        Verdict(g.case, State.UNUSED, reason=_unused_reason(g.case, _tried(g.case, measured, selections)))
        for k, g in goldens.items()
        if k in asked and k not in used and k not in errors
    ]
    return [*errors.values(), *with_origins_of_images(verdicts), *unused]


@dataclass(frozen=True)
class _Run:
    """What each case of a run is judged with; the attributes are those of `judge_all`, and the pairs of keys."""

    obtained: Mapping[str, Result]
    goldens: Mapping[str, Result]
    pairs: Mapping[str, str | None]
    policy: Policy
    noises: Mapping[str, Noise]
    listener: Listener | None

    def judged(self, keys: Sequence[str]) -> tuple[list[Verdict], Any]:
        """Return the verdicts on some results, and what the listener noted."""
        verdicts = [self._verdict(key, self.pairs[key]) for key in keys]
        return verdicts, None if self.listener is None else self.listener.taken()

    def _verdict(self, key: str, former: str | None) -> Verdict:
        now = self.obtained[key].in_memory()
        if not former:
            return missing(now.case)
        was = self.goldens[former].in_memory()
        images = other_images(now, was, self.obtained, self.goldens)
        named = _images_of(now, was, self.pairs, self.obtained)
        members = [(self.obtained[own], self.goldens[of]) for own, of in named]
        verdict = judge(now, was, self.policy, noise=self.noises.get(was.case.key), images=images, members=members)
        return _notified(verdict, now, was, self.listener)


def _in_common(verdict: Verdict, case: Case, known: dict[Any, Any]) -> Verdict:
    """Return a verdict of which the parts that others have as well are the same objects: a run may have many."""
    changes, reason = (known.setdefault(each, each) for each in (verdict.changes, verdict.reason))
    return dataclasses.replace(verdict, case=case, changes=changes, reason=reason)


def _read_all(results: Sequence[Result]) -> None:
    """Read results that are compared with nothing, because a damaged one has to be told."""
    for each in results:
        each.in_memory()


def _images_of(
    whole: Result, golden: Result, pairs: Mapping[str, str | None], obtained: Mapping[str, Result]
) -> Iterator[tuple[str, str]]:
    """Yield the keys of the results of a set's images and of their goldens, if the classes have other names now."""
    if not is_whole_set(whole.case) or not _other_class_list(whole, golden):
        return
    for key, former in pairs.items():
        case = obtained[key].case
        if former and not is_whole_set(case) and scope_of(case) == scope_of(whole.case):
            yield key, former


def _other_class_list(obtained: Result, golden: Result) -> bool:
    now, was = (each.provenance.parameters.get(CLASS_LIST) for each in (obtained, golden))
    return now is not None and was is not None and now != was


def _readable(results: Mapping[str, Result], errors: Collection[str]) -> dict[str, Result]:
    return {key: result for key, result in results.items() if key not in errors}


def _tried(case: Case, measured: Collection[Scope], selections: Sequence[str]) -> bool:
    """Whether a run would have obtained a case: it tried its task, model and parameters, and all images of its set."""
    return scope_of(case) in measured and not among(case, selections)


def _unused_reason(case: Case, tried: bool) -> str:
    if not tried:
        return (
            "The run did not try this case, although a complete run was asked for. Run the whole suite with all images "
            "again; if the case is no longer wanted, delete the folder of its golden."
        )
    if case.repeatable:
        return (
            "The run did not obtain this case, although its golden is of the run's models and images. If it is no "
            "longer wanted, delete its golden with `xai-eval prune`."
        )
    return (
        "No test of the run checked this case. If its test or its name was changed on purpose, accept the new case, "
        "and delete this golden with `xai-eval prune`."
    )


def among(case: Case, selections: Sequence[str]) -> bool:
    """Whether a case is of an input set, or begins as the inputs, of which the run used only a part."""
    return set_name(case) in selections or any(case.input.startswith(f"{each}/") for each in selections)


def _notified(verdict: Verdict, obtained: Result, golden: Result, listener: Listener | None) -> Verdict:
    if listener is None or verdict.state is State.ERROR:
        return verdict
    try:
        listener.add(verdict, obtained, golden)
    except StorageError:
        raise
    except Exception as error:  # Code of the fields runs here, too.
        return _unjudgeable(obtained.case, error)
    return verdict


def _unjudgeable(case: Case, error: Exception) -> Verdict:
    where = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
    reason = (
        f"the case could not be judged: {where}{error_line(error)}. Look at what the task returned there, correct "
        "the task or the kind of field, and run again; if the golden is wrong, accept a new result."
    )
    return Verdict(case, State.ERROR, reason=reason)


def _others(results: Mapping[str, Result], keys: Collection[str]) -> list[Result]:
    return [result for key, result in results.items() if key not in keys]


def missing(case: Case) -> Verdict:
    """Return the verdict on a case that has no golden yet."""
    return Verdict(case, State.MISSING, reason="This case has no golden: look at it, then accept it.")


def _another_experiment(
    obtained: Result, golden: Result, changes: Sequence[Change], policy: Policy, images: OtherImages | None
) -> str:
    if images is not None and not images.same:
        return images.sentence
    parameters = changed_parameters(obtained, golden, policy)
    if parameters and policy.parameters is Decides.INCOMPARABLE:
        return f"The experiment changed, so the two cannot be compared: {'; '.join(map(str, parameters))}."
    refused = [
        each
        for each in changes
        if each.kind is not ChangeKind.PARAMETER and decided_by(each.kind, policy) is Decides.INCOMPARABLE
    ]
    if refused:
        return f"The configuration says that the two are not compared after this: {'; '.join(map(str, refused))}."
    if images is None and all(_known_to_differ(obtained, golden, stage) for stage in (_BYTES, _PIXELS)):
        return "The golden is of another image (bytes and pixels differ), so the two cannot be compared."
    return ""


def _known_to_differ(obtained: Result, golden: Result, stage: Stage) -> bool:
    now, was = obtained.stage_digest(stage), golden.stage_digest(stage)
    return now is not None and was is not None and now != was


def _compare_fields(obtained: Result, golden: Result, described: bool) -> list[Finding]:
    """Compare all fields, without the description of the model if another one is `described`."""
    findings: list[Finding] = []
    for name, was in golden.fields.items():
        now = obtained.fields.get(name)
        if described and name == _ABOUT_THE_MODEL and isinstance(now, Document):
            continue
        if now is None or now.kind != was.kind:
            what = "the result no longer has it" if now is None else f"its kind was {was.kind} and is {now.kind} now"
            findings.append(Finding(name, Severity.CONCLUSION, "field", what))
        else:
            findings += _compared(name, now, was)
    return findings


def _compared(name: str, now: Field, was: Field) -> tuple[Finding, ...]:
    """Compare a field with its golden. A note on any error says which field raised it."""
    try:
        return watched(now, was).compare(was, name)
    except Exception as error:
        error.add_note(f"field {name} ({now.kind})")
        raise


def _lost_stages(obtained: Result, golden: Result, with_the_model: frozenset[Stage]) -> list[Finding]:
    """Report stages that the result no longer records: nothing would notice it if they changed."""
    lost = [
        stage
        for stage, was in golden.stages.items()
        if counterpart(obtained, stage, was) is None and stage not in with_the_model
    ]
    return [
        Finding("stages", Severity.NUMBERS, stage, f"the result no longer records the {plain(stage)}")
        for stage in map(str, lost)
    ]


def _emptied_sentence(lacking: str) -> str:
    return (
        f"The golden holds {lacking}, so nothing of it would be compared. Restore the golden from version control, or "
        "look at the result and accept it."
    )


def _ok_sentence(origin: StageShift | None, changes: Sequence[Change], upgrade: Upgrade | None) -> str:
    if not changes and origin is None:
        return "The explanation matches its golden."
    changed = "; ".join(map(str, changes))
    if upgrade is not None:
        what = f"{upgrade.what[:1].upper()}{upgrade.what[1:]}"
        return f"{what} changed on record ({changed}); the explanation held. {upgrade.sentence}"
    despite = f", although these changed: {changed}" if changes else ""
    return f"The explanation matches its golden{despite}.{f' {origin.sentence}' if origin else ''}"
