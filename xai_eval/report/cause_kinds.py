"""What may have caused a drift, in six kinds: to filter by, on the page and in other programs."""

from __future__ import annotations

import enum

from xai_eval.drift import State, Verdict

# By how the names of changes begin. Whatever else has a name is a library with its version.
_PREFIXES = {
    "weights": ("weights", "model", "clip"),
    "parameter": ("parameter ", "seed"),
    "input": ("image", "probe", "concepts"),
    "device": ("device", "precision "),
}


class Cause(enum.StrEnum):
    """Kinds of what may change between two runs; `NOTHING` stands for the code itself."""

    WEIGHTS = "weights"
    VERSION = "version"
    PARAMETER = "parameter"
    INPUT = "input"
    DEVICE = "device"
    NOTHING = "nothing recorded"


def cause_kinds(verdict: Verdict) -> tuple[Cause, ...]:
    """Return the kinds of everything that changed, in the order of `Cause`; none where nothing was found to differ."""
    if verdict.state not in (State.DRIFT, State.INCOMPARABLE):
        return ()
    changed = {_cause(change.what) for change in verdict.changes}
    if verdict.state is State.INCOMPARABLE and Cause.INPUT not in changed:
        changed.add(Cause.PARAMETER)  # which then is what makes the two incomparable
    return tuple(cause for cause in Cause if cause in (changed or {Cause.NOTHING}))


def _cause(what: str) -> Cause:
    return next((Cause(kind) for kind, names in _PREFIXES.items() if what.startswith(names)), Cause.VERSION)
