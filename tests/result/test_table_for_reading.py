"""Tables that people read are compared loosely; only columns that the code names are for reading alone."""

import pandas as pd
import pytest

from xai_eval.result.fields import Measures, Table, Tally

COUNTS = pd.DataFrame({"concept": ["car", "tree"], "kind": ["object", "plant"], "units": [9, 1]})


def tally(**columns):
    return Tally(COUNTS.assign(**columns), {"units": 2.0})


def test_a_column_for_reading_is_not_kept_and_never_a_finding():
    now, was = (Table(COUNTS.assign(seconds=[s, s]), unjudged=("seconds",)) for s in (0.1, 0.2))
    kept = was.condensed()
    assert kept is not None and list(kept.frame.columns) == ["concept", "kind", "units"]
    assert now.compare(kept, "concepts") == ()


@pytest.mark.parametrize(
    "frame",
    [
        COUNTS.iloc[::-1],
        COUNTS.iloc[:1],
        pd.concat([COUNTS, COUNTS.tail(1).assign(concept="sky", units=2)], ignore_index=True),
        COUNTS.assign(units=[7, 3]),
    ],
    ids=["another order", "a row less", "a row more", "two units"],
)
def test_what_tied_labels_do_to_counts_is_no_finding(frame):
    assert Tally(frame, {"units": 2.0}).compare(tally(), "concepts") == ()
    assert tally().compare(Tally(frame), "concepts") == ()


def test_doubled_counts_are_found_and_named_worst_first():
    first, *rest = Tally(COUNTS.assign(units=[18, 7])).compare(tally(), "concepts")
    assert "of car: 9 became 18" in first.sentence and "of tree: 1 became 7" in rest[0].sentence


def test_a_name_that_lost_all_its_units_is_found():
    (finding,) = Tally(COUNTS.tail(1), {"units": 2.0}).compare(tally(), "concepts")
    assert "car: 9 became 0" in finding.sentence


def test_texts_may_differ_in_as_many_rows_as_the_tolerance_says():
    other = tally(kind=["object", "thing"])
    assert "kind differs in 1 rows" in other.compare(tally(), "concepts")[0].sentence
    assert Tally(other.frame, {"units": 2.0, "kind": 1.0}).compare(tally(), "concepts") == ()


def test_the_first_of_a_list_may_change_places_with_what_comes_after_them():
    now, was = (
        Tally(pd.DataFrame({"unit": ["a", last], "above": [3.0, 1.0]}), {"above": 0.1}, cut=True) for last in "bc"
    )
    assert now.compare(was, "it") == ()
    assert Tally(now.frame, {"above": 0.1}).compare(was, "it") != ()
    assert Tally(pd.DataFrame({"unit": ["x", "y"], "above": [3.0, 1.0]}), {"above": 0.1}, cut=True).compare(was, "it")


def test_another_column_of_a_tally_cannot_be_compared():
    (finding,) = tally().compare(Tally(COUNTS.rename(columns={"units": "places"})), "concepts")
    assert finding.measure == "columns"


def test_every_measure_has_its_own_tolerance():
    was = Measures.of({"seeds": 5.0, "overlap": 0.8, "lost": 1.0}, {"overlap": 0.3})
    now = Measures.of({"seeds": 5.0, "overlap": 0.6, "lost": 1.0}, {"overlap": 0.3})
    assert now.compare(was, "stability") == ()
    found = Measures.of({"seeds": 6.0, "overlap": 1.6}, {"overlap": 0.3}).compare(was, "stability")
    assert [each.measure for each in found] == ["seeds", "overlap", "lost"]
