"""What `--help` shows beside the options: groups of commands, and examples that work as they stand."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

# In the order of the help. A command that is not named here stands with the one before it.
_GROUPS = {
    "run": "explain",
    "calibrate": "explain",
    "check": "judge",
    "diff": "judge",
    "explain-drift": "judge",
    "review": "decide",
    "accept": "decide",
    "prune": "decide",
    "log": "decide",
    "report": "look and set up",
    "list": "look and set up",
    "fetch": "look and set up",
    "init": "look and set up",
    "bench": "look and set up",
}
_EXAMPLES = {
    "run": (
        "xai-eval run                          the suite of the file, or everything",
        "xai-eval run cams --images photographs --model torchvision:resnet50",
        "xai-eval run cams --methods gradcam layercam --layer layer4 --layer layer3",
        "xai-eval run lime --images photos/ --num-samples 500 --segmentation slic",
        "xai-eval run attributions --methods integrated_gradients --target intended",
        "xai-eval run --dry-run                what would be computed",
    ),
    "calibrate": ("xai-eval calibrate cams               harmless changes of each case of cams",),
    "check": (
        "xai-eval check                        the run in reports/",
        "xai-eval check --complete --against origin/main",
    ),
    "diff": ("xai-eval diff reports-old reports-new --report reports/diff",),
    "explain-drift": (
        "xai-eval explain-drift cat.jpg        the name of the image is enough",
        "xai-eval explain-drift cat.jpg --model file:nets.py:new",
    ),
    "accept": (
        'xai-eval accept cat.jpg dog.jpg --reason "the new weights look at the head"',
        'xai-eval accept --all --reason "first goldens"',
    ),
    "prune": ("xai-eval prune --dry-run              only list what would be deleted",),
    "log": ("xai-eval log cat.jpg",),
    "report": ("xai-eval report reports",),
    "list": ("xai-eval list --json",),
    "fetch": ("xai-eval fetch imagenet-samples",),
    "init": ("xai-eval init --ci github",),
    "review": ("xai-eval review                       the run in reports/",),
    "bench": (
        "xai-eval bench --quick --out bench.json",
        "xai-eval bench --quick --compare bench.json --out later.json",
    ),
}
_START = (
    "xai-eval run                          explain; then open reports/index.html",
    'xai-eval accept --all --reason "..."  keep what is right',
    "xai-eval check                        fails if a later run differs",
    "xai-eval run --help                   options and examples of one command",
)
_COMMAND_LINE = re.compile(r"^    ([a-z][a-z-]+)(?= |$)")


class Help(argparse.HelpFormatter):
    """Wraps descriptions, and keeps the lines of texts that have several."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text:
            return super()._fill_text(text, width, indent)
        return "".join(indent + line for line in text.splitlines(keepends=True))


def examples_of(command: str | None = None) -> str:
    """Return the examples of a command, or of the first steps; empty if there are none."""
    lines = _START if command is None else _EXAMPLES.get(command, ())
    return "\n".join(["examples:", *(f"  {line}" for line in lines)]) if lines else ""


def grouped(text: str) -> str:
    """Put a heading above each group of commands in the help of the command line."""
    return "\n".join(_grouped(text.split("\n")))


def _grouped(lines: list[str]) -> Iterator[str]:
    last = None
    for line in lines:
        found = _COMMAND_LINE.match(line)
        group = _GROUPS.get(found[1], last) if found else last
        if found and group != last:
            yield f"  {group}:"
        last = group
        yield line
