"""The page on troubleshooting quotes messages that the code really has, in its words."""

import ast
import re
from pathlib import Path

import pytest
from pages import DOCS

import xai_eval

# The whole package is parsed, which takes a while.
pytestmark = pytest.mark.slow

PACKAGE = Path(xai_eval.__file__).parent
ROW = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)


def quoted():
    return ROW.findall((DOCS / "troubleshooting.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def messages():
    """All texts of the code; what is filled in is a NUL."""
    texts = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (each.value if isinstance(each, ast.Constant) else "\0" for each in node.values)
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def occurs(message, texts):
    """Whether a text has the words of a message in their order; `...` stands for what is filled in."""
    words = [each for each in message.split("...") if each]
    return any(all(each in text for each in words) and in_order(words, text) for text in texts)


def in_order(words, text):
    place = 0
    for each in words:
        place = text.find(each, place) + len(each)
        if place < len(each):
            return False
    return True


def test_every_quoted_message_is_one_of_the_code(messages):
    assert [each for each in quoted() if not occurs(each, messages)] == []


def test_the_page_quotes_many_and_a_wrong_quote_is_found(messages):
    assert len(quoted()) > 25
    assert not occurs("... was edited with a hammer", messages)
    assert not occurs("its content does not match its digest ... was edited by hand", messages)
