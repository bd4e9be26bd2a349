"""Which labels of units are in doubt, in words: those that fit too badly, and those that chance explains."""

from __future__ import annotations

from xai_eval.report.cases import ReportCase
from xai_eval.result.fields import Measures, UnitLabels

# The measures of a dissection, and the rows of its thresholds.
_THRESHOLDS, _INTERPRETABLE, _DISCOVERY = "thresholds", "interpretable from", "false discovery rate up to"


def doubts(case: ReportCase, labels: UnitLabels) -> dict[str, str]:
    """Return why the label of a unit is in doubt, by unit; a unit whose label is not, or that has none, is left out.

    Only labels by pixels have a threshold of interpretability and a false discovery rate.
    """
    units, limits = labels.units, _limits(case)
    columns = ("unit", "label", "interpretable", "false_discovery_rate")
    found = {}
    for unit, label, fits, rate in zip(*(units[name] for name in columns), strict=True):
        reasons = [_badly(limits)] if not fits else []
        if rate > limits.get(_DISCOVERY, 1.0):
            reasons.append(f"may be chance: false discovery rate above {limits[_DISCOVERY]:g}")
        if isinstance(label, str) and reasons:
            found[unit] = "; ".join(reasons)
    return found


def interpretable_from(case: ReportCase) -> float | None:
    """Return the IoU from which on a label counts as interpretable; None if the case does not say it."""
    return _limits(case).get(_INTERPRETABLE)


def _badly(limits: dict[str, float]) -> str:
    least = f" {limits[_INTERPRETABLE]:g}" if _INTERPRETABLE in limits else " the threshold"
    return f"not interpretable: IoU below{least}"


def _limits(case: ReportCase) -> dict[str, float]:
    told = case.fields(Measures).get(_THRESHOLDS)
    return dict(zip(told.frame["measure"], told.frame["value"], strict=True)) if told is not None else {}
