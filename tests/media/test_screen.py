"""Lines for a person at a terminal: no wider than it, commands in one piece, states in colours, words unchanged."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.media.screen import coloured, for_eyes, laid_out, visible_but_colours
from xai_eval.media.terminal import answer

COMMAND = 'xai-eval accept cams/photos-a-jpg-0123456789 cams/photos-b-jpg-0123456789 --reason "first goldens"'


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


@given(st.lists(st.text("abc-.", min_size=1, max_size=30), min_size=1, max_size=60), st.integers(40, 200))
def test_no_part_is_wider_than_the_terminal_and_no_word_is_lost(words, width):
    line = " ".join(words)
    parts = laid_out(line, width)
    assert all(len(part) <= width for part in parts)
    assert " ".join(parts).split() == line.split()


def test_a_command_is_never_broken():
    parts = laid_out(f"NEW: 2 cases have no golden. Look at reports/index.html, then: {COMMAND}", 80)
    assert parts[-1] == f"  {COMMAND}"
    assert all(len(part) <= 80 for part in parts[:-1])


def test_words_about_a_command_are_no_command():
    line = "Since the golden was accepted, xai-eval 0.1.0 -> 0.2.0 changed, and so did many other things of this run"
    assert all(len(part) <= 80 for part in laid_out(line, 80))


def test_lines_are_laid_out_and_coloured_for_a_terminal_alone():
    lines = ["drift  conclusion  cams/a  " + "words " * 30, "ok     3 cases"]
    shown = list(for_eyes(lines, Terminal()))
    assert len(shown) > 2 and shown[0].startswith("\x1b[31mdrift\x1b[0m  conclusion")
    assert shown[-1] == "\x1b[32mok\x1b[0m     3 cases"
    assert list(for_eyes(lines, io.StringIO())) == lines


@pytest.mark.parametrize(
    ("name", "value", "stream", "has"),
    [
        ("NO_COLOR", "1", Terminal(), False),
        ("TERM", "dumb", Terminal(), False),
        ("FORCE_COLOR", "1", io.StringIO(), True),
        ("NO_COLOR", "", Terminal(), True),
    ],
)
def test_colours_are_as_the_environment_asks(monkeypatch, name, value, stream, has):
    monkeypatch.setenv(name, value)
    assert ("\x1b" in "".join(for_eyes(["ok  1 case"], stream))) is has


def test_only_the_first_word_has_a_colour():
    assert coloured("a drift of one") == "a drift of one"


def test_the_console_lets_colours_through_and_nothing_else():
    assert visible_but_colours("\x1b[31mdrift\x1b[0m \x1b[2J\x1b]8;;x\x07") == (
        "\x1b[31mdrift\x1b[0m \\x1b[2J\\x1b]8;;x\\x07"
    )


def test_what_is_answered_goes_through_here(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    answer(["drift  evidence  \x1b[2J" + "word " * 40])
    assert re.fullmatch(r"\x1b\[31mdrift\x1b\[0m  evidence  \\x1b\[2Jword.*", terminal.getvalue().split("\n")[0])
    assert max(len(re.sub(r"\x1b\[\d+m", "", line)) for line in terminal.getvalue().split("\n")) <= 80


def test_a_terminal_shows_the_first_of_many_lines_that_begin_alike_and_a_pipe_all_of_them(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    lines = ["cause  x", *(f"drift  cams/{number}" for number in range(130)), "ok  3 cases", *["  model m"] * 60]
    told = "  and 80 more that begin with 'drift': all of them are printed into a pipe or a file."
    assert " ".join(for_eyes(lines, Terminal())).split() == " ".join([*lines[:51], told, *lines[131:]]).split()
    assert list(for_eyes(lines, io.StringIO())) == lines
