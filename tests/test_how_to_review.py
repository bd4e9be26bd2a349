"""The page on reviewing is what it says it is: its commands run, and its buttons are those of the served page."""

import re
import shlex
from pathlib import Path

import pytest

from xai_eval.cli.main import main
from xai_eval.cli.options import build_parser
from xai_eval.review.desk import Desk
from xai_eval.store.goldens import Goldens

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "review.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.search(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)[1]
RUN, REVIEW = (shlex.split(line)[1:] for line in BLOCK.splitlines())


def test_the_buttons_are_those_of_the_script():
    script = (PAGE.parents[2] / "xai_eval" / "review" / "review.js").read_text(encoding="utf-8")
    words = re.search(r"const WORDS = (\{.*?\});", script)[1]
    assert re.findall(r"^\| \*\*(\w+)\*\*", TEXT, re.MULTILINE) == re.findall(r'"(\w+)"', words)


@pytest.mark.slow
def test_the_commands_lead_to_a_page_with_two_new_cases(tmp_path, monkeypatch, without_figures):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    assert main([*RUN, "--quiet"]) == 0
    options = build_parser(REVIEW).parse_args(REVIEW)
    page = Desk(options.results, Goldens(options.golden)).page().decode()
    assert page.count('"may": ["accept", "reject", "quarantine"]') == 2
