"""Any text, in any medium, is text there: looked at by the rules of the medium, and read back where it can be."""

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import matplotlib.cbook
import pytest
from hostile import media_rules
from hostile.hostile_text import TEXTS, texts
from hypothesis import example, given, settings

from xai_eval.media import figure_text, html, latex, markdown, shell, terminal, xml
from xai_eval.media.characters import shortened, visible
from xai_eval.media.csv_cell import csv_cell
from xai_eval.media.json_text import json_text


def every_text(test):
    """Try the texts of the catalogue, and others of the same parts."""
    for text in TEXTS:
        test = example(text)(test)
    return settings(max_examples=30)(given(texts())(test))


@every_text
def test_a_line_of_a_terminal_is_one_line_and_commands_nobody(text):
    for shown in (terminal.line(text), terminal.sentence(text)):
        assert list(media_rules.terminal(shown)) == []
        assert "\n" not in shown
        assert terminal.line(shown) == shown or len(shown) > 4_000


@every_text
def test_no_line_of_a_block_begins_a_command_and_no_message_looks_like_another(text):
    assert list(media_rules.terminal(terminal.block(text))) == []
    shown = terminal.message(f"xai-eval: error: {text}")
    assert list(media_rules.terminal(shown)) == []
    assert all(each.startswith("  ") for each in shown.split("\n")[1:])


@every_text
def test_two_texts_side_by_side_make_no_command_either(text):
    half = len(text) // 2
    assert (
        list(media_rules.terminal(terminal.line(terminal.sentence(text[:half]) + terminal.sentence(text[half:])))) == []
    )


def test_ordinary_texts_stay_as_they_are():
    for text in (
        "tests/a.py::TestB::test_c[x-1]",
        "naïve 日本 « x »",
        "a: b, c -> d (5 %) [e]",
        "x" * 4_000,
        "C#",
        "--all",
    ):
        assert terminal.line(text) == text
        assert visible(text) == text
    assert markdown.text("Grad-CAM points elsewhere: 0.19 (needs 0.75); iou_equal_area") == (
        "Grad-CAM points elsewhere: 0.19 (needs 0.75); iou_equal_area"
    )
    assert shell.command("accept", ["cams/a-1"], shell.option("--golden", "golden")) == (
        "xai-eval accept cams/a-1 --golden golden"
    )


def test_what_is_cut_says_how_much():
    assert shortened("a" * 5_000_000, 100) == f"{'a' * 60} ... (4,999,940 more characters)"
    assert len(terminal.line("b" * 5_000_000)) < 4_001


@every_text
def test_markdown_shows_the_words_and_links_nothing(text):
    table = "\n".join([markdown.row(["a", "b"]), "| --- | --- |", markdown.row([markdown.text(text)] * 2)])
    assert list(media_rules.markdown(f"{markdown.text(text)}\n\n{table}\n")) == []


@every_text
def test_code_in_markdown_is_what_it_was(text):
    shown = markdown.code(text)
    assert list(media_rules.markdown(f"x {shown} y")) == []
    table = "\n".join(["| a | b |", "| --- | --- |", markdown.row([markdown.code(text, in_table=True), "b"])])
    assert list(media_rules.markdown(table)) == []


@every_text
def test_html_is_text(text):
    document = f'<html><body title="{html.text(text)}"><p>{html.text(text)}</p><script>1</script></body></html>'
    assert list(media_rules.page(document)) == []


@every_text
def test_xml_takes_it(text):
    shown = xml.text(text)
    assert list(media_rules.xml(f"<a b={quoteattr(shown)}>{escape(shown)}</a>")) == []


@every_text
def test_csv_has_its_cells_and_no_formula(text):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["a", "b"], [csv_cell(text), csv_cell(f"x{text}")]])
    assert list(media_rules.spreadsheet(file.getvalue())) == []


@pytest.mark.parametrize("number", ["-1.5", "+3", "1e-05", "-.5", "-2.E+10", 3, -4.5, None, True])
def test_numbers_stay_numbers(number):
    assert csv_cell(number) is number


@every_text
def test_latex_prints_it(text):
    rows = [r"\begin{tabular}{l}", r"\midrule", latex.row([text, text]), latex.row([text]), r"\end{tabular}"]
    assert list(media_rules.latex("\n".join(rows))) == []


@every_text
def test_json_is_the_same_value_and_obeyed_by_no_log(text):
    for ascii_only in (True, False):
        written = json_text({text: [text]}, ascii_only=ascii_only)
        assert json.loads(written) == {text: [text]}
        assert list(media_rules.json_text(written)) == []
        assert "</" not in written
        written.encode()


@every_text
def test_no_legend_or_title_is_a_formula(text):
    shown = figure_text.label(text)
    assert not matplotlib.cbook.is_math_text(shown)
    assert not shown.startswith("_")
    assert list(media_rules.hidden(figure_text.plain(text))) == []
    assert len(figure_text.plain(text, 40)) <= 40 * len("\\U000e0001")


@every_text
def test_a_word_of_a_command_is_one_word(text):
    text = text.replace("\0", "")
    whole = shell.command("accept", [text], shell.option("--golden", text), '--reason "x"')
    assert list(media_rules.terminal(whole)) == []
    if whole.startswith("#"):
        return
    assert list(media_rules.commands(whole)) == []
    if visible(text) == text and not set(text) & set("\n\t") and "$'" not in whole:
        words = shlex.split(whole)
        assert words[2 if not text.startswith("-") else -1] == text


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_reads_the_names_that_were_meant(tmp_path):
    """A real shell gets them all in one script; nothing of them runs."""
    named = [text for text in dict.fromkeys(TEXTS) if "\0" not in text and "\udce9" not in text and len(text) < 200]
    script = "\n".join(f"printf '%s\\0' {shell.word(text)}" for text in named)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout.decode("utf-8", "surrogatepass").split("\0")[:-1] == named
    assert done.stderr == b""
    assert list(Path(tmp_path).iterdir()) == []


@pytest.mark.parametrize(
    "rule, wrong",
    [
        *[
            (media_rules.terminal, text)
            for text in ("\x1b[0m", "a\u202eb", "::error::x", "x ##[group]", "\u3164", "--- a")
        ],
        *[
            (media_rules.terminal, text)
            for text in ("##vso[x]", "section_end:1:a", "x::stop-commands::y", "x" * 70_000)
        ],
        *[
            (media_rules.markdown, text)
            for text in ("@joe", "see #1", "GH-2", "http://x", "www.x.y", "<b>", "[a](b)", "*a*")
        ],
        *[
            (media_rules.markdown, text)
            for text in ("deadbeef0", "a@b.example", "| a | b |\n|---|---|\n| `|` |c|", "x y " * 2**19)
        ],
        (media_rules.page, "<p onclick=x>"),
        (media_rules.page, "<a href='http://x'>"),
        (media_rules.page, "<script>alert(1)</script>"),
        (media_rules.xml, "<a>\x0b</a>"),
        *[(media_rules.spreadsheet, f"a,b\n{cell},c\n") for cell in ("=1", " @x", "a;-x", '"\t+x"')],
        *[(media_rules.latex, text) for text in ("\\input{x}", "a % b", "$x$", "\\\\\n[x]")],
        (media_rules.json_text, '"##[x]"'),
        *[(media_rules.commands, f"xai-eval accept {words}") for words in ("a;b", "$(x)", "'a", "~x", "a*", '"$x"')],
    ],
)
def test_the_rules_find_what_is_wrong(rule, wrong):
    assert list(rule(wrong))
