"""A class that is only called otherwise is told; a list of classes that was shifted or shuffled is a drift."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval import judge
from xai_eval.gate.causes import grouped
from xai_eval.gate.changes import ChangeKind
from xai_eval.gate.verdict import State
from xai_eval.result.class_list import class_list
from xai_eval.result.fields import Document, Label, Ranking
from xai_eval.result.fingerprint import fingerprint_array, fingerprint_text
from xai_eval.result.stage import Stage, StageKind

NAMES = ("balloon", "bird", "boat", "car", "fish", "kite")
LOGITS, TARGET = Stage(StageKind.LOGITS), Stage(StageKind.TARGET)
VALUES = np.linspace(3.0, -1.0, len(NAMES))


def explained(names, *, intended="balloon", logits=VALUES):
    """A result whose top class is the first, as every task on images writes it."""
    predicted = Label(names[0], 0)
    known = names.index(intended) if intended in names else None
    fields = {
        "predicted": predicted,
        "explained": predicted,
        "intended": Label(intended, known),
        "audit": Label(None if known == 0 else f'"{intended}" is intended, but the model sees "{names[0]}"'),
        "top5": Ranking(tuple(f"{n} ({i})" for i, n in enumerate(names[:5])), (0.6, 0.2, 0.1, 0.05, 0.01), 0.02),
    }
    result = make_result(fields=fields)
    stages = {LOGITS: fingerprint_array(logits), TARGET: fingerprint_text(str(predicted))}
    return dataclasses.replace(result, stages={**result.stages, **stages})


@settings(max_examples=25)
@given(index=st.integers(0, 4), name=st.text(min_size=1, max_size=12).filter(lambda text: text not in NAMES))
def test_one_renamed_class_is_told_and_fails_nothing(index, name):
    names = (*NAMES[:index], name, *NAMES[index + 1 :])
    verdict = judge(explained(names), explained(NAMES))
    assert verdict.state is State.OK, verdict.sentence
    assert [(each.kind, each.before, each.after) for each in verdict.changes] == [(ChangeKind.NAME, NAMES[index], name)]
    assert "begins at the target" not in verdict.sentence


@settings(max_examples=25)
@given(order=st.permutations(NAMES).filter(lambda names: tuple(names[:5]) != NAMES[:5]))
def test_a_list_in_another_order_is_a_drift(order):
    assert judge(explained(tuple(order)), explained(NAMES)).state is State.DRIFT or order[0] == NAMES[0]


def test_a_shifted_list_is_a_drift():
    assert judge(explained(("ant", "bee", "cat", "dog", "elk", "fox")), explained(NAMES)).state is State.DRIFT
    assert judge(explained((*NAMES[1:], NAMES[0])), explained(NAMES)).state is State.DRIFT


def test_with_other_logits_another_name_is_another_class():
    names = ("blimp", *NAMES[1:])
    assert judge(explained(names, logits=VALUES * 1.1), explained(NAMES)).state is State.DRIFT


def test_an_image_that_should_show_the_renamed_class_is_not_accused():
    names = ("blimp", *NAMES[1:])
    verdict = judge(explained(names, intended="balloon"), explained(NAMES))
    assert verdict.state is State.OK and "name of class 0 balloon -> blimp" in verdict.sentence


def told_from(source, names=NAMES, *, ids=None, listed=True):
    """A result whose model has its names of classes from some source."""
    result = explained(names)
    content = {"classes": f"{len(names)}; {source}", "output": "logits"}
    parameters = {"classes": source, **({"class list": class_list(names, ids)} if listed else {})}
    provenance = dataclasses.replace(result.provenance, parameters=parameters)
    return dataclasses.replace(result, fields={**result.fields, "model": Document(content)}, provenance=provenance)


@pytest.mark.parametrize("ids", [None, tuple("abcdef")])
def test_the_same_names_from_elsewhere_are_told_and_explain_nothing(ids):
    now, was = told_from("the file names.txt"), told_from("the weights", ids=ids)
    verdict = judge(now, was)
    assert verdict.state is State.OK, verdict.sentence
    assert "source of the class names the weights -> the file names.txt" in verdict.sentence
    drifted = dataclasses.replace(now, fields={**now.fields, "audit": Label("something else")})
    (group,) = grouped([judge(drifted, was)])
    assert "names" not in group.cause.what


def test_other_names_from_elsewhere_are_said_by_their_names():
    names = ("blimp", *NAMES[1:])
    renamed = judge(told_from("the file names.txt", names), told_from("the weights"))
    assert renamed.state is State.OK and "name of class 0 balloon -> blimp" in renamed.sentence
    shifted = judge(told_from("the file names.txt", (*NAMES[1:], NAMES[0])), told_from("the weights"))
    assert shifted.state is State.DRIFT and "model" not in {each.field for each in shifted.findings}


def test_another_number_of_classes_or_names_that_are_not_recorded_are_a_finding():
    fewer = judge(told_from("the file names.txt", NAMES[:5]), told_from("the weights"))
    unknown = judge(told_from("the file names.txt"), told_from("the weights", listed=False))
    for verdict in (fewer, unknown):
        assert "model" in {each.field for each in verdict.findings}, verdict.sentence
