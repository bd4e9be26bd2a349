"""A table that follows from judged fields is read, not judged."""

import pandas as pd

from xai_eval.result.fields import Table


def test_it_is_not_kept_and_never_a_finding():
    now, was = (
        Table.for_reading(pd.DataFrame({"concept": ["car", "tree"], "units": units})) for units in ([3, 1], [2, 2])
    )
    assert now.condensed() is None
    assert now.compare(was, "concepts") == ()


def test_a_table_with_one_judged_column_is_kept():
    frame = pd.DataFrame({"concept": ["car"], "units": [3], "seconds": [0.1]})
    kept = Table(frame, unjudged=("seconds",)).condensed()
    assert kept is not None and list(kept.frame.columns) == ["concept", "units"]
