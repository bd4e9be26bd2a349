"""Numbers of one column are written with the same decimals, so that their points stand below each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.report.text.table_files import markdown
from xai_eval.report.text.wording import cell_text, column_texts

USUAL = st.floats(0.001, 1000).flatmap(lambda value: st.sampled_from([value, -value, 0.0, round(value)]))


@given(st.lists(USUAL, min_size=1, max_size=8))
def test_every_number_keeps_four_digits_and_all_have_the_same_decimals(numbers):
    texts = column_texts(pd.Series(numbers, dtype=float))
    assert len({len(text.partition(".")[2]) for text in texts}) == 1
    for number, text in zip(numbers, texts, strict=True):
        decimals = len(text.partition(".")[2])
        assert abs(float(text) - number) <= 0.5001 * 10.0**-decimals
        assert decimals >= len(f"{number:.4g}".partition(".")[2])


def test_what_is_no_ordinary_number_is_left_as_it_is():
    assert column_texts(pd.Series([0.5, 1e-9])) == ["0.5", "1e-09"]
    assert column_texts(pd.Series([0.125, np.nan, np.inf])) == ["0.125", "–", "inf"]
    for column in ([1, 20], ["a", None], [True, False]):
        assert column_texts(pd.Series(column)) == [cell_text(value) for value in column]


def test_a_table_for_reading_has_them():
    text = markdown(pd.DataFrame({"name": ["a", "b"], "iou": [0.5, 0.3333]}))
    assert text.splitlines()[2:] == ["| a | 0.5000 |", "| b | 0.3333 |"]
