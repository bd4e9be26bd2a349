"""A person names a case by any part of its key or input, as long as it is the only one."""

from dataclasses import replace
from unicodedata import normalize

import pytest
from synthetic import make_result

from xai_eval.errors import UsageError
from xai_eval.store.goldens import resolve

CASES = {
    result.case.key: result.case
    for result in (make_result("photos/n01443537_goldfish.JPEG"), make_result("photos/Gans.jpg"), make_result("b.png"))
}
GOLDFISH, GANS, B = CASES


@pytest.mark.parametrize(
    ("name", "key"),
    [("goldfish", GOLDFISH), ("GOLDFISH", GOLDFISH), ("gans", GANS), ("b.png", B), (B, B), (GANS.split("/")[1], GANS)],
)
def test_a_part_that_one_case_has_is_enough(name, key):
    assert resolve(name, CASES) == key


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_either_spelling_of_unicode_names_a_case(stored, typed):
    case = make_result(normalize(stored, "photos/Caf\u00e9.jpg")).case
    for name in ("photos/Caf\u00e9.jpg", "caf\u00e9"):
        assert resolve(normalize(typed, name), {case.key: case, **CASES}) == case.key


def test_a_part_that_several_have_names_them():
    with pytest.raises(UsageError, match=r"'photos' names 2 cases: .*goldfish.* Give a longer part, or the whole key"):
        resolve("photos", {key: CASES[key] for key in (GOLDFISH, GANS)})


def test_cases_of_one_image_are_told_apart_by_their_models():
    cases = {str(place): replace(CASES[GANS], model=model) for place, model in enumerate(("net", "other"))}
    with pytest.raises(UsageError, match=r"names 2 cases: 0 \(net\), 1 \(other\)\. Give"):
        resolve("Gans.jpg", cases)


@pytest.mark.parametrize(("cases", "told"), [(CASES, r"unknown case 'b.pngg'. Did you mean b.png\?"), ({}, "no cases")])
def test_an_unknown_name_is_told(cases, told):
    with pytest.raises(UsageError, match=told):
        resolve("b.pngg", cases)
