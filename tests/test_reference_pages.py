"""The pages that are made from the code are up to date, and name all that is public."""

import doctest
import importlib.util
from pathlib import Path

import pytest

import xai_eval

DOCS = Path(__file__).parent.parent / "docs"


def made_pages():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("name", ["tasks.md", "api.md"])
def test_the_page_is_what_the_code_says(name):
    made = {path.name: text for path, text in made_pages().items()}
    assert (DOCS / name).read_text() == made[name], "run `python docs/make_reference.py`, and commit what it writes"


def test_every_public_name_stands_on_the_page_with_a_sentence():
    text = (DOCS / "api.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    assert set(xai_eval.__all__) == {line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")}
    assert sorted(row[1].strip(" `") for row in rows) == sorted(xai_eval.__all__)
    assert [row[1] for row in rows if not row[2].strip()] == []


def examples():
    found = [doctest.DocTestFinder(recurse=False).find(getattr(xai_eval, name), name) for name in xai_eval.__all__]
    return [each for some in found for each in some if each.examples]


def with_marks(example):
    explains = example.name == "evaluate"
    return pytest.param(example, id=example.name, marks=pytest.mark.slow if explains else ())


@pytest.mark.parametrize("example", [with_marks(each) for each in examples()])
def test_the_examples_of_the_page_give_what_they_say(example):
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_there_are_examples():
    assert len(examples()) >= 4
