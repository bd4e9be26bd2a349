from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from forbidden import forbid

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.probes import concept_sets
from xai_eval.inputs.probes.concept_sets import ConceptSet, load_concepts


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "concepts.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_bundled_concepts_are_what_a_scene_can_show() -> None:
    scenes = load_concepts("scenes")
    assert scenes.name == "scenes"
    assert scenes.concepts[:2] == ("balloon", "bird")
    assert len(scenes.concepts) == len(set(scenes.concepts)) == 20
    assert scenes.scene_like == {"sky", "river", "grass", "road", "sand", "sea", "mountain", "snow"}
    assert scenes.scene_like < set(scenes.concepts)
    assert scenes.notes == ()


def test_the_lines_of_a_file_in_their_order(tmp_path: Path) -> None:
    concepts = load_concepts(written(tmp_path, "zebra\nfire truck\nälg\n犬\n"))
    assert concepts == ConceptSet("concepts.txt", ("zebra", "fire truck", "älg", "犬"))


@pytest.mark.parametrize(
    "content",
    ["car\r\nbird\r\n", "car\rbird", "\ufeffcar\nbird\n", "  car\t\nbird  ", "car\nbird"],
    ids=["windows", "old mac", "byte order mark", "spaces", "no last line end"],
)
def test_how_a_file_was_saved_does_not_matter(tmp_path: Path, content: str) -> None:
    concepts = load_concepts(written(tmp_path, content))
    assert concepts.concepts == ("car", "bird")
    assert concepts.notes == ()


def test_blank_lines_are_dropped_and_counted_in_the_numbers_of_others(tmp_path: Path) -> None:
    concepts = load_concepts(written(tmp_path, "\ncar\n\n \t\nbird\ncar\n"))
    assert concepts.concepts == ("car", "bird")
    assert concepts.notes == ("blank lines dropped: 1, 3, 4", "duplicates folded: 'car' (line 6) into line 2")


def test_spellings_that_a_text_model_reads_as_one_are_folded_into_the_first(tmp_path: Path) -> None:
    lines = ["Fire truck", "bird", "fire  TRUCK", "Bird ", "Stra\u00dfe", "STRASSE", "caf\u00e9", "cafe\u0301", "birds"]
    concepts = load_concepts(written(tmp_path, "\n".join(lines)))
    assert concepts.concepts == ("Fire truck", "bird", "Straße", "café", "birds")
    (note,) = concepts.notes
    for part in (
        "'fire  TRUCK' (line 3) into line 1",
        "'Bird' (line 4) into line 2",
        "(line 6) into line 5",
        "(line 8)",
    ):
        assert part in note


def test_a_note_names_the_first_of_many(tmp_path: Path) -> None:
    (note,) = load_concepts(written(tmp_path, "car\nbird\n" + "car\n" * 500)).notes
    assert note.endswith("'car' (line 22) into line 1 and 480 more")


class Counted(str):
    """A key that counts how often keys are compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_20_000_concepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"concept number {index}" for index in range(20_000)]
    path = written(tmp_path, "\n".join(words + words))
    usual = concept_sets._key
    monkeypatch.setattr(concept_sets, "_key", lambda concept: Counted(usual(concept)))
    monkeypatch.setattr(Counted, "compared", 0)
    concepts = load_concepts(path)
    assert concepts.concepts == tuple(words)
    # Each repetition is compared with what it repeats; a quadratic search would compare 600 million times.
    assert 20_000 <= Counted.compared < 2 * 20_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "names no concept"),
        (b"\n \n\t\n", "names no concept"),
        (b"car\n", "names one concept, 'car'"),
        (b"car\nCAR\n car\n", "names one concept, 'car'"),
        (b"car\nbi\0rd\n", r"line 2: holds the control character U\+0000"),
        (b"car\tvehicle\nbird\tanimal\n", r"line 1: holds the control character U\+0009"),
        ("car\nbird\u2028tree\n".encode(), r"line 2: holds the control character U\+2028"),
        (b"car\n\x1b[31mbird\n", r"U\+001B"),
        (b"car\nb\xe4r\n", "not text in UTF-8 .* at byte 5"),
        ("car\nbird\n".encode("utf-16"), "not text in UTF-8"),
        (b"car\n" + b"x" * 1001, "line 2: has 1001 characters; expected a word or a short phrase of at most 1000"),
    ],
)
def test_files_that_are_not_lists_of_concepts_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputUnavailable, match=reason) as caught:
        load_concepts(path)
    assert str(path) in str(caught.value)


def test_a_line_of_1000_characters_is_accepted(tmp_path: Path) -> None:
    assert len(load_concepts(written(tmp_path, "car\n" + "ä" * 1000)).concepts[1]) == 1000


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match="does not exist; expected 'scenes' or a text file"):
        load_concepts(str(tmp_path / "none.txt"))
    with pytest.raises(InputUnavailable, match="is no file"):
        load_concepts(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "car\nbird\n")
    forbid(monkeypatch, tmp_path)
    with pytest.raises(InputUnavailable, match="cannot be read"):
        load_concepts(path)


@pytest.mark.parametrize("spec", [None, ["car", "bird"], 3])
def test_specs_of_a_wrong_type_are_refused(spec: object) -> None:
    with pytest.raises(UsageError, match=f"the concepts are a {type(spec).__name__}"):
        load_concepts(spec)  # type: ignore[arg-type]


def test_the_digest_is_over_what_matters() -> None:
    one = ConceptSet("a", ("car", "sea"), frozenset({"sea"}))
    expected = hashlib.sha256(json.dumps([["car", "sea"], ["sea"]]).encode()).hexdigest()
    assert one.digest == expected
    assert ConceptSet("b", ("car", "sea"), frozenset({"sea"}), notes=("x",)).digest == expected
    others = [
        ConceptSet("a", ("sea", "car"), frozenset({"sea"})),
        ConceptSet("a", ("car", "sea")),
        ConceptSet("a", ("car", "Sea"), frozenset({"sea"})),
        ConceptSet("a", ("car, sea",), frozenset({"sea"})),
    ]
    assert len({each.digest for each in [one, *others]}) == 5
