"""Consoles of any encoding, readers that go away, code of users that prints, and names with terminal escapes."""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from cli_runs import FACTORY, run

import xai_eval
from xai_eval.cli.console import console, prints_apart
from xai_eval.cli.main import main
from xai_eval.media.bars import bar, tell_above
from xai_eval.media.characters import visible

ODD = "\x1b[2Jred\x00 日本 \u202erev \udce9 é"


class Closed(io.StringIO):
    """A pipe whose reader went away."""

    def write(self, text):
        raise BrokenPipeError

    flush = write


def written(text, encoding, errors="strict"):
    """What a console of that encoding receives when a command prints a text."""
    raw = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(raw, encoding=encoding, errors=errors)), console():
        print(text)
        return (sys.stdout.flush(), raw.getvalue())[1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_console_gets_every_name_without_an_escape(encoding):
    shown = written(ODD, encoding)
    assert shown.startswith(b"\\x1b[2Jred\\x00 ")
    assert not {0, 27} & set(shown)
    assert b"\\udce9" in shown
    assert shown.decode(encoding).endswith(("é\n", "\\xe9\n"))


def test_what_a_console_can_show_is_shown_as_it_is():
    assert written("naïve 日本\tb\nc", "utf-8").decode() == "naïve 日本\tb\nc\n"
    assert visible("a\nb\tc") == "a\nb\tc"


def test_a_reader_that_goes_away_ends_nothing():
    with contextlib.redirect_stdout(Closed()), console():
        print("one")
        print("two")


def test_there_may_be_no_console_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with console():
        print("nobody reads this")


def command(*words, **more):
    environment = {**os.environ, "PYTHONPATH": str(Path(xai_eval.__file__).parents[1]), **more}
    return subprocess.Popen(
        [sys.executable, "-m", "xai_eval", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("words, code", [(["list", "--json"], 0), (["--help"], 0), (["list"], 0)])
def test_head_leaves_the_code_and_says_nothing(words, code):
    process = command(*words)
    process.stdout.close()  # before anything is written, as by `| true`
    assert process.wait() == code
    assert process.stderr.read() == b""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_help_and_lists_are_for_every_encoding(encoding):
    process = command("list", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.decode(encoding).startswith("cams: ")


PRINTS = """
import os, sys

def chatty():
    print("from the factory")
    os.system("echo from a program")
    net = Net(0)
    net.register_forward_hook(lambda *_: print("from a pass"))
    return net

def odd():
    net = Net(0)
    net.class_names = ["</script><img src=x onerror=alert(1)>", "a|b\\nc", "\\x1b[31mred\\x00 \\u202erev \\udce9"]
    return net

def moves():
    os.makedirs("elsewhere", exist_ok=True)
    os.chdir("elsewhere")
    return Net(0)
"""


def test_code_that_prints_does_not_get_into_the_answer(place, capfd):
    Path("nets.py").write_text(FACTORY + PRINTS)
    assert run("--json", "--methods", "gradcam", model="chatty") == 0
    out, err = capfd.readouterr()
    assert len(json.loads(out)["verdicts"]) == 2
    for said in ("from the factory", "from a program", "from a pass"):
        assert said in err


def test_a_file_of_tasks_that_prints_does_not_get_into_the_answer(place, capfd, own_tasks):
    Path("mine.py").write_text(
        "print('hello')\nfrom xai_eval import task\n\n@task('said')\ndef said(classifier, images): ..."
    )
    assert main(["list", "--json", "--tasks", "mine.py"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)[-1]["task"] == "said"
    assert "hello" in err


def test_prints_return_to_the_answer_afterwards(capfd):
    with prints_apart():
        print("apart")
    print("answer")
    assert capfd.readouterr() == ("answer\n", "apart\n")


def test_names_with_escapes_break_neither_page_nor_terminal_nor_tables(place, capsys):
    Path("nets.py").write_text(FACTORY + PRINTS)
    assert run("--methods", "gradcam", model="odd") == 0
    assert run("--methods", "gradcam", "--target", "0", model="odd") == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\x00", "\u202e"} & set(out)
    for file in [
        Path("reports/index.html"),
        *Path("reports/tables").iterdir(),
        *Path("reports/results").rglob("*.json"),
    ]:
        text = file.read_text(encoding="utf-8")
        assert not {"\x1b", "\x00", "\u202e"} & set(text), file
        assert "<img src=x" not in text or file.suffix != ".html"


def test_a_factory_that_changes_the_directory_moves_no_report(place):
    Path("nets.py").write_text(FACTORY + PRINTS)
    assert run("--methods", "gradcam", model="moves") == 0
    assert Path("reports/index.html").exists()
    assert list(Path("elsewhere").iterdir()) == []


HOSTILE = "\x1b[31m\r::stop-commands::x ##[group]\u202e"


def harmless(shown):
    return not {"\x1b", "\r", "\u202e"} & set(shown) and "##[" not in shown and "::stop" not in shown


def test_what_libraries_warn_and_log_is_text():
    written = io.StringIO()
    with contextlib.redirect_stderr(written), console(), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = as_python_shows  # pytest collects warnings itself
        warnings.warn(HOSTILE, stacklevel=1)
        logging.getLogger("a library").handle(logging.makeLogRecord({"msg": HOSTILE, "levelno": 30}))
        logging.lastResort.handle(logging.makeLogRecord({"msg": HOSTILE, "levelno": 30}))
    shown = written.getvalue()
    assert shown.count("stop-commands") >= 2
    assert harmless(shown), shown


def as_python_shows(message, category, filename, lineno, file=None, line=None):
    """As Python shows a warning where nobody collects it."""
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def test_bars_and_messages_above_them_are_text():
    written = io.StringIO()
    with contextlib.redirect_stderr(written), console():
        with bar(total=1, what=HOSTILE, unit=HOSTILE) as shown_bar:
            shown_bar.update(1)
        tell_above(HOSTILE)
    shown = written.getvalue()
    assert "stop-commands" in shown
    # tqdm returns to the beginning of its line.
    assert harmless(shown.replace("\r", "")), shown
    assert not any(part.lstrip().startswith("::") for part in shown.split("\r"))


@pytest.mark.parametrize("errors", ["ignore", "replace", "strict", "xmlcharrefreplace"])
def test_a_console_that_drops_characters_makes_no_command_of_the_others(errors):
    shown = written(":\u65e5:error::joined #\u65e5#[group]", "ascii", errors)
    assert b"::error" not in shown
    assert b"##[" not in shown
    assert b"\\u65e5" in shown
