"""A parameter that cannot change an answer tells no cases apart: goldens pair whatever it was, and it is told."""

import dataclasses

import pytest
from synthetic import make_case, make_result

from xai_eval.gate.judge import judge, judge_all
from xai_eval.gate.pairing import pair_cases
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Document
from xai_eval.result.without_effect import with_effect


def of(**params):
    made = make_result()
    return dataclasses.replace(made, case=dataclasses.replace(made.case, params={**made.case.params, **params}))


PAIRS = [
    ({"batch_size": 64}, {"batch_size": 10}),
    ({}, {"batch_size": 10}),
    ({"batch_size": 10}, {}),
    ({"grid": {"batch_size": [64], "samples": [5]}}, {"grid": {"batch_size": [10], "samples": [5]}}),
    ({"setting": {"batch_size": 1}}, {"setting": {"batch_size": 10}}),
]


@pytest.mark.parametrize(("now", "was"), PAIRS)
def test_a_golden_pairs_and_holds_whatever_the_size_of_its_batches(now, was):
    golden = of(**was)
    [verdict] = judge_all({of(**now).case.key: of(**now)}, {golden.case.key: golden})
    assert verdict.state is State.OK
    assert "batch_size" in verdict.sentence or "batch_size" in str(verdict.changes)


@pytest.mark.parametrize(
    ("now", "was"),
    [
        ({"batch_size": 64, "samples": 5}, {"batch_size": 10, "samples": 6}),
        ({"grid": {"batch_size": [10, 64]}}, {"grid": {"batch_size": [10]}}),
    ],
)
def test_another_parameter_beside_it_is_another_experiment(now, was):
    verdict = judge(of(**now), of(**was))
    assert verdict.state is State.INCOMPARABLE
    assert "batch_size 10 -> 64" not in verdict.reason


def test_the_golden_of_the_same_size_is_taken_first():
    one, two = make_case(params={"batch_size": 10}), make_case(params={"batch_size": 64})
    assert pair_cases([one, two], [two, one]) == {one.key: one.key, two.key: two.key}
    assert pair_cases([two], [one]) == {two.key: one.key}


def test_cases_that_differ_only_in_it_do_not_share_a_golden():
    goldens = [make_case(params={"batch_size": 10})]
    rivals = [make_case(params={"batch_size": size}) for size in (1, 2)]
    assert list(pair_cases(rivals, goldens).values()) == [None, None]


def test_entries_of_a_document_that_are_for_reading_are_not_compared():
    now = Document({"setting": {"batch_size": 64, "samples": 5}}, ("batch_size",))
    assert not now.compare(Document({"setting": {"batch_size": 10, "samples": 5}}), "best")
    assert now.compare(Document({"setting": {"batch_size": 10, "samples": 6}}), "best")
    # What a golden calls for reading is compared all the same.
    strict = Document({"setting": {"batch_size": 64}})
    assert strict.compare(Document({"setting": {"batch_size": 10}}, ("batch_size",)), "best")
    assert Document.restore(now.meta(), {}) == now
    assert Document.restore({"content": {"a": 1}}, {}) == Document({"a": 1})
    assert Document({"a": 1}).meta() == {"content": {"a": 1}}


def test_what_has_an_effect_stays():
    assert with_effect({"samples": 5, "batch_size": 3, "at": [{"batch_size": 1, "k": 2}]}) == {
        "samples": 5,
        "at": [{"k": 2}],
    }
