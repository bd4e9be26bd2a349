"""Says what a long run will cost, after its first images were timed, and what would be cheaper."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xai_eval.result.result import Result
from xai_eval.tasks.cost import Clock, Cost, Meter, metered

if TYPE_CHECKING:
    from torch import nn

# A forecast above this is said, in seconds.
LONG = 60.0
# The first image of a run also loads libraries. If it took less than this, the second one is timed as well.
WARM_UP = 10.0
# A method is cheap if it takes at most this share of the time.
_CHEAP = 0.1
# Parameters that decide how many passes a task needs, and how to need fewer.
_LEVERS = {
    "methods": "--methods gradcam needs one forward and one backward pass per image",
    "num_samples": "the time grows with --num-samples",
    "grid": "the time grows with the number of settings in --grid",
    "seeds": "and with --seeds",
}


@dataclass(frozen=True)
class ImageCost:
    """The cost of one image, in total and by the parts of the task, such as methods."""

    whole: Cost
    parts: Mapping[str, Cost] = field(default_factory=dict)


def with_forecast(
    results: Iterator[Result],
    module: nn.Module,
    count: int,
    parameters: Collection[str],
    tell: Callable[[str], None],
    clock: Clock = time.monotonic,
) -> Iterator[Result]:
    """Pass results on; after the first one or two, say what all of them will cost, if that is long.

    Args:
        results: computes one result at a time.
        module: the model whose forward passes are counted.
        count: number of results.
        parameters: names of the parameters that the task takes.
        tell: called at most once, with a sentence.
        clock: returns the time in seconds.
    """
    for _ in range(2):
        meter = Meter(clock)
        started = clock()
        with metered(module, meter):
            result = next(results, None)
        if result is None:
            return
        cost = ImageCost(Cost(clock() - started, meter.passes), meter.parts)
        last = cost.whole.seconds >= WARM_UP
        if last:
            _tell(cost, count, parameters, tell)
        yield result
        if last:
            break
    else:
        _tell(cost, count, parameters, tell)
    yield from results


def with_forecast_of(
    known: Callable[[], ImageCost | None],
    results: Iterator[Result],
    count: int,
    parameters: Collection[str],
    tell: Callable[[str], None],
    workers: int,
) -> Iterator[Result]:
    """Pass results of workers on; say what all of them will cost as soon as the cost of one is known, if it is long.

    Args:
        known: returns the cost of one image; None until it is known.
        results: computed by the workers.
        count: number of results.
        parameters: names of the parameters that the task takes.
        tell: called at most once, with a sentence.
        workers: number of workers that compute at the same time.
    """
    told = False
    for result in results:
        cost = None if told else known()
        if cost is not None:
            told = True
            sentence = forecast_sentence(cost, count, parameters, workers)
            if sentence:
                tell(sentence)
        yield result


def _tell(cost: ImageCost, count: int, parameters: Collection[str], tell: Callable[[str], None]) -> None:
    sentence = forecast_sentence(cost, count, parameters)
    if sentence:
        tell(sentence)


def forecast_sentence(cost: ImageCost, count: int, parameters: Collection[str], workers: int = 1) -> str:
    """Return the cost of one image, the forecast for all, and what would be cheaper; empty if the run is short."""
    whole, share = cost.whole, count / min(workers, max(count, 1))
    if whole.seconds * share <= LONG:
        return ""
    told = (
        f"one image takes {_duration(whole.seconds)} and {_passes(whole.passes)}; "
        f"all {count} will take about {_duration(whole.seconds * share)}{_on(workers)}."
    )
    return " ".join(filter(None, [told, _parts(cost), _advice(cost, share, parameters)]))


def _on(workers: int) -> str:
    return f" on {workers} workers" if workers > 1 else ""


def _parts(cost: ImageCost) -> str:
    if len(cost.parts) < 2:
        return ""
    dearest = sorted(cost.parts.items(), key=lambda each: -each[1].seconds)
    listed = (f"{name} {_duration(each.seconds)} ({_passes(each.passes)})" for name, each in dearest)
    return f"Per image: {', '.join(listed)}."


def _advice(cost: ImageCost, count: float, parameters: Collection[str]) -> str:
    cheap = [name for name, each in cost.parts.items() if each.seconds <= _CHEAP * cost.whole.seconds]
    if cheap and "methods" in parameters:
        rest = sum(cost.parts[name].seconds for name in cheap) * count
        return f"Cheaper: --methods {' '.join(cheap)}, about {_duration(rest)} for all."
    levers = [text for name, text in _LEVERS.items() if name in parameters]
    return f"Cheaper: {', '.join(levers)}." if levers else ""


def _passes(number: int) -> str:
    return f"{number:,} forward pass{'' if number == 1 else 'es'}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes and minutes < 10 else f"{minutes} min" if minutes else f"{rest} s"
