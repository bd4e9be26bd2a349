"""What `xai-eval run --dry-run` does: load and check everything, and say what would be computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xai_eval.cli.console import prints_apart
from xai_eval.errors import XaiEvalError
from xai_eval.media.terminal import answer, tell
from xai_eval.report.text.wording import count

if TYPE_CHECKING:
    from xai_eval.run.suite import Inputs, Request


@dataclass(frozen=True)
class _Tried:
    """What came of planning a request: the number of its results, or why it cannot be computed."""

    request: Request
    results: int | None
    errors: Sequence[XaiEvalError] = ()
    workers: str = ""

    @property
    def line(self) -> str:
        if self.results is None:
            return f"nothing can be computed: {self.request.words}"
        by = f" by {self.workers} of the Ray cluster" if self.workers else ""
        return f"{count(self.results, 'result')} would be computed{by}: {self.request.words}"


def dry_run(requests: Sequence[Request]) -> int:
    """Print one line per request, and every input that is missing once.

    Returns:
        The exit code: 0 if everything is there, else that of the first error.
    """
    with prints_apart():
        tried = list(_tried(requests))
    answer(each.line for each in tried)
    errors = {str(error): error for each in tried for error in each.errors}
    for text in errors:
        tell(f"xai-eval: error: {text}")
    return next((error.exit_code for error in errors.values()), 0)


def _tried(requests: Sequence[Request]) -> Iterator[_Tried]:
    from xai_eval.run.suite import Inputs, plan_one

    inputs, known = Inputs(), dict[tuple[str, str | None, str], XaiEvalError | None]()
    for request in requests:
        errors = [error for error in _missing(request, inputs, known) if error]
        if errors:
            yield _Tried(request, None, errors)
            continue
        try:
            planned = plan_one(request, inputs)
            yield _Tried(request, planned.count, workers=planned.workers)
        except XaiEvalError as error:
            yield _Tried(request, None, [error])


def _missing(
    request: Request, inputs: Inputs, known: dict[tuple[str, str | None, str], XaiEvalError | None]
) -> Iterator[XaiEvalError | None]:
    """Yield why the model and the images cannot be loaded. What several requests name is tried once."""
    loaders: Sequence[tuple[tuple[str, str | None, str], Callable[[Request], object]]] = (
        (("model", request.model, request.task if request.model is None else ""), inputs.model),
        (("images", request.images, request.task), inputs.images),
    )
    for key, load in loaders:
        if key not in known:
            known[key] = _error_of(load, request)
        yield known[key]


def _error_of(load: Callable[[Request], object], request: Request) -> XaiEvalError | None:
    try:
        load(request)
    except XaiEvalError as error:
        return error
    return None
