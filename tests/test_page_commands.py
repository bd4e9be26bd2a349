"""Every command of xai-eval that a document shows is one that the command line takes."""

import re
import shlex

import pytest
from pages import DOCS

from xai_eval.cli.options import build_parser

PAGES = [DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^```(?:console|sh|bash)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(xai-eval [^`]+)`")
# What a command is called in words or in a table of commands: `xai-eval run [TASK ...]`, `xai-eval run|check --json`.
PATTERN = re.compile(r"[\[\]|…]|\.\.\.(?![\"'])|--ci$| SHELL$")


def shown(page):
    text = page.read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    typed = [part.strip() for line in lines for part in line.split("&&") if part.strip().startswith("xai-eval ")]
    typed += [" ".join(found.split()) for found in INLINE.findall(text)]
    return [each for each in typed if not PATTERN.search(each)]


@pytest.fixture(scope="module")
def parser():
    return build_parser(["run"])


def test_every_command_of_a_page_is_taken(parser, capsys):
    refused = []
    for page in PAGES:
        for command in shown(page):
            words = shlex.split(re.split(r" {3,}| +# ", command)[0])[1:]
            try:
                parser.parse_args(words)
            except SystemExit as end:
                told = capsys.readouterr().err.splitlines()[-1:]
                if end.code and "arguments are required" not in told[0]:  # a sentence may name the command alone
                    refused.append((page.name, command, *told))
    assert refused == []


def test_there_are_many():
    assert sum(len(shown(page)) for page in PAGES) > 80
