"""Options of the command line: what there is to ask for, without doing any of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from xai_eval.report.text.commands import GOLDEN, RESULTS
from xai_eval.version import __version__

# Parameters of tasks are kept apart from options of the command by this prefix.
PARAMETER = "param_"
_EXIT_CODES = """exit codes:
  0  everything is ok
  1  drift, a golden that is missing, unused, incomparable or unreadable, or a run that is not whole
  2  usage: an unknown name, or options that contradict each other
  3  nothing was measured: an input is unavailable, a model misbehaves, a folder cannot be read or written,
     or something failed that nobody foresaw"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; the name of the chosen command is in `command`."""
    parser = argparse.ArgumentParser(
        prog="xai-eval",
        description="Regression testing for explanations of vision models.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xai-eval {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    _add_run(commands)
    _add_judging(commands)
    _add_explain(commands)
    _add_changing(commands)
    _add_rest(commands)
    return parser


def given_parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of tasks that were given, by name."""
    return {
        name.removeprefix(PARAMETER): value
        for name, value in vars(options).items()
        if name.startswith(PARAMETER) and value is not None
    }


def _add_run(commands: Any) -> None:
    command = _command(commands, "run", "explain, measure and write results and a page; goldens stay untouched")
    command.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="folder to write (default: reports)")
    _add_json(command)
    _add_measuring(command)
    text = "measure how far benign changes move the explanations, and keep that with the goldens"
    _add_measuring(_command(commands, "calibrate", text))


def _add_measuring(command: Any) -> None:
    """What to measure, and on what."""
    command.add_argument("task", nargs="*", metavar="TASK", help="tasks to run (default: all; see `xai-eval list`)")
    _add_inputs(command, device="auto")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_golden(command)
    _add_parameters(command.add_argument_group("parameters of tasks"))


def _add_explain(commands: Any) -> None:
    text = "compute a drifted case again with one factor put back at a time, and say which carries the drift"
    command = _command(commands, "explain-drift", text)
    command.add_argument("case", metavar="CASE", help="case key, or the name of an image")
    command.add_argument("--old-model", metavar="SPEC", help="the golden's model, where its name does not lead to it")
    _add_inputs(command, device=None)
    _add_results(command, "--results")
    _add_golden(command)
    _add_parameters(command.add_argument_group("parameters of the task, where the run was not one of `xai-eval run`"))


def _add_inputs(command: Any, device: str | None) -> None:
    command.add_argument(
        "--model", metavar="SPEC", help="scenes:objects, torchvision:resnet50, file:PATH.py:FACTORY, ..."
    )
    command.add_argument("--images", metavar="SPEC", help="scenes, imagenet-samples, a folder, a file or a glob")
    default = f"default: {device}" if device else "default: as in the run"
    command.add_argument("--device", default=device, help=f"auto, cpu, cuda, ... ({default})")


def _add_parameters(group: Any) -> None:
    for name, how in _PARAMETERS.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, dest=f"{PARAMETER}{name}", **{"metavar": name.upper(), **how})


class _Pairs(argparse.Action):
    """Collect `NAME=VALUE` words into a dict; numbers become numbers, and values with commas become lists."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, words: Any, option: str | None = None) -> None:
        pairs = [word.partition("=") for word in words]
        for name, equals, value in pairs:
            if not (name and equals and value):
                parser.error(f"argument {option}: {name + equals + value!r} is no NAME=VALUE")
        setattr(namespace, self.dest, {name: _value(value) for name, _, value in pairs})


def _value(text: str) -> Any:
    if "," in text:
        return [_value(part) for part in text.split(",")]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# The parameters that the bundled tasks take; `xai-eval list` says which takes which.
_PARAMETERS: dict[str, dict[str, Any]] = {
    "layer": {"metavar": "NAME", "help": "explained layer (default: the last convolutional block)"},
    "target": {"metavar": "CLASS", "help": "predicted (default), intended, or a class by index or name"},
    "methods": {
        "nargs": "+",
        "metavar": "METHOD",
        "help": "gradcam scorecam ablationcam (default), or others of pytorch-grad-cam",
    },
    "num_samples": {"metavar": "N", "type": int, "help": "lime: perturbed images a seed (default: 1000)"},
    "top_labels": {"metavar": "N", "type": int, "help": "lime: classes that get weights (default: 5)"},
    "num_features": {"metavar": "N", "type": int, "help": "lime: most superpixels with a weight (default: 100000)"},
    "batch_size": {
        "metavar": "N",
        "type": int,
        "help": "images that the model gets at once (default: lime 10, dissection 32)",
    },
    "segmentation": {"metavar": "NAME", "help": "quickshift (default), slic, felzenszwalb, or none for lime's own"},
    "segmentation_parameters": {
        "nargs": "+",
        "action": _Pairs,
        "metavar": "NAME=VALUE",
        "help": "parameters of the segmentation, such as n_segments=50",
    },
    "setting": {"metavar": "FILE", "help": "lime: best settings of a lime_search (lime_search_best.json)"},
    "seeds": {"metavar": "K", "type": int, "help": "lime: seeds that stability is measured with (default: 5)"},
    "grid": {
        "nargs": "+",
        "action": _Pairs,
        "metavar": "NAME=V,V",
        "help": "lime_search: values to try, such as num_samples=500,1000 segmentation=slic",
    },
    "objective": {"metavar": "NAME", "help": "lime_search: what chooses the best setting"},
    "policy": {"metavar": "NAME", "help": "comparison: equal_area (default), half or otsu"},
    "area": {"metavar": "SHARE", "type": float, "help": "comparison: share of the image for equal_area"},
    "against": {"metavar": "SPEC", "help": "dissection: a second model to compare with, or none"},
    "layers": {"nargs": "+", "metavar": "NAME", "help": "dissection: layers (default: layer2 layer3 layer4)"},
    "concepts": {"metavar": "FILE", "help": "dissection: words that CLIP may choose from, one a line"},
    "clip": {"metavar": "SPEC", "help": "dissection: scenes, ViT-B-16/openai, ... or none for pixel labels alone"},
    "similarity": {"metavar": "NAME", "help": "dissection: soft_wpmi, cos_cubed (default of few words), ..."},
    "top_k": {
        "metavar": "K",
        "type": int,
        "help": "dissection: top images of a unit that are looked at (default: 100)",
    },
    "probe_size": {"metavar": "N", "type": int, "help": "dissection: so many images of the probe set, at random"},
    "interpret": {"metavar": "NAME", "help": "dissection: image to interpret by its most active units"},
    "shuffles": {"metavar": "R", "type": int, "help": "dissection: shuffled label maps that tell chance (default: 5)"},
    "engine": {"metavar": "NAME", "help": "dissection: local (default) or ray, on a cluster"},
    "seed": {"metavar": "N", "type": int, "help": "seed of whatever draws random numbers (default: 0)"},
}


def _add_judging(commands: Any) -> None:
    check = _command(commands, "check", "judge what a run obtained against the goldens; needs no torch")
    _add_results(check, "results", nargs="?")
    diff = _command(commands, "diff", "judge one run by another: two torch versions, two models")
    diff.add_argument("results_a", type=Path, metavar="RESULTS_A", help="folder of the run that is taken as right")
    diff.add_argument("results_b", type=Path, metavar="RESULTS_B", help="folder of the run that is judged")
    _add_golden(check)
    for command in (check, diff):
        _add_json(command)


def _add_changing(commands: Any) -> None:
    command = _command(commands, "accept", "make results the goldens of their cases, with a reason")
    command.add_argument("case", nargs="*", metavar="CASE", help="case key, or the name of an image")
    command.add_argument("--all", action="store_true", help="accept every result of the run")
    command.add_argument("--reason", required=True, metavar="TEXT", help="why this is right; kept beside the golden")
    command.add_argument("--bulk", action="store_true", help="change more than 20 goldens at once")
    prune = _command(commands, "prune", "delete goldens that the run should have used and did not")
    prune.add_argument("--dry-run", action="store_true", help="only say which")
    for each in (command, prune):
        _add_results(each, "--results")
        _add_golden(each)
    log = _command(commands, "log", "show what was accepted for a case: when, by whom, why, over which verdict")
    log.add_argument("case", metavar="CASE", help="case key, or the name of an image")
    _add_golden(log)


def _add_rest(commands: Any) -> None:
    report = _command(commands, "report", "write the page, figures and tables of a run again")
    _add_results(report, "results", nargs="?")
    _add_golden(report)
    listing = _command(commands, "list", "list the tasks with their parameters")
    _add_json(listing)
    fetch = _command(commands, "fetch", "download inputs into the data root; without a name, list them")
    fetch.add_argument("name", nargs="*", metavar="NAME", help="names of downloads")


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    return command


def _add_results(command: argparse.ArgumentParser, name: str, **how: Any) -> None:
    text = "folder of a run (default: reports)"
    command.add_argument(name, type=Path, default=RESULTS, metavar="RESULTS", help=text, **how)


def _add_golden(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--golden",
        type=Path,
        default=GOLDEN,
        metavar="DIR",
        help="folder of goldens (default: golden)",
    )


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print verdicts as JSON")
