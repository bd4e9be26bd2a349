"""Finds how a run asked for a case. A run may ask for one task several times: with other models, images or layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xai_eval.gate.pairing import set_name
from xai_eval.result.result import Case

Request = Mapping[str, Any]


def request_of(requests: Mapping[str, Request], case: Case) -> Request | None:
    """Return the request of the run that obtained a case.

    Args:
        requests: those of the record of the run.
        case: a case of the run.

    Returns:
        Of the requests for the task of the case, the one with its model, its images and most of its parameters; None if
        the record has no request for the task, as for a test that called `evaluate` itself.
    """
    asked = [each for name, each in requests.items() if each.get("task", name) == case.task]
    for key, value in (("model_name", case.model), ("inputs", set_name(case))):
        asked = [each for each in asked if each.get(key) == value] or asked
    return max(asked, key=lambda each: _agreement(each, case), default=None)


def _agreement(request: Request, case: Case) -> int:
    """Count the parameters that are recorded as they were given, less those that are recorded otherwise."""
    given = {name: value for name, value in request.get("params", {}).items() if name in case.params}
    same = [name for name, value in given.items() if value == case.params[name]]
    return 2 * len(same) - len(given)
