"""What the served copy of a page holds beside the page itself: what was seen, and what may be decided about it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from xai_eval.gate.accept import BULK_ABOVE
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.cases import ReportCase
from xai_eval.report.page.case_view import ACCEPTABLE
from xai_eval.report.page.served import Served
from xai_eval.review.decision import Kind
from xai_eval.review.seen import Seen, seen_now
from xai_eval.store.history import whoami
from xai_eval.store.quarantine import this_day


def panel(judged: Judged, cases: Sequence[ReportCase], days: int, nonce: str) -> Served:
    """Return what the script of the review needs to know of a page.

    Args:
        judged: the run as the page shows it.
        cases: those of the page.
        days: how many days ahead a quarantine may end.
        nonce: the word by which the browser knows the scripts of the page.
    """
    seen, today, may = seen_now(judged), this_day(), acceptable(judged)
    document = {
        "owner": whoami(),
        "first": today.isoformat(),
        "last": (today + datetime.timedelta(days=days)).isoformat(),
        "bulk_above": BULK_ABOVE,
        "cases": [_case(case, seen[case.key]) for case in cases if case.key in may],
    }
    return Served(nonce, document)


def acceptable(judged: Judged) -> set[str]:
    """Return the keys of the cases whose results a person can accept: they differ from their golden, or have none."""
    return {each.case.key for each in judged.verdicts if _is_acceptable(each) and each.case.key in judged.results}


def _is_acceptable(verdict: Verdict) -> bool:
    return verdict.state in ACCEPTABLE or bool(verdict.unwatched) or verdict.upgrade is not None


def _case(case: ReportCase, seen: Seen) -> dict[str, Any]:
    verdict = case.verdict
    aside = [Kind.QUARANTINE] if verdict.state is not State.OK and verdict.quarantine is None else []
    return {
        "key": case.key,
        "anchor": case.anchor,
        "name": f"{verdict.case.task}: {verdict.case.input}",
        "seen": {"result": seen.result, "golden": seen.golden},
        "may": [Kind.ACCEPT, Kind.REJECT, *aside],
    }
