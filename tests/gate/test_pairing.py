"""Which golden a result is compared with, when images were renamed, taken away, added or put in another order."""

import dataclasses
import hashlib
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval.gate.judge import judge_all
from xai_eval.gate.pairing import pair_results, spellings
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Document, Table
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Provenance
from xai_eval.result.stage import Stage, StageKind

PIXELS, BYTES = Stage(StageKind.DECODED_PIXELS), Stage(StageKind.IMAGE_BYTES)
names = st.text("abcdefgh", min_size=1, max_size=6)


def digest(*parts):
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def image(name, content, *, file=None):
    """The result of one image: `content` stands for its pixels, `file` for its bytes."""
    return make_result(f"{name}.png", image=digest("file", content if file is None else file), stages={
        PIXELS: np.array([float(content)])
    })  # fmt: skip


def whole(contents, *, folder="photos"):
    """The result of a whole set: its digests are those of its images, in order."""
    joined = digest(*contents)
    result = make_result(input=f"{folder} ({len(contents)} image{'s' * (len(contents) != 1)})")
    stages = {**result.stages, BYTES: fingerprint_text(joined), PIXELS: fingerprint_text(joined + "pixels")}
    return dataclasses.replace(result, stages=stages, provenance=Provenance({"weights": "a" * 64, "images": joined}))


def keyed(results):
    return {each.case.key: each for each in results}


def verdicts(results, goldens, **options):
    return {each.case.input: each for each in judge_all(keyed(results), keyed(goldens), **options)}


@st.composite
def renamings(draw):
    """Images with different content, and for each the name it had and the name it has, which may be another's."""
    before = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    now = draw(st.lists(names.map(lambda name: f"new-{name}"), min_size=len(before), max_size=len(before), unique=True))
    return before, [draw(st.sampled_from([old, new])) for old, new in zip(before, now, strict=True)]


@settings(max_examples=25)
@given(named=renamings(), recoded=st.booleans())
def test_every_renamed_image_finds_its_golden(named, recoded):
    before, now = named
    goldens = [image(name, content) for content, name in enumerate(before)]
    results = [image(name, content, file=f"recoded {content}" if recoded else None) for content, name in enumerate(now)]
    pairs = pair_results(keyed(results), keyed(goldens))
    assert pairs == {r.case.key: g.case.key for r, g in zip(results, goldens, strict=True)}
    assert all(each.state is State.OK for each in judge_all(keyed(results), keyed(goldens)))


@given(copies=st.integers(2, 4), of_goldens=st.booleans())
def test_copies_make_it_ambiguous(copies, of_goldens):
    several, one = [image(f"copy-{n}", 1) for n in range(copies)], [image("one", 1)]
    results, goldens = (one, several) if of_goldens else (several, one)
    assert set(pair_results(keyed(results), keyed(goldens)).values()) == {None}


def test_the_new_name_is_told():
    found = verdicts([image("b", 1)], [image("a", 1)])
    assert list(found) == ["photos/b.png"]
    assert "name photos/a.png -> photos/b.png" in found["photos/b.png"].sentence


@settings(max_examples=25)
@given(st.text("aeiounéüñçå", min_size=1, max_size=8))
def test_both_spellings_of_unicode_are_one_name(name):
    composed, apart = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    golden, result = image(composed, 1), image(apart, 1)
    found = judge_all(keyed([result]), keyed([golden]))
    assert [(each.state, each.sentence) for each in found] == [(State.OK, "The explanation matches its golden.")]
    assert golden.case.key in {each.key for each in spellings(result.case)}


def of_set(contents, **options):
    return [*(image(f"image-{content}", content) for content in contents), whole(contents_digests(contents), **options)]


def contents_digests(contents):
    return [digest("file", content) for content in contents]


