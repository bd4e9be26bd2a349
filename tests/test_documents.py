"""The documents: every link leads somewhere, every document is linked, and what they name exists."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from xai_eval.version import __version__

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
ROOMS = {path.name for path in (ROOT / "xai_eval").iterdir() if (path / "__init__.py").exists()}


def links(document):
    return [target for target, _ in LINK.findall(document.read_text(encoding="utf-8")) if "://" not in target]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document):
    missing = [target for target in links(document) if not (document.parent / target).exists()]
    assert missing == []


def test_readme_leads_to_every_document():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document not in reached:
            reached.add(document)
            waiting += [(document.parent / each).resolve() for each in links(document) if each.endswith(".md")]
    assert set(DOCUMENTS) - reached == set()


def test_readme_links_every_document_itself_but_the_single_decisions():
    linked = {(ROOT / each).resolve() for each in links(ROOT / "README.md")}
    single = {path for path in DOCUMENTS if path.parent.name == "decisions" and path.name != "README.md"}
    assert set(DOCUMENTS) - {ROOT / "README.md"} - single - linked == set()


def test_the_images_of_the_readme_are_small_and_in_true_colour():
    shown = [ROOT / each for each in links(ROOT / "README.md") if each.endswith((".webp", ".png", ".jpg"))]
    assert len(shown) == 2
    for path in shown:
        image = Image.open(path).convert("RGB")
        assert path.stat().st_size < 150_000
        assert len(image.getcolors(image.width * image.height)) > 10_000  # a palette has 256


def test_the_architecture_names_every_room_and_takes_five_minutes():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE)) == ROOMS
    assert len(text.split()) < 1400


def test_a_decision_has_its_four_parts_and_a_place_in_the_index():
    folder = ROOT / "docs" / "decisions"
    index = links(folder / "README.md")
    notes = sorted(folder.glob("0*.md"))
    assert index == [note.name for note in notes]
    assert [int(note.name[:4]) for note in notes] == list(range(1, len(notes) + 1))
    for note in notes:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", note.read_text(encoding="utf-8"), re.MULTILINE)
        assert parts == ["Question", "Measured", "Choice", "Consequence"], note.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_a_document_is_python(document):
    for code in re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        ast.parse(code)


def code_paths(document):
    """Paths that a document names and that begin with a room, or with a folder of the repository that git keeps."""
    first = {*ROOMS, "xai_eval", "tests", "fixtures", "docs"}
    named = re.findall(r"`((?:[\w-]+/)+[\w.-]*)", document.read_text(encoding="utf-8"))
    return sorted({path for path in named if path.split("/")[0] in first})


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param(document, path, id=f"{document.relative_to(ROOT)}-{path}")
        for document in DOCUMENTS
        if document.name != "CHANGELOG.md"  # it also names what was removed
        for path in code_paths(document)
    ],
)
def test_files_and_rooms_that_a_document_names_exist(document, path):
    assert (ROOT / path).exists() or (ROOT / "xai_eval" / path).exists()


def test_files_of_many_rooms_are_named():
    assert len({path for document in DOCUMENTS for path in code_paths(document)}) > 30


def test_the_page_on_verdicts_names_every_part_of_a_verdict():
    schema = json.loads((ROOT / "xai_eval" / "report" / "verdicts.schema.json").read_text())
    text = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    expected = {*schema["properties"], *schema["$defs"]["verdict"]["properties"]}
    assert {name for name in expected if not re.search(rf"`(verdicts\[\]\.)?{name}`", text)} == set()
    assert f"now {schema['properties']['schema']['const']}." in text


def test_the_changelog_and_the_citation_have_the_version_of_the_package():
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == __version__
