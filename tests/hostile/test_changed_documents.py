"""Any change of a signed document leads to a verdict or to one clear error, and never hides what is compared.

The profile `fuzz` tries many examples: see CONTRIBUTING.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hostile import documents
from hostile.documents import ARRAYS, CASE, DOCUMENTS, of_case, outcome, read, read_arrays, repository, write
from hostile.mutations import Mutation, Place, array_mutations, damaged, mutations, quick
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.disk.arrays import deflated, pack_arrays
from xai_eval.gate.verdict import State, Verdict

# What is compared of each kind of field, of that which stands in the document: the rest are tolerances, or for reading.
_COMPARED = {
    "label": ("text", "index"),
    "ranking": ("values",),
    "score": ("value",),
    "document": ("content",),
    "table": ("columns",),
    "measures": ("columns",),
    "tally": ("columns",),
    "curve": ("lines",),
    "mask": ("shape",),
    "gallery": ("names", "images"),
    "weights": ("names",),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


def is_compared(document: Any, at: Place) -> bool:
    """Whether the value at a place of a result's document is compared."""
    if len(at) < 3 or at[0] != "fields" or at[-1] in ("type", "tolerance"):
        return False
    kind = document["fields"][at[1]]["kind"]
    columns = document["fields"][at[1]].get("columns", [])
    # A column for reading is only compared as a digest.
    for_reading = at[2] == "columns" and len(at) > 3 and columns[at[3]]["name"] in ("note", "layer", "dead")
    # Counts up to the last one that was kept may stand beyond the cut of the other tally, under any name.
    beyond = kind == "tally" and at[2:5] == ("columns", 0, "values")
    return at[2] in _COMPARED.get(kind, ()) and not for_reading and not beyond


def part(document: Any, at: Place) -> Any:
    for step in at:
        document = document[step]
    return document


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values say the same; 1 and 1.0 do, 1 and true do not."""
    return repr(one) == repr(other) or (type(one) in (int, float) and type(other) in (int, float) and one == other)


def hidden(change: Mutation, before: Any, verdicts: Sequence[Verdict]) -> bool:
    """Whether another value of something that is compared left the case green, or a lost one without being told.

    What is moved or repeated may mean the same: rows of a tally may change places.
    """
    if change.act not in ("replace", "nest", "delete") or not is_compared(before, change.place):
        return False
    green = [each for each in of_case(verdicts, CASE) if each.state is State.OK]
    if change.act == "delete":  # without `images` there is one image, as before it was stored
        return change.place[-1] != "images" and any(not each.unwatched for each in green)
    return bool(green) and not same(part(before, change.place), part(change.document, change.place))


@pytest.mark.parametrize("name", ["golden", "result"])
@given(data=st.data())
@quick(8)
def test_any_change_of_a_signed_result_is_a_verdict_and_hides_nothing(name, data, place):
    before = read(repository(place), name)
    change = data.draw(mutations(before))
    write(place, name, change.document)
    came = outcome(place)
    assert came.wrong is None
    unseen = hidden(change, before, came.verdicts)
    assert not unseen


@pytest.mark.parametrize("name", ["history", "noise", "run"])
@given(data=st.data())
@quick(8)
def test_any_change_of_what_stands_beside_it_is_a_verdict_or_one_error(name, data, place):
    change = data.draw(mutations(read(repository(place), name)))
    write(place, name, change.document)
    came = outcome(place, spares=name != "run")
    assert came.wrong is None
    if name == "noise":  # it decides nothing
        assert [each.state for each in of_case(came.verdicts, CASE)] == [State.OK]


@pytest.mark.parametrize("name", ["golden", "result"])
@given(data=st.data())
@quick(8)
def test_any_change_of_a_signed_array_is_a_verdict_and_hides_nothing(name, data, place):
    arrays = read_arrays(repository(place), name)
    act, changed, others = data.draw(array_mutations(arrays))
    documents.write_arrays(place, name, others)
    came = outcome(place)
    assert came.wrong is None
    compared = not changed.startswith("stage.") and changed not in ("image.rgb", "gallery.jpeg", "gallery.lengths")
    if compared and act in ("delete", "rename", "not a number", "negative", "nothing", "of no size"):
        assert of_case(came.verdicts, CASE)[0].state is not State.OK


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
@given(data=st.data())
@quick(5)
def test_a_damaged_document_is_a_verdict_or_one_error(name, data, place):
    path = repository(place) / DOCUMENTS[name]
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    assert outcome(place, spares=name != "run").wrong is None


@pytest.mark.parametrize("name", ["golden", "result"])
@given(data=st.data())
@quick(5)
def test_a_damaged_file_of_arrays_is_a_verdict(name, data, place):
    path = repository(place) / ARRAYS[name]
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    assert outcome(place).wrong is None


@pytest.mark.parametrize("name", ["golden", "result"])
@given(data=st.data())
@quick(5)
def test_damaged_arrays_with_a_fitting_digest_are_a_verdict(name, data, place):
    packed = pack_arrays(read_arrays(repository(place), name))
    content = data.draw(damaged(packed))
    (place / ARRAYS[name]).write_bytes(deflated(content))
    write(place, name, {**read(place, name), "arrays_sha256": hashlib.sha256(content).hexdigest()})
    assert outcome(place).wrong is None
