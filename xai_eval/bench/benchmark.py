"""Run the rows of the benchmark one after the other."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch

from xai_eval.bench.contest import Outcome, measure
from xai_eval.bench.report import Machine, Report
from xai_eval.bench.row import Row
from xai_eval.bench.rows import all_rows
from xai_eval.bench.size import Size
from xai_eval.errors import UsageError, error_line
from xai_eval.freed_memory import keep_freed_memory
from xai_eval.tasks.image.environment import device_name, library_versions, precision_flags

_LIBRARIES = ("torch", "torchvision", "numpy", "grad-cam", "lime", "open_clip_torch", "scikit-image")


def chosen_rows(size: Size, words: Iterable[str], device: torch.device) -> list[Row]:
    """Return the rows of a device whose name holds one of the words; all its rows if there are no words.

    Raises:
        UsageError: no row holds one of the words.
    """
    rows, wanted = list(all_rows(size, device)), list(words)
    for word in wanted:
        if not any(word in row.name for row in rows):
            names = "; ".join(row.name for row in rows)
            raise UsageError(f"no row of the benchmark has {word!r} in its name. Rows: {names}.")
    return [row for row in rows if not wanted or any(word in row.name for word in wanted)]


def chosen_device(name: str) -> torch.device:
    """Return a device by its name; "auto" is the GPU if there is one, else the CPU.

    Raises:
        UsageError: the device cannot be used here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used here ({error_line(error)}). Use cpu or auto.") from error
    return device


def run_rows(
    rows: Iterable[Row], size: Size, device: torch.device, begin: Callable[[str], None] = lambda _name: None
) -> Report:
    """Measure rows, each within its share of time.

    Args:
        rows: what to measure.
        size: how much work they do, and how long each may take.
        device: where they compute.
        begin: called with the name of each row before it is measured.
    """
    keep_freed_memory()  # stock has what a run of this package has
    report = Report(size.name, _machine(device))
    for row in rows:
        begin(row.name)
        report = _with(report, row, size, device)
        gc.collect()
    return report


def _with(report: Report, row: Row, size: Size, device: torch.device) -> Report:
    """Return the report with one more row. A row that cannot be measured is told, and the others go on."""
    try:
        outcome = _measured(row, size, device)
    except Exception as error:  # libraries raise many kinds, and the other rows have cost minutes
        return replace(report, failed={**report.failed, row.name: error_line(error)})
    return replace(
        report,
        rows={**report.rows, row.name: outcome},
        stock={**report.stock, row.name: row.stock},
        limits={**report.limits, row.name: row.limit},
    )


def _measured(row: Row, size: Size, device: torch.device) -> Outcome:
    with _quiet(), row.prepare(device) as contest:
        return measure(contest, device, size.budget * row.weight)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what libraries print of their progress."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _machine(device: torch.device) -> Machine:
    return Machine(
        device=device_name(device),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        precision={name: str(value) for name, value in precision_flags(device).items()},
        versions=library_versions(_LIBRARIES),
    )
