"""A table for print has the columns that a page needs; what it leaves out is empty, said, or in the CSV."""

import re

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.report.text.print_columns import for_print
from xai_eval.report.text.table_files import latex

UNITS = pd.DataFrame(
    {
        "input": ["scenes (480 images)"] * 2,
        "model": ["net"] * 2,
        "unit": ["layer4/0", "layer4/1"],
        "label": ["sky", "tree"],
        "score": [0.4, 0.3],
        "index": [0, 1],
        "top_images": ["a, b, c", "d, e, f"],
        "iou": [0.2, 0.1],
    }
)


def test_of_units_the_labels_and_how_sure_they_are_is_printed():
    printed = for_print(UNITS, said=["net"])
    assert list(printed.frame.columns) == ["unit", "label", "score", "iou"]
    assert printed.note == "In all rows: input scenes (480 images)."


def test_numbers_of_classes_stand_aside_and_one_row_keeps_its_columns():
    frame = pd.DataFrame({"predicted": ["crane"], "predicted_index": [134], "state": ["ok"], "audit": [None]})
    assert list(for_print(frame).frame.columns) == ["predicted", "state", "audit"]
    twice = for_print(pd.concat([frame, frame.assign(predicted="cat")]))
    assert list(twice.frame.columns) == ["predicted"] and twice.note == "In all rows: state ok."
    assert not for_print(pd.concat([frame, frame])).frame.empty, "all rows are the same, and are shown"


CELLS = st.one_of(st.none(), st.text(max_size=50), st.booleans(), st.floats(allow_nan=True), st.integers())


@settings(max_examples=60)
@given(st.integers(1, 9).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=4)))
def test_every_row_has_the_cells_of_the_columns_that_are_left(rows):
    frame = pd.DataFrame(rows, columns=[f"column [{place}]" for place in range(len(rows[0]) if rows else 2)])
    printed = for_print(frame).frame
    assert len(printed) == len(frame) and printed.shape[1] >= 1
    told = [line for line in latex(printed, "x", "y").splitlines() if line.endswith(r" \\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in told} == {printed.shape[1] - 1}


def test_a_long_name_of_a_column_is_broken_and_no_option_of_its_break():
    frame = pd.DataFrame({f"agreement by chance [{place}]": ["long " * 9, ""] for place in "abcdefgh"})
    text = latex(frame, "x", "y")
    assert r"\shortstack[l]{{agreement by}\\{chance [a]}}" in text
    assert "{p{3.5cm}p{3.5cm}" in text and r"\footnotesize" in text