@settings(max_examples=25)
@given(st.sets(st.integers(0, 6), min_size=1), st.sets(st.integers(0, 6), min_size=1))
def test_of_a_set_that_changed_it_is_said_which_images_are_gone_or_new(before, now):
    found = verdicts(of_set(sorted(now)), of_set(sorted(before)))
    (told,) = [each for name, each in found.items() if "(" in name]
    if before == now:
        assert told.state is State.OK
        return
    assert told.state is State.INCOMPARABLE
    names = {"gone": before - now, "new": now - before}
    for word, contents in names.items():
        listed = [f"photos/image-{content}.png" for content in sorted(contents)][:5]
        assert all(each in told.sentence for each in listed)
        assert (f"is {word}" in told.sentence or f"are {word}" in told.sentence) == bool(contents)


@settings(max_examples=12)
@given(st.permutations(range(4)))
def test_another_order_is_no_other_set(order):
    found = verdicts(of_set(order), of_set(range(4)))["photos (4 images)"]
    assert found.state is State.OK and "differ" not in found.sentence
    assert ("in another order" in found.sentence) == (list(order) != [0, 1, 2, 3])


def test_without_results_of_its_images_nobody_knows_what_is_gone():
    found = verdicts([whole(["a", "b"])], [whole(["a", "b", "c"])])["photos (2 images)"]
    assert found.state is State.INCOMPARABLE
    assert "photos (3 images) is now photos (2 images), and which images are gone or new is not recorded" in (
        found.sentence
    )


def test_a_part_of_a_set_that_was_asked_for_is_no_changed_set():
    found = verdicts(of_set([0, 1]), of_set([0, 1, 2]), selections=["photos"])
    assert {name: each.state for name, each in found.items() if "(" in name} == {"photos (2 images)": State.MISSING}


def moved(result, folder):
    given = result.case.input.replace("photos", folder)
    return dataclasses.replace(result, case=dataclasses.replace(result.case, input=given))


def test_a_folder_with_another_name_keeps_its_goldens():
    found = verdicts([moved(each, "pics") for each in of_set(range(3))], of_set(range(3)))
    assert {each.state for each in found.values()} == {State.OK} and len(found) == 4


@pytest.mark.parametrize(("seed", "state"), [(None, State.INCOMPARABLE), (0, State.MISSING)])
def test_a_probe_set_that_lost_an_image_is_told_and_a_part_that_was_asked_for_is_another_case(seed, state):
    was, now = (
        make_result(input=f"photos ({number} images)", task="dissection", params={"probe": ["photos", number, drawn]})
        for number, drawn in ((480, None), (479, seed))
    )
    found = verdicts([now], [was])["photos (479 images)"]
    assert found.state is state
    assert ("photos (480 images) is now photos (479 images)" in found.sentence) == (seed is None)


def summed_up(order, values):
    """The results of images, and that of their set with a table of the values of each, in this order."""
    frame = pd.DataFrame({"image": [f"{name}.png" for name in order], "iou": [values[name] for name in order]})
    best = Document({"images": {f"photos/{name}.png": values[name] for name in order}})
    contents = contents_digests([values[name] for name in order])
    result = whole(contents)
    fields = {**result.fields, "study": Table(frame, {"iou": 0.01}), "best": best}
    return [*(image(name, values[name]) for name in order), dataclasses.replace(result, fields=fields)]


@pytest.mark.parametrize("change", [0.0, 0.5])
def test_the_rows_of_renamed_images_are_compared_under_their_new_names(change):
    goldens = summed_up(["a", "b", "c"], {"a": 1.0, "b": 2.0, "c": 3.0})
    results = summed_up(["b", "c", "z"], {"z": 1.0, "b": 2.0, "c": 3.0})
    if change:
        study = results[-1]["study"].frame.assign(iou=lambda frame: frame["iou"] + change)
        fields = {**results[-1].fields, "study": Table(study, {"iou": 0.01})}
        results[-1] = dataclasses.replace(results[-1], fields=fields)
    told = verdicts(results, goldens)["photos (3 images)"]
    assert told.state is (State.DRIFT if change else State.OK), told.sentence
