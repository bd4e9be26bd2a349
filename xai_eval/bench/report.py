"""The report of a benchmark: written as JSON, read again, shown as a table, compared with an earlier one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from xai_eval.bench.contest import Outcome
from xai_eval.disk.files import read_json, write_file
from xai_eval.disk.typed import read_as
from xai_eval.errors import StorageError, UsageError

_FORMAT = 1
# Ratios vary by this share between runs on a machine that does nothing else; by more where few turns were measured.
_LEAST_NOISE, _NOISE_OF_FEW, _FEW = 0.1, 0.3, 3


@dataclass(frozen=True)
class Machine:
    """What a benchmark ran on.

    Attributes:
        device: name of the GPU, or `cpu`.
        cores: processor cores that the process may use.
        threads: threads that torch computes with.
        precision: the flags of torch that change arithmetic.
        versions: of Python and of the libraries.
    """

    device: str
    cores: int
    threads: int
    precision: Mapping[str, str]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """What a benchmark measured.

    Attributes:
        format: version of the layout of the JSON.
        size: name of the size; only reports of one size can be compared.
        machine: what it ran on.
        rows: the outcome of each row, by its name.
        stock: what each row is compared with, in words.
        limits: what the unavoidable work of a row is, in words.
        failed: why a row could not be measured, by its name.
    """

    size: str
    machine: Machine
    rows: Mapping[str, Outcome] = field(default_factory=dict)
    stock: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    format: int = _FORMAT

    @property
    def unequal(self) -> list[str]:
        """The rows whose answers differ from those of stock."""
        return [name for name, outcome in self.rows.items() if not outcome.equal]

    def write(self, path: Path) -> None:
        """Write the report. Raises StorageError if it cannot be written."""
        write_file(path, json.dumps(dataclasses.asdict(self), indent=1).encode())


def read_report(path: Path) -> Report:
    """Read a report that was written before.

    Raises:
        UsageError: there is no such file, or it is no report of this benchmark.
    """
    try:
        report: Report = read_as(Report, read_json(path))
    except (OSError, ValueError, StorageError) as error:
        raise UsageError(
            f"{path} is no report of xai-eval bench ({error}); expected a file that it wrote. Name another one."
        ) from error
    if report.format != _FORMAT or not all(map(_is_whole, report.rows.values())):
        raise UsageError(
            f"{path} has the format {report.format}; expected {_FORMAT}, and times above 0 in each row. Measure again."
        )
    return report


def _is_whole(outcome: Outcome) -> bool:
    return bool(outcome.turns) and all(turn.stock > 0 and turn.ours > 0 for turn in outcome.turns)


def table(report: Report) -> Iterator[str]:
    """Yield the lines of the report."""
    machine = report.machine
    yield f"size {report.size}, device {machine.device}, {machine.cores} cores, {machine.threads} threads of torch"
    yield ", ".join(f"{name} {value}" for name, value in {**machine.versions, **machine.precision}.items())
    width = max(map(len, (*report.rows, *report.failed)), default=0)
    yield f"{'':<{width}}  {'stock':>9}  {'ours':>9}  {'ratio':>7}  {'limit':>6}  {'differ by':>9}  turns"
    for name, outcome in report.rows.items():
        yield f"{name:<{width}}  {_figures(outcome)}  beside: {report.stock[name]}"
        for remark in outcome.remarks:
            yield f"{'':<{width}}  ({remark})"
    for name, reason in report.failed.items():
        yield f"{name:<{width}}  not measured: {reason}"
    yield "Ratio: seconds of stock per second of ours, the median of turns; above 1, ours is faster. Limit: the share"
    yield "of our time that is work nobody can do without. Differ by: the largest difference of the two answers."


def _figures(outcome: Outcome) -> str:
    stock, ours = (median(seconds) for seconds in zip(*((t.stock, t.ours) for t in outcome.turns), strict=True))
    share = "" if outcome.share is None else f"{outcome.share:.0%}"
    least = ">" if outcome.difference is None else ""
    differ = "-" if outcome.difference is None else f"{outcome.difference:.1e}"
    wrong = "" if outcome.equal else f"  NOT EQUAL: at most {outcome.tolerance:.1e} is allowed"
    ratio = f"{least}{outcome.ratio:.2f}"
    return f"{stock:>8.4f}s  {ours:>8.4f}s  {ratio:>7}  {share:>6}  {differ:>9}  {len(outcome.turns):>5}{wrong}"


@dataclass(frozen=True)
class Slower:
    """A row whose ratio fell by more than noise.

    Attributes:
        name: name of the row.
        then: its ratio in the earlier report.
        now: its ratio now.
        noise: the share by which ratios of this row vary between runs.
    """

    name: str
    then: float
    now: float
    noise: float

    def __str__(self) -> str:
        fell = 1 - self.now / self.then
        return (
            f"slower: {self.name}: ratio {self.now:.2f}, was {self.then:.2f} ({fell:.0%} less; noise {self.noise:.0%})"
        )


def became_slower(now: Report, then: Report) -> list[Slower]:
    """Return the rows whose ratio fell by more than the turns of both reports vary.

    Raises:
        UsageError: the two did not measure the same work, or not on the same kind of device.
    """
    if (now.size, now.machine.device) != (then.size, then.machine.device):
        raise UsageError(
            f"the earlier report is of size {then.size} on {then.machine.device}, this one of size {now.size} on "
            f"{now.machine.device}; expected the same. Ratios of other work or other devices are other ratios."
        )
    found = []
    for name, outcome in now.rows.items():
        before = then.rows.get(name)
        if before is None or before.difference is None or outcome.difference is None:
            continue
        noise = _noise(before) + _noise(outcome)
        if outcome.ratio < before.ratio * (1 - noise):
            found.append(Slower(name, before.ratio, outcome.ratio, noise))
    return found


def _noise(outcome: Outcome) -> float:
    """Return the share by which the ratio of a row varies: half of what its turns span, and never nothing."""
    if len(outcome.turns) < _FEW:
        return _NOISE_OF_FEW
    spread = (max(outcome.ratios) - min(outcome.ratios)) / outcome.ratio / 2
    return min(_NOISE_OF_FEW, max(_LEAST_NOISE, spread))
