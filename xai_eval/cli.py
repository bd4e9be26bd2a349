"""The command line, a thin door: parse, call, print, exit."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval import __version__
from xai_eval.errors import UsageError, XaiEvalError
from xai_eval.golden import Goldens, Judged, accept, judge_run, unused_goldens
from xai_eval.record import RESULTS_FOLDER, RunRecord

if TYPE_CHECKING:
    from xai_eval.result import Result

EXIT_OK, EXIT_DRIFT = 0, 1
_PARAMETER = "param_"
_EXIT_CODES = """exit codes:
  0  everything is ok
  1  drift, or a golden that is missing, unused, incomparable or unreadable
  2  usage: an unknown name, or options that contradict each other
  3  nothing was measured, or an input is unavailable"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.function(options))
    except XaiEvalError as error:
        print(f"xai-eval: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("xai-eval: interrupted", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    # Read when torch is imported. Threads that spin while they wait make small networks ten times slower as soon as
    # another process wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from xai_eval.run import plan, run
    from xai_eval.tasks import all_tasks, find_task

    names = options.task or list(all_tasks())
    given = {
        name.removeprefix(_PARAMETER): value
        for name, value in vars(options).items()
        if name.startswith(_PARAMETER) and value is not None
    }
    for name in given:
        if not any(name in find_task(each).parameters for each in names):
            raise UsageError(f"--{name.replace('_', '-')} is no parameter of {' or '.join(names)}.")
    plans = []
    for name in names:
        own = {k: v for k, v in given.items() if k in find_task(name).parameters}
        plans.append(plan(name, model=options.model, images=options.images, device=options.device, params=own))
    run(plans, options.out, _progress if not options.quiet else _silent)
    return _judge_and_report(options.out, options, failing=("drift", "incomparable", "error"))


def _check(options: argparse.Namespace) -> int:
    return _judge_and_report(options.results, options)


def _judge_and_report(folder: Path, options: argparse.Namespace, failing: Sequence[str] | None = None) -> int:
    """Judge, write the page and print. `failing` names the states that fail; all but ok if it is None."""
    from xai_eval.report import write_report

    judged = judge_run(folder, Goldens(options.golden))
    page = write_report(folder, judged.record, judged.results, judged.goldens, judged.verdicts)
    return _print_verdicts(judged, options, page, failing)


def _print_verdicts(
    judged: Judged, options: argparse.Namespace, page: Path | None, failing: Sequence[str] | None
) -> int:
    from xai_eval.report.summary import summary_lines
    from xai_eval.report.verdicts import verdicts_document

    if options.json:
        print(json.dumps(verdicts_document(judged.verdicts, judged.record), indent=1))
    else:
        print("\n".join([*summary_lines(judged.verdicts), *([f"page: {page}"] if page else [])]))
    failed = [v for v in judged.verdicts if v.failed and (failing is None or v.state in failing)]
    return EXIT_DRIFT if failed else EXIT_OK


def _diff(options: argparse.Namespace) -> int:
    RunRecord.load(options.results_a)
    judged = judge_run(options.results_b, Goldens(options.results_a / RESULTS_FOLDER))
    return _print_verdicts(judged, options, None, None)


def _accept(options: argparse.Namespace) -> int:
    goldens = Goldens(options.golden)
    judged = judge_run(options.results, goldens)
    accepted = accept(judged, goldens, options.case, everything=options.all, reason=options.reason)
    for key in accepted:
        print(f"accepted {key}")
    print(f"{len(accepted)} goldens changed in {options.golden}")
    return EXIT_OK


def _prune(options: argparse.Namespace) -> int:
    goldens = Goldens(options.golden)
    unused = unused_goldens(judge_run(options.results, goldens))
    for key in unused:
        if not options.dry_run:
            goldens.remove(key)
        print(f"{'would prune' if options.dry_run else 'pruned'} {key}")
    print(f"{len(unused)} unused goldens in {options.golden}")
    return EXIT_OK


def _report(options: argparse.Namespace) -> int:
    from xai_eval.report import write_report

    judged = judge_run(options.results, Goldens(options.golden))
    print(write_report(options.results, judged.record, judged.results, judged.goldens, judged.verdicts))
    return EXIT_OK


def _list(options: argparse.Namespace) -> int:
    from xai_eval.tasks import all_tasks

    tasks = [
        {
            "task": t.name,
            "model": t.model,
            "images": t.images,
            "parameters": list(t.parameters),
            "summary": t.summary,
        }
        for t in all_tasks().values()
    ]
    if options.json:
        print(json.dumps(tasks, indent=1))
        return EXIT_OK
    for each in tasks:
        print(f"{each['task']}: {each['summary']}")
        print(f"  model {each['model']}, images {each['images']}, parameters {', '.join(each['parameters'])}")
    return EXIT_OK


def _fetch(options: argparse.Namespace) -> int:
    from xai_eval.inputs.data import downloads, fetch

    if not options.name:
        print("\n".join(downloads()))
    for name in options.name:
        print(f"{name}: {fetch(name)}")
    return EXIT_OK


def _progress(results: Iterator[Result], total: int, name: str) -> Iterator[Result]:
    from tqdm import tqdm

    yield from tqdm(results, total=total, desc=name, unit="case", file=sys.stderr)


def _silent(results: Iterator[Result], total: int, name: str) -> Iterator[Result]:
    yield from results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xai-eval",
        description="Regression testing for explanations of vision models.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xai-eval {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_judging(commands)
    _add_changing(commands)
    _add_rest(commands)
    return parser


def _add_run(commands: Any) -> None:
    command = _command(commands, "run", _run, "explain, measure and write results and a page; goldens stay untouched")
    command.add_argument("task", nargs="*", metavar="TASK", help="tasks to run (default: all; see `xai-eval list`)")
    command.add_argument(
        "--model", metavar="SPEC", help="scenes:objects, torchvision:resnet50, file:PATH.py:FACTORY, ..."
    )
    command.add_argument("--images", metavar="SPEC", help="scenes, imagenet-samples, a folder, a file or a glob")
    command.add_argument(
        "--out", type=Path, default=Path("reports"), metavar="DIR", help="folder to write (default: reports)"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_golden(command)
    _add_json(command)
    group = command.add_argument_group("parameters of tasks")
    group.add_argument(
        "--layer",
        dest="param_layer",
        metavar="NAME",
        help="explained layer (default: the last convolutional block)",
    )
    group.add_argument(
        "--target",
        dest="param_target",
        metavar="CLASS",
        help="predicted (default), intended, or a class by index or name",
    )
    group.add_argument(
        "--methods",
        dest="param_methods",
        nargs="+",
        metavar="METHOD",
        help="gradcam scorecam ablationcam (default), or others of pytorch-grad-cam",
    )
    group.add_argument(
        "--seed",
        dest="param_seed",
        metavar="N",
        type=int,
        help="seed of methods that draw random numbers (default: 0)",
    )


def _add_judging(commands: Any) -> None:
    check = _command(commands, "check", _check, "judge what a run obtained against the goldens; needs no torch")
    check.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=Path("reports"),
        metavar="RESULTS",
        help="folder of a run (default: reports)",
    )
    diff = _command(commands, "diff", _diff, "judge one run by another: two torch versions, two models")
    diff.add_argument("results_a", type=Path, metavar="RESULTS_A", help="folder of the run that is taken as right")
    diff.add_argument("results_b", type=Path, metavar="RESULTS_B", help="folder of the run that is judged")
    _add_golden(check)
    for command in (check, diff):
        _add_json(command)


def _add_changing(commands: Any) -> None:
    command = _command(commands, "accept", _accept, "make results the goldens of their cases, with a reason")
    command.add_argument("case", nargs="*", metavar="CASE", help="case key, or the name of a picture")
    command.add_argument("--all", action="store_true", help="accept every result of the run")
    command.add_argument("--reason", required=True, metavar="TEXT", help="why this is right; kept beside the golden")
    prune = _command(commands, "prune", _prune, "delete goldens that the run should have used and did not")
    prune.add_argument("--dry-run", action="store_true", help="only say which")
    for each in (command, prune):
        each.add_argument(
            "--results",
            type=Path,
            default=Path("reports"),
            metavar="RESULTS",
            help="folder of the run (default: reports)",
        )
        _add_golden(each)


def _add_rest(commands: Any) -> None:
    report = _command(commands, "report", _report, "write the page, figures and tables of a run again")
    report.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=Path("reports"),
        metavar="RESULTS",
        help="folder of a run (default: reports)",
    )
    _add_golden(report)
    listing = _command(commands, "list", _list, "list the tasks with their parameters")
    _add_json(listing)
    fetch = _command(commands, "fetch", _fetch, "download inputs into the data root; without a name, list them")
    fetch.add_argument("name", nargs="*", metavar="NAME", help="names of downloads")


def _command(commands: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(function=function)
    return command


def _add_golden(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--golden",
        type=Path,
        default=Path("golden"),
        metavar="DIR",
        help="folder of goldens (default: golden)",
    )


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print verdicts as JSON")
