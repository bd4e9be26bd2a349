"""The page on reviewing is what it says it is: its commands run, and its buttons are those of the served page."""

import re
import shlex
from pathlib import Path

from xai_eval.cli.options import build_parser

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "review.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.search(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)[1]
RUN, REVIEW = (shlex.split(line)[1:] for line in BLOCK.splitlines())


def test_the_buttons_are_those_of_the_script():
    script = (PAGE.parents[2] / "xai_eval" / "review" / "review.js").read_text(encoding="utf-8")
    words = re.search(r"const WORDS = (\{.*?\});", script)[1]
    assert re.findall(r"^\| \*\*(\w+)\*\*", TEXT, re.MULTILINE) == re.findall(r'"(\w+)"', words)


def test_the_commands_are_commands():
    run, review = (build_parser(each).parse_args(each) for each in (RUN, REVIEW))
    assert (run.command, run.task, run.images) == ("run", ["cams"], ["scenes:2"])
    # The second command is about the run of the first.
    assert (review.command, review.results) == ("review", run.out)
