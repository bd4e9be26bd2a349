"""The decisions that change goldens: accept results, find unused goldens, store measured noise."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xai_eval.errors import StorageError, UsageError
from xai_eval.gate.ci import refuse_under_ci
from xai_eval.gate.judge import judge
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.leading_measure import leading_measure
from xai_eval.gate.run_findings import RunFindings, run_findings_of
from xai_eval.gate.verdict import State, Verdict
from xai_eval.media.progress import SILENT, progress
from xai_eval.result.precisions import same_precision
from xai_eval.result.result import Result, stored_digest
from xai_eval.store.goldens import Goldens, case_of_folder, resolve
from xai_eval.store.history import NOT_JUDGED, Overruled, check_reason
from xai_eval.store.noise import Noise, load_noises
from xai_eval.store.upgrade_policy import ALL_STAGES

# Nobody looks at more cases than this one by one, so that more need `--bulk`.
BULK_ABOVE = 20


def accept(
    judged: Judged,
    goldens: Goldens,
    keys: Sequence[str],
    *,
    everything: bool,
    reason: str,
    bulk: bool = False,
    upgrade: str = "",
) -> list[str]:
    """Make results the goldens of their cases, and record who accepted them, when, why, and despite which verdict.

    Args:
        judged: the judged run that the results are from.
        goldens: the goldens to change.
        keys: case keys; a key without its hash, or the name of the input, is enough if only one case has it.
        everything: accept all results of the run; `keys` is empty then.
        reason: why the results are right; stored with each golden.
        bulk: allow more than `BULK_ABOVE` goldens to change at once.
        upgrade: whether the explanations are still as good over the whole set, in words, if that was asked; stored with
            each golden.

    Returns:
        The keys of the goldens that changed. Results that match their golden are skipped.

    Raises:
        UsageError: this is a CI, the reason is empty or too long, no case is named, a case is unknown or its result
            cannot be read, the run is incomplete, all of a damaged run are wanted, or more than `BULK_ABOVE` without
            `bulk`.
    """
    refuse_under_ci("accepting is refused in a CI: a person accepts, after looking at the images.")
    check_reason(reason)
    if everything == bool(keys):
        raise UsageError(
            "name the cases to accept, or --all, not both." if keys else "name a case to accept, or --all."
        )
    if judged.gap:
        raise UsageError(
            f"the run is incomplete ({judged.gap}), so accepting is refused: run it to the end, or run only what can "
            "be measured here."
        )
    if everything:
        _require_readable(judged, "--all")
    verdicts = {v.case.key: v for v in judged.verdicts}
    accepted = [key for key in _chosen(judged, keys) if _differs(key, verdicts.get(key), judged)]
    if len(accepted) > BULK_ABOVE and not bulk:
        raise UsageError(
            f"{len(accepted)} goldens would change at once, more than {BULK_ABOVE}, and nobody looks at so many "
            "one by one: name those you looked at, or add --bulk."
        )
    with goldens.locked() if accepted or goldens.has_leftovers() else contextlib.nullcontext():
        _each(
            accepted,
            lambda key: goldens.store(judged.results[key], reason.strip(), _overruled(verdicts.get(key), upgrade)),
        )
    return accepted


def matching_goldens(judged: Judged, keys: Sequence[str], accepted: Sequence[str]) -> list[str]:
    """Return the results among those chosen by `keys` (none: all) that `accept` left alone: they match their goldens.

    `judged` and `keys` are those given to `accept`, and `accepted` is what it returned.
    """
    changed = set(accepted)
    return [key for key in _chosen(judged, keys) if key not in changed]


def _chosen(judged: Judged, keys: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(obtained_cases(keys, judged) if keys else judged.results))


def _each(keys: Sequence[str], store: Callable[[str], object]) -> None:
    """Store goldens one after the other, and show how far it is."""
    with progress(len(keys), "accepting", "golden", after=SILENT) as advance:
        for number, key in enumerate(keys, 1):
            with _told_how_far(key, number, len(keys)):
                store(key)
                advance(1)


@contextlib.contextmanager
def _told_how_far(key: str, number: int, total: int) -> Iterator[None]:
    where = f"while it accepted {key}, golden {number:,} of {total:,}"
    rest = "Every golden is as it was or as accepted, never half of each: the same command accepts the rest."
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f" {where}. {rest}") from stop
    except StorageError as error:
        if number == 1:
            raise
        raise StorageError(f"{error} It happened {where}. {rest}") from error


def _overruled(verdict: Verdict | None, upgrade: str) -> Overruled:
    if verdict is None:
        return NOT_JUDGED
    severity = verdict.severity.label if verdict.severity else ""
    measure, excess = leading_measure(verdict)
    return Overruled(
        str(verdict.state), severity, verdict.sentence, upgrade if verdict.upgrade else "", measure, excess
    )


def obtained_case(name: str, judged: Judged) -> str:
    """Return the key of the result that `name` names. Raises UsageError if there is none, or it cannot be read."""
    return obtained_cases([name], judged)[0]


def obtained_cases(names: Sequence[str], judged: Judged) -> list[str]:
    """Return the keys of several results, as `obtained_case` does."""
    cases = {key: result.case for key, result in judged.results.items()}
    cases |= {each: case_of_folder(each) for each in judged.broken}
    return [_readable(resolve(name, cases), judged) for name in names]


def _readable(key: str, judged: Judged) -> str:
    if key in judged.broken:
        reason = next((v.sentence for v in judged.verdicts if v.case.key == case_of_folder(key).key), "it is damaged.")
        raise UsageError(f"the result of {key} cannot be read: {reason} Run again.")
    return key


def _differs(key: str, verdict: Verdict | None, judged: Judged) -> bool:
    """Whether accepting the result would change the golden: it differs, is new, or has parts that the golden lacks.

    The result of an upgrade differs in what it was computed with, even if the explanation held.
    """
    if key not in judged.goldens:
        return True
    if verdict is None:
        return False
    return verdict.state is not State.OK or bool(verdict.unwatched) or verdict.upgrade is not None


def unused_goldens(judged: Judged) -> list[str]:
    """Return the keys of goldens of the run's models and images that the run obtained no result for.

    Raises:
        UsageError: the run is incomplete or damaged, so that unused goldens cannot be told from unmeasured ones.
    """
    _require_readable(judged, "pruning")
    if judged.gap:
        raise UsageError(f"the run is incomplete ({judged.gap}), so pruning is refused: run it to the end.")
    return [v.case.key for v in judged.verdicts if v.state is State.UNUSED]


def _require_readable(judged: Judged, what: str) -> None:
    if judged.broken:
        raise UsageError(
            f"results of the run cannot be read, so {what} is refused: {', '.join(judged.broken)}. Run again."
        )


@dataclass(frozen=True)
class StoredNoise:
    """What became of the noise that was measured.

    Attributes:
        stored: keys of the cases whose noise was written.
        without_golden: keys of cases that have no golden, so that nothing was written.
        drifted: verdicts on cases that no longer match their golden, so that nothing was written.
        other_precision: keys of cases whose golden was made in another precision, so that nothing was written.
        run_findings: tolerances that do not fit the stored noise, among others.
    """

    stored: tuple[str, ...]
    without_golden: tuple[str, ...]
    drifted: tuple[Verdict, ...]
    other_precision: tuple[str, ...]
    run_findings: RunFindings


def refuse_calibration_under_ci() -> None:
    """Raise UsageError in a CI, before anything is measured."""
    refuse_under_ci("calibrating is refused in a CI: noise is stored with goldens, which only people change.")


def store_noise(measured: Sequence[tuple[Result, Noise]], goldens: Goldens) -> StoredNoise:
    """Store the noise of every case that has a golden of the same precision and still matches it.

    Args:
        measured: for every case the result of the unchanged run, and its noise.
        goldens: the goldens beside which noise is stored.

    Raises:
        UsageError: under CI.
        StorageError: a golden cannot be read, or its folder cannot be written.
    """
    refuse_calibration_under_ci()
    found = {result.case.key: goldens.load(result.case) for result, _ in measured}
    plain = {result.case.key: result for result, _ in measured}
    known = {key: golden for key, golden in found.items() if golden is not None}
    others = tuple(key for key, each in known.items() if not _same_precision(plain[key], each))
    known = {key: golden for key, golden in known.items() if key not in others}
    verdicts = {key: judge(plain[key], golden, ALL_STAGES) for key, golden in known.items()}
    stored = tuple(key for key, verdict in verdicts.items() if not verdict.failed)
    with goldens.locked() if stored else contextlib.nullcontext():
        for result, noise in measured:
            key = result.case.key
            if key in stored:
                digest = stored_digest(goldens.folder / key)
                goldens.store_noise(key, dataclasses.replace(noise, golden=digest))
    return StoredNoise(
        stored,
        tuple(key for key, golden in found.items() if golden is None),
        tuple(verdict for verdict in verdicts.values() if verdict.failed),
        others,
        run_findings_of(plain, known, list(verdicts.values()), load_noises(goldens.folder, stored)),
    )


def _same_precision(obtained: Result, golden: Result) -> bool:
    return same_precision(obtained.provenance.precision, golden.provenance.precision)
