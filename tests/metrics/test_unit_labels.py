import pandas as pd
import pytest

from xai_eval.metrics.unit_labels import (
    category_counts,
    concept_counts,
    interpretable,
    layer_summary,
    top_concepts,
    unique_concepts,
)


@pytest.fixture
def units():
    return pd.DataFrame(
        [
            ("stem", 0, "red", "colour", 0.03),
            ("stem", 1, None, None, float("nan")),
            ("stem", 2, "red", "colour", 0.05),
            ("deep", 0, "tree", "object", 0.20),
            ("deep", 1, "beach", "scene", 0.04),
            ("deep", 2, "car", "object", 0.10),
            ("deep", 3, "tree", "object", 0.30),
            ("dead", 0, None, None, float("nan")),
        ],
        columns=["layer", "unit", "label", "category", "score"],
    )


def rows(frame):
    return [tuple(row) for row in frame.itertuples(index=False)]


def test_interpretable_units_reach_the_bound(units):
    kept = interpretable(units)
    assert list(zip(kept["layer"], kept["unit"], strict=True)) == [
        ("stem", 2),
        ("deep", 0),
        ("deep", 1),
        ("deep", 2),
        ("deep", 3),
    ]


def test_layers_are_summed_up_in_their_order(units):
    found = layer_summary(units)
    assert rows(found.drop(columns="mean_score")) == [("stem", 3, 2, 1), ("deep", 4, 4, 3), ("dead", 1, 0, 0)]
    assert found["mean_score"].tolist()[:2] == pytest.approx([0.04, 0.16])
    assert found["mean_score"].isna().tolist() == [False, False, True]


def test_concepts_are_counted_by_layer(units):
    expected = [("stem", "red", 2), ("deep", "tree", 2), ("deep", "beach", 1), ("deep", "car", 1)]
    assert rows(concept_counts(units)) == expected


def test_categories_are_counted_by_layer(units):
    expected = [("deep", "object", 3, 2), ("stem", "colour", 2, 1), ("deep", "scene", 1, 1)]
    assert rows(category_counts(units)) == expected


def test_top_concepts_are_over_all_layers(units):
    assert rows(top_concepts(units, 3)) == [("red", 2), ("tree", 2), ("beach", 1)]


def test_unique_concepts_without_scenes(units):
    assert unique_concepts(units) == ("beach", "car", "red", "tree")
    assert unique_concepts(units, {"beach", "nowhere"}) == ("car", "red", "tree")


def test_tables_of_units_without_labels_are_empty(units):
    nothing = units[units["label"].isna()]
    assert layer_summary(nothing)["labelled"].tolist() == [0, 0]
    for table in (concept_counts(nothing), category_counts(nothing), top_concepts(nothing), interpretable(nothing)):
        assert table.empty
    assert unique_concepts(nothing) == ()
