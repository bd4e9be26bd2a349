"""Texts of strangers in what pytest prints and writes for this package: errors, verdicts, ids, summaries, JUnit."""

import json

import pytest
from hostile import media_rules
from hostile.hostile_text import TEXTS
from hostile.text_attacks import WORST, first
from plugin_suite import HEADER

SUITE = (
    HEADER
    + """
import json
from pathlib import Path
from xai_eval.errors import InputUnavailable, StorageError
from xai_eval.result.fields import Label

TEXTS = json.loads(Path(__file__).with_name("texts.json").read_text())
every = pytest.mark.parametrize("number", range(len(TEXTS)))

@every
def test_verdict(number, xai_golden):
    text = TEXTS[number]
    xai_golden.check(make_result(f"{number}{text}", predicted=text, model=text, versions={"torch": text}))

@every
def test_swallowed(number, xai_golden):
    try:
        xai_golden.check(make_result(f"{number}swallowed{TEXTS[number]}"))
    except BaseException:
        pass

@every
def test_error_of_the_package(number):
    try:
        raise ValueError(TEXTS[number])
    except ValueError as error:
        raise StorageError(TEXTS[number]) from error

@pytest.mark.real
@every
def test_absent(number):
    raise InputUnavailable(TEXTS[number])

@every
def test_comparison(number, xai_golden):
    assert TEXTS[number] == "another"

@every
def test_named_value(number, xai_golden):
    xai_golden.check(0.5, name=TEXTS[number])
"""
)


def outcome(pytester, monkeypatch, texts, *arguments):
    """Run the suite, and return what is wrong with all that came out."""
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    pytester.makepyfile(test_hostile_texts=SUITE)
    (pytester.path / "texts.json").write_text(json.dumps(texts))
    result = pytester.runpytest("-p", "no:xdist", "-rA", "-v", "--junitxml=junit.xml", *arguments)
    ended = result.parseoutcomes()
    assert ended["skipped"] == len(texts)
    assert ended["failed"] >= 4 * len(texts)
    printed = f"{result.stdout}\n{result.stderr}"
    assert "INTERNALERROR" not in printed
    return [
        *media_rules.terminal(printed, of_pytest=True),
        *media_rules.commands(printed),
        *media_rules.xml((pytester.path / "junit.xml").read_text("utf-8")),
        *media_rules.markdown(summary.read_text("utf-8")),
    ]


def test_the_worst_texts(repo, monkeypatch):
    assert first(outcome(repo, monkeypatch, WORST)) is None


@pytest.mark.slow
def test_every_text(repo, monkeypatch):
    assert first(outcome(repo, monkeypatch, TEXTS)) is None


def test_an_error_while_a_file_is_loaded(repo):
    repo.makepyfile(
        test_suite=f"from xai_eval.errors import StorageError\nTEXT = {WORST[0] + WORST[1]!r}\nraise StorageError(TEXT)"
    )
    result = repo.runpytest("-p", "no:xdist", "-rA")
    assert result.parseoutcomes() == {"errors": 1}
    printed = f"{result.stdout}\n{result.stderr}"
    # The line of code that holds the text is shown as it is written.
    printed = "\n".join(line for line in printed.splitlines() if not line.startswith("TEXT = "))
    assert "stop-commands" in printed
    assert first(media_rules.terminal(printed, of_pytest=True)) is None


def test_what_is_wrong_with_a_configuration_is_one_harmless_sentence(repo):
    repo.path.joinpath("xai_eval.toml").write_text('"\\u001b[31m::error::x ##[group]" = 1\n')
    result = repo.runpytest("-p", "no:xdist")
    assert result.ret
    assert first(media_rules.terminal(f"{result.stdout}\n{result.stderr}", of_pytest=True)) is None
