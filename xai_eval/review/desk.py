"""The desk of a review: shows the page of a run, and carries out what a person decides, one thing at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xai_eval.gate.accept import accept
from xai_eval.gate.ci import refuse_under_ci
from xai_eval.gate.judge_run import Judged, judge_run
from xai_eval.report.cases import collect
from xai_eval.report.page.page import report_pages
from xai_eval.report.text.commands import PAGE_FILE
from xai_eval.report.text.release import release_sentence
from xai_eval.report.text.wording import count
from xai_eval.review.decision import Decision, Kind
from xai_eval.review.panel import acceptable, panel
from xai_eval.review.seen import is_still, require_seen
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import whoami
from xai_eval.store.quarantine import Quarantine
from xai_eval.store.quarantine_entries import add_entries
from xai_eval.store.rejections import Rejection, add_rejections
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import now
from xai_eval.store.upgrade_policy import DEFAULT_POLICY, Policy

_CI = "a review is refused in a CI: a person decides, after looking at the images."


@dataclass(frozen=True)
class Decided:
    """What was done: the keys of the cases, and one sentence."""

    keys: tuple[str, ...]
    sentence: str


@dataclass
class Desk:
    """One review of the run in `results`. Every decision is on the disk before it is answered, so a kill loses nothing.

    Attributes:
        results: the folder of the run.
        goldens: its goldens.
        policy: what decides after a change that is on record.
        nonce: the word by which the browser knows the scripts of the page.
        images: those of a large run for which the page has no room, by name; as they were drawn, not from the disk.
    """

    results: Path
    goldens: Goldens
    policy: Policy = DEFAULT_POLICY
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    images: dict[str, bytes] = field(default_factory=dict)
    _judged: Judged | None = None
    _pages: Mapping[str, bytes] | None = None
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def page(self, name: str = PAGE_FILE) -> bytes | None:
        """Return a page of the run as it is now; it is drawn anew only after something was decided or refused.

        Args:
            name: of a large run, the name of another page than the first, or of the list of what is on which.

        Returns:
            The page; None if the run has no such page.

        Raises:
            InputUnavailable: no run is there.
            UsageError: this is a CI, or another process writes into the folder of the run.
            StorageError: the record of the run, or its folder, cannot be read.
        """
        refuse_under_ci(_CI)
        with self._turn:
            if self._pages is None:
                self._pages = self._drawn()
            return self._pages.get(name)

    def decide(self, decision: Decision) -> Decided:
        """Carry out a decision about what the person saw, or nothing of it.

        Raises:
            UsageError: this is a CI; a result or a golden is no longer what the person saw; another process writes
                there; or as `accept` and `add_entries`.
            StorageError: something cannot be read or written.
        """
        refuse_under_ci(_CI)
        with self._turn, contextlib.ExitStack() as held:
            self._pages = None  # if the decision is refused, the page is not what is there now
            held.enter_context(RunFolder(self.results).locked())
            if decision.kind is not Kind.REJECT:
                held.enter_context(self.goldens.locked())
            judged = self._as_it_is(decision.cases)
            require_seen(decision.cases, judged)
            return _ACTIONS[decision.kind](decision, judged, self)

    def accepted(self, keys: Sequence[str], judged: Judged) -> None:
        """Take what was accepted from what is left to decide."""
        left = [each for each in judged.verdicts if each.case.key not in keys]
        self._judged = dataclasses.replace(judged, verdicts=left)

    def wait(self) -> None:
        """Wait until a decision that is being carried out is done."""
        with self._turn:
            pass

    def _as_it_is(self, keys: Collection[str]) -> Judged:
        """Return the judged run. It is judged anew only if these cases, or the record, are no longer as on the page.

        To judge many cases takes minutes, and a person may decide on one after the other.
        """
        if self._judged is None or not is_still(self._judged, keys, RunFolder(self.results), self.goldens):
            return self._judged_anew()
        return self._judged

    def _judged_anew(self) -> Judged:
        self._judged = None  # two of them may not fit into memory
        self._judged = judge_run(self.results, self.goldens, self.policy)
        return self._judged

    def _drawn(self) -> Mapping[str, bytes]:
        with RunFolder(self.results).locked():
            judged = self._judged_anew()
            cases = collect(judged.results, judged.goldens, judged.verdicts, judged.pairs)
            shown = panel(judged, cases, self.goldens.quarantine_days, self.nonce)
            golden = self.goldens.folder
            found, keep = judged.run_findings, self.images.update
            pages = report_pages(judged.record, cases, self.results, golden, found, keep, shown)
            return {name: "".join(parts).encode() for name, parts in pages.items()}


def _accept(decision: Decision, judged: Judged, desk: Desk) -> Decided:
    release = judged.run_findings.release
    every = acceptable(judged) <= decision.cases.keys()
    keys = accept(
        judged,
        desk.goldens,
        list(decision.cases),
        everything=False,
        reason=decision.reason,
        bulk=decision.bulk,
        upgrade=release_sentence(release) if release and every else "",
    )
    desk.accepted(keys, judged)
    return Decided(tuple(keys), f"accepted {count(len(keys), 'case')}")


def _reject(decision: Decision, judged: Judged, desk: Desk) -> Decided:
    when, who = now(), whoami()
    rejected = [Rejection(when, who, decision.reason, key, seen.result) for key, seen in decision.cases.items()]
    add_rejections(desk.results, rejected)
    return Decided(tuple(decision.cases), f"rejected {count(len(rejected), 'case')}")


def _quarantine(decision: Decision, judged: Judged, desk: Desk) -> Decided:
    entry = Quarantine(decision.owner, decision.reason, decision.expires)
    add_entries(desk.goldens.folder, list(decision.cases), entry, desk.goldens.quarantine_days)
    cases = count(len(decision.cases), "case")
    return Decided(tuple(decision.cases), f"put {cases} into quarantine until {decision.expires}")


_ACTIONS: dict[Kind, Callable[[Decision, Judged, Desk], Decided]] = {
    Kind.ACCEPT: _accept,
    Kind.REJECT: _reject,
    Kind.QUARANTINE: _quarantine,
}
