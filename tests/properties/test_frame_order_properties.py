"""The order of the columns of a data frame says nothing, that of its rows only if they have no names."""

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xai_eval.errors import UsageError
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.bare.frame_table import table_of
from xai_eval.result.result import Case, Result

# Each example makes two tables of pandas and judges them.
pytestmark = pytest.mark.slow
few = settings(max_examples=25)
CELLS = {
    "int": st.integers(-1000, 1000),
    "float": st.floats(-1000, 1000),
    "bool": st.booleans(),
    "text": st.text("abc", max_size=2),
}
INDEXES = ("texts", "dates", "a name", "numbers", "usual")


@st.composite
def frames(draw, indexes=INDEXES):
    rows = draw(st.integers(1, 4))
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    columns = {
        f"{kind} {at}": draw(st.lists(CELLS[kind], min_size=rows, max_size=rows)) for at, kind in enumerate(kinds)
    }
    texts = [f"row {at}" for at in range(rows)]
    index = {
        "texts": texts,
        "dates": pd.date_range("2026-01-01", periods=rows),
        "a name": pd.Index([7 * at + 3 for at in range(rows)], name="image"),
        "numbers": [7 * at + 3 for at in range(rows)],
        "usual": None,
    }[draw(st.sampled_from(indexes))]
    frame = pd.DataFrame(columns, index=index)
    return frame.assign(names=texts)[["names", *columns]] if index is None and draw(st.booleans()) else frame


def judged(now: pd.DataFrame, was: pd.DataFrame):
    case = Case(task="values", model="", input="pytest/test")
    obtained, golden = (Result(case, {"frame": table_of(each, None, "check")}) for each in (now, was))
    return judge(obtained, golden.condensed())


def shuffled(draw_from, values):
    return draw_from.draw(st.permutations(list(values)))


@few
@given(frames(), st.data())
def test_columns_in_another_order_are_the_same_frame(frame, data):
    order = shuffled(data, frame.columns)
    verdict = judged(frame[order], frame)
    assert verdict.state is State.OK and not verdict.unwatched
    moved = list(frame.columns) != order
    assert ("In another order than in the golden" in verdict.sentence) is moved


@few
@given(frames(("texts", "dates", "a name")), st.data())
def test_rows_with_names_in_another_order_are_the_same_frame(frame, data):
    order = shuffled(data, range(len(frame)))
    verdict = judged(frame.iloc[order], frame)
    assert verdict.state is State.OK
    assert ("rows of frame" in verdict.sentence) is (order != sorted(order))


@few
@given(frames(("usual",)), st.data())
def test_rows_with_names_in_their_first_column_may_be_sorted(frame, data):
    assume("names" in frame.columns)
    rows = frame.iloc[shuffled(data, range(len(frame)))]
    for each in (rows, rows.reset_index(drop=True), rows.reset_index(drop=True)[shuffled(data, frame.columns)]):
        moved = each["names"].tolist() != frame["names"].tolist()
        first = each.columns[0] == "names"
        assert (judged(each, frame).state is State.OK) or (moved and not first)


@few
@given(frames(("numbers", "usual")), st.data())
def test_rows_that_are_merely_numbered_are_known_by_their_places(frame, data):
    assume(not frame.columns[0].startswith(("names", "text")))  # such a column names the rows
    order = shuffled(data, range(len(frame)))
    assert (judged(frame.iloc[order], frame).state is State.OK) is (order == sorted(order))


@few
@given(frames(), st.data())
def test_a_cell_that_changed_is_found_in_whatever_order(frame, data):
    column = shuffled(data, (name for name in frame.columns if name != "names"))[0]
    row = data.draw(st.integers(0, len(frame) - 1))
    values = list(frame[column])
    values[row] = not values[row] if isinstance(values[row], bool) else values[row] + values[row] + type(values[row])(7)
    assume(not isinstance(values[row], float) or abs(values[row] - frame[column].iloc[row]) > 30)
    changed = frame.assign(**{column: values})[shuffled(data, frame.columns)]
    assert judged(changed, frame).state is State.DRIFT


@few
@given(frames(), st.data())
def test_a_column_that_is_gone_or_has_another_name_is_a_drift_in_whatever_order(frame, data):
    order = shuffled(data, frame.columns)
    renamed = frame[order].rename(columns={order[0]: "another"})
    assert judged(renamed, frame).state is State.DRIFT
    assert len(order) == 1 or judged(frame[order[1:]], frame).state is State.DRIFT


@few
@given(frames(), st.data())
def test_two_columns_of_one_name_are_refused_in_whatever_order(frame, data):
    twice = frame.iloc[:, [*range(len(frame.columns)), -1]]
    places = shuffled(data, range(len(twice.columns)))
    with pytest.raises(UsageError, match="two columns of one name"):
        table_of(twice.iloc[:, places], None, "check")


@few
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=4))
def test_whole_numbers_may_be_written_as_floats_of_the_same_values_alone(numbers):
    frame = pd.DataFrame({"count": numbers})
    floats = frame.astype("float64")
    assert judged(floats, frame).state is judged(frame, floats).state is State.OK
    for off in (0.001, 0.5, 1.0):
        assert judged(floats + off, frame).state is State.DRIFT
    assert judged(frame.astype("int32"), frame).state is State.OK


@few
@given(st.lists(st.booleans(), min_size=1, max_size=4), st.sampled_from(["int64", "float64", "str"]))
def test_yes_and_no_are_neither_numbers_nor_texts(flags, other):
    frame = pd.DataFrame({"flag": flags})
    assert judged(frame.astype(other), frame).state is State.DRIFT
    assert judged(frame, frame.astype(other)).state is State.DRIFT
