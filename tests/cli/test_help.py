"""`--help`: lines fit a terminal, commands stand in groups, and the examples are commands that work."""

import re
import shlex

import pytest

from xai_eval.cli.help_text import _EXAMPLES, _GROUPS, _START
from xai_eval.cli.main import main
from xai_eval.cli.options import build_parser


@pytest.fixture(scope="module")
def parser():
    return build_parser(["run"])


def shown(capsys, monkeypatch, *words):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("command", ["", *_GROUPS])
def test_help_fits_80_columns(capsys, monkeypatch, command):
    lines = shown(capsys, monkeypatch, *([command] if command else []))
    assert [line for line in lines if len(line) > 80] == []
    assert "examples:" in lines or command not in _EXAMPLES


def test_commands_stand_below_their_groups(capsys, monkeypatch):
    lines = shown(capsys, monkeypatch)
    places = [lines.index(f"  {group}:") for group in dict.fromkeys(_GROUPS.values())]
    assert places == sorted(places)
    listed = [found[1] for line in lines if (found := re.match(r" {4}([a-z-]+) ", line))]
    assert len(listed) == len(set(listed)) >= 12
    named = [each for each in _GROUPS if each in listed]
    assert [each for each in listed if each in named] == named, "in the order of the groups"


def test_parameters_stand_below_their_tasks(capsys, monkeypatch):
    lines = shown(capsys, monkeypatch, "run")
    for title in ("model, images and device:", "parameters of several tasks:", "parameters of lime:"):
        assert title in lines
    assert lines[0] == "usage: xai-eval run [TASK ...] [OPTION ...]"


@pytest.mark.parametrize("example", [*_START, *(each for some in _EXAMPLES.values() for each in some)])
def test_examples_can_be_typed(parser, example):
    words = shlex.split(re.split(" {3,}", example)[0])
    assert words[0] == "xai-eval" and len(example) <= 78
    if "--help" not in words:
        assert parser.parse_args(words[1:]).command == words[1]
