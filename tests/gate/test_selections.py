"""Which goldens a run that measured only a part calls unused: none of the part that it left out."""

import pytest
from synthetic import make_result

from xai_eval.gate.judge import judge_all
from xai_eval.gate.verdict import State


def values(*inputs):
    results = [make_result(task="values", model="", input=f"pytest/{each}", params={}) for each in inputs]
    return {each.case.key: each for each in results}


def unused(selections):
    obtained = values("test_a.py::test_one/map")
    goldens = values("test_a.py::test_one/map", "test_a.py::test_one/second", "sub/test_b.py::test_two/map")
    verdicts = judge_all(obtained, goldens, selections=selections)
    return [each.case.input.removeprefix("pytest/") for each in verdicts if each.state is State.UNUSED]


@pytest.mark.parametrize(
    "selections, expected",
    [
        ((), ["test_a.py::test_one/second", "sub/test_b.py::test_two/map"]),
        (("pytest",), []),
        (("pytest/test_a.py::test_one",), ["sub/test_b.py::test_two/map"]),
        (("pytest/sub",), ["test_a.py::test_one/second"]),
        (("pytest/test_a.py::test_on",), ["test_a.py::test_one/second", "sub/test_b.py::test_two/map"]),
    ],
    ids=["nothing", "everything", "one test", "a folder", "another test whose name begins alike"],
)
def test_goldens_below_a_selection_are_not_unused(selections, expected):
    assert unused(selections) == expected


def test_a_value_without_a_model_is_called_unused_in_words_about_tests():
    goldens = values("test_a.py::test_one/map", "test_a.py::test_one/second")
    verdicts = judge_all(values("test_a.py::test_one/map"), goldens)
    (sentence,) = [each.sentence for each in verdicts if each.state is State.UNUSED]
    assert sentence.startswith("No test of the run checked this case.")


def test_a_golden_outside_of_the_selection_is_not_sent_to_prune_which_keeps_it():
    obtained, left_out = make_result(input="photos/a.png"), make_result(input="photos/b.png")
    goldens = {each.case.key: each for each in (obtained, left_out)}
    verdicts = judge_all({obtained.case.key: obtained}, goldens, selections=["photos"], complete=True)
    (sentence,) = [each.sentence for each in verdicts if each.state is State.UNUSED]
    assert "Run the whole suite with all images again" in sentence
    assert "prune" not in sentence
