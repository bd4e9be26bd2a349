"""The whole list of classes is on record in few bytes, so that a renamed class is told although it is not explained."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval.gate.changes import ChangeKind
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.class_list import CLASS_LIST, class_list
from xai_eval.result.fields import Label

NAMES = tuple(f"class {index}" for index in range(1000))
IDS = tuple(f"n{index:08}" for index in range(1000))


def result(names, ids=None):
    made = make_result()
    recorded = {} if names is None else {CLASS_LIST: class_list(names, ids)}
    return dataclasses.replace(made, provenance=dataclasses.replace(made.provenance, parameters=recorded))


def test_a_renamed_class_is_told_with_its_place_and_fails_nothing():
    verdict = judge(result(("crane", *NAMES[1:134], "heron", *NAMES[135:])), result(("crane", *NAMES[1:])))
    (change,) = verdict.changes
    assert verdict.state is State.OK and "another class at index 134" in verdict.sentence
    assert (change.what, change.kind) == (CLASS_LIST, ChangeKind.PARAMETER)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (result(NAMES[:-1]), "1000 classes"),
        (result(tuple(reversed(NAMES))), "another class at index 0, 1, 2, 3, 4 and 995 more"),
        (result(NAMES, IDS), "1000 classes (935fd08c)"),
    ],
    ids=["one less", "another order", "with ids"],
)
def test_another_list_is_told(now, told):
    (change,) = judge(now, result(NAMES)).changes
    assert told in str(change)


def test_a_golden_that_records_no_classes_says_nothing_of_them():
    assert judge(result(NAMES), result(None)).changes == ()
    assert judge(result(NAMES, IDS), result(NAMES, IDS)).changes == ()


def test_what_is_recorded_of_a_thousand_classes_is_small():
    assert len(json.dumps(class_list(NAMES, IDS))) < 3000


@given(st.lists(st.text(max_size=5), max_size=6), st.lists(st.text(max_size=5), max_size=6))
def test_only_equal_lists_have_equal_digests(one, other):
    assert (class_list(one, None)["digest"] == class_list(other, None)["digest"]) == (one == other)


@pytest.mark.parametrize(
    "claim", [{}, {"digest": 1}, {"count": 3, "digest": "x", "each": "?"}, {"count": 1000, "each": 5}, 7]
)
def test_a_golden_may_claim_anything(claim):
    golden = result(None)
    golden = dataclasses.replace(
        golden, provenance=dataclasses.replace(golden.provenance, parameters={CLASS_LIST: claim})
    )
    assert judge(result(NAMES), golden).state is State.OK


def test_a_class_of_another_name_is_not_told_as_another_class():
    (difference,) = Label("4", 4).differences(Label("class 4", 4))
    (statement,) = difference.statements
    assert statement.sentence == "class 4 was called class 4 and is called 4 now"
