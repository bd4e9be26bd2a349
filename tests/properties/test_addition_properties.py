"""To add anything to a result never fails it; to take anything away that the golden has always does."""

import dataclasses

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.unwatched import Unwatched
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Curve, Document, Field, Label, Score, Table
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Result
from xai_eval.result.stage import OwnKind, Stage

KINDS = ("field", "column", "line", "entry", "stage")
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@st.composite
def results(draw):
    """A result whose parts are named by numbers: few or many of every kind, in any order.

    A curve has a line and a document an entry: a golden without one holds nothing of it, which is an error.
    """

    def names(least: int = 0) -> list[str]:
        return [str(n) for n in draw(st.lists(st.integers(0, 99), min_size=least, max_size=4, unique=True))]

    columns = {name: draw(st.lists(st.floats(width=64), min_size=2, max_size=2)) for name in names(1)}
    lines = {name: np.array(draw(st.lists(st.floats(), min_size=2, max_size=2))) for name in names(1)}
    fields: dict[str, Field] = {
        "table": Table(pd.DataFrame({"key": ["a", "b"], **columns}), dict.fromkeys(columns, 0.5)),
        "curve": Curve(np.array([0.0, 1.0]), lines, "x", "y", 0.5),
        "document": Document({name: draw(VALUES) for name in names(1)}),
        **{name: draw(st.just(Label("a")) | st.floats().map(lambda v: Score(v, 0.5))) for name in names()},
    }
    golden = make_result()
    stages = {Stage(OwnKind(name)): fingerprint_text(name) for name in names()}
    return dataclasses.replace(golden, fields={**golden.fields, **fields}, stages={**golden.stages, **stages})


def inserted(mapping: dict, name: str, value: object, place: int) -> dict:
    items = list(mapping.items())
    items.insert(place % (len(items) + 1), (name, value))
    return dict(items)


def with_new(result: Result, part: str, place: int) -> tuple[Result, Unwatched]:
    """The result with one part more, anywhere among its like."""
    if part == "stage":
        stages = inserted(dict(result.stages), Stage(OwnKind("new")), fingerprint_text("new"), place)
        return dataclasses.replace(result, stages=stages), Unwatched("stage", "new")
    fields = dict(result.fields)
    if part == "field":
        fields = inserted(fields, "new", Score(1.0, 0.1), place)
        return dataclasses.replace(result, fields=fields), Unwatched("field", "new")
    if part == "column":
        field, frame = "table", result["table"].frame.copy()
        frame.insert(1 + place % len(frame.columns), "new", [True, False])
        fields[field] = Table(frame, result["table"].tolerance)
    elif part == "line":
        field, was = "curve", result["curve"]
        fields[field] = dataclasses.replace(was, lines=inserted(dict(was.lines), "new", np.zeros(2), place))
    else:
        field = "document"
        fields[field] = Document(inserted(dict(result[field].content), "new", None, place))
    return dataclasses.replace(result, fields=fields), Unwatched(part, "new", field)


@given(results(), st.sampled_from(KINDS), st.integers(0, 9))
def test_an_addition_never_fails_and_a_loss_always_does(result, part, place):
    grown, added = with_new(result, part, place)
    verdict = judge(grown, result.condensed())
    assert (verdict.state, verdict.unwatched) == (State.OK, (added,))
    assert judge(result, grown.condensed()).state is State.DRIFT


@given(results(), st.permutations(KINDS))
def test_all_additions_are_named_and_accepting_them_leaves_none(result, parts):
    grown, added = result, set()
    for place, part in enumerate(parts):
        grown, one = with_new(grown, part, place)
        added.add(one)
    assert set(judge(grown, result.condensed()).unwatched) == added
    assert judge(grown, grown.condensed()).unwatched == ()
