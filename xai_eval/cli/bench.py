"""The command `bench`: measure how fast the explainers are here, beside the plain libraries."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from xai_eval.cli.console import prints_apart
from xai_eval.cli.help_text import Help, examples_of
from xai_eval.media.terminal import answer, tell

_TEXT = "measure how fast the explainers are on this machine, beside the plain libraries in the same run"
_EXIT_OK, _EXIT_SLOWER, _EXIT_NOTHING = 0, 1, 3


def add_bench(commands: Any) -> None:
    """Add the command to the parser."""
    command: argparse.ArgumentParser = commands.add_parser(
        "bench", help=_TEXT, description=_TEXT, epilog=examples_of("bench"), formatter_class=Help
    )
    command.add_argument(
        "row", nargs="*", metavar="ROW", help="part of the name of a row, such as lime (default: all rows)"
    )
    command.add_argument("--quick", action="store_true", help="little work: about 2 minutes on 2 cores, without a GPU")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    command.add_argument(
        "--out", type=Path, default=Path("bench.json"), metavar="FILE", help="file to write (default: bench.json)"
    )
    command.add_argument(
        "--compare",
        type=Path,
        metavar="EARLIER",
        help="report of an earlier run; rows whose ratio fell by more than noise are listed, and fail the command",
    )


def bench(options: argparse.Namespace) -> int:
    """Measure, print the table and write the report.

    Returns:
        0; 1 if an answer differs from that of the plain library, or a row became slower; 3 if nothing was measured.
    """
    from xai_eval.bench import size
    from xai_eval.bench.benchmark import chosen_device, chosen_rows, run_rows
    from xai_eval.bench.report import became_slower, read_report, table

    # An earlier report that cannot be read is told before minutes of measuring.
    earlier = None if options.compare is None else read_report(options.compare)
    chosen = size.QUICK if options.quick else size.FULL
    device = chosen_device(options.device)
    rows = chosen_rows(chosen, options.row, device)
    with prints_apart():
        report = run_rows(rows, chosen, device, lambda name: tell(f"xai-eval: measuring {name}"))
    report.write(options.out)
    slower = [] if earlier is None else became_slower(report, earlier)
    answer([*table(report), *map(str, slower), f"report: {options.out}"])
    if not report.rows:
        return _EXIT_NOTHING
    return _EXIT_SLOWER if slower or report.unequal or report.failed else _EXIT_OK
