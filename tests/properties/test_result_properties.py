import dataclasses
import string
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from synthetic import SEEDS, TOLERANCE, blob, make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import (
    Curve,
    Document,
    Heatmap,
    InputImage,
    Label,
    Mask,
    Ranking,
    Score,
    Segments,
    Severity,
    SignedMap,
    Table,
    Weights,
)
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.result import Case, Provenance, Result
from xai_eval.result.stage import OwnKind, Stage, StageKind

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8)
NUMBERS = st.floats(width=64)
STAGES = st.builds(Stage, st.sampled_from(StageKind) | NAMES.map(OwnKind), TEXT, TEXT)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)


def tables():
    rows = st.lists(st.tuples(NUMBERS, st.booleans(), st.integers(-9, 9), st.none() | TEXT), min_size=1, max_size=4)
    return rows.map(
        lambda rows: Table(
            pd.DataFrame(rows, columns=["number", "flag", "count", "text"]).assign(
                count=lambda f: f["count"].astype("int64"), key=[str(i) for i in range(len(rows))]
            )[["key", "number", "flag", "count", "text"]],
            {"number": 0.5},
        )
    )


def rankings():
    names = st.lists(TEXT, min_size=1, max_size=5, unique=True)
    return names.flatmap(
        lambda names: st.lists(NUMBERS, min_size=len(names), max_size=len(names)).map(
            lambda values: Ranking(tuple(names), tuple(values), 0.1)
        )
    )


@st.composite
def weights(draw):
    shape = draw(SHAPES)
    values = draw(hnp.arrays(np.float32, shape, elements=st.floats(width=32)))
    spread = draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 2**20, width=32)))
    return Weights(tuple(f"class {i}" for i in range(shape[0])), values, spread, SEEDS)


@st.composite
def curves(draw):
    lines, points = draw(SHAPES)
    values = draw(hnp.arrays(np.float64, (lines, points), elements=NUMBERS))
    named = {f"line {i}": row for i, row in enumerate(values)}
    return Curve(np.linspace(0, 1, points), named, draw(TEXT), draw(TEXT), 0.1)


def segments():
    labels = hnp.arrays(np.int64, SHAPES, elements=st.integers(0, 400))
    return labels.map(lambda labels: Segments(np.unique(labels, return_inverse=True)[1].reshape(labels.shape)))


# Larger ones are refused, see docs/threats.md.
WHOLE = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)

FIELDS = st.one_of(
    weights(),
    curves(),
    segments(),
    st.builds(Document, st.dictionaries(NAMES, JSON, max_size=3)),
    st.builds(Heatmap, hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32)), st.just(TOLERANCE)),
    st.builds(SignedMap, hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32))),
    st.builds(SignedMap, hnp.arrays(np.float32, (3, 70), elements=st.floats(width=32))),
    st.builds(Label, st.none() | TEXT, st.none() | st.integers(0, 999)),
    st.builds(Mask, hnp.arrays(bool, SHAPES)),
    st.builds(InputImage, hnp.arrays(np.uint8, (4, 5, 3))),
    st.builds(Score, NUMBERS, st.floats(0, 1)),
    rankings(),
    tables(),
)
RESULTS = st.builds(
    Result,
    st.builds(
        Case,
        NAMES,
        TEXT,
        TEXT,
        st.dictionaries(NAMES, st.none() | st.booleans() | WHOLE | TEXT, max_size=3),
    ),
    st.dictionaries(NAMES, FIELDS, max_size=5),
    st.dictionaries(
        STAGES,
        hnp.arrays(np.float32, SHAPES, elements=st.floats(-9, 9, width=32)).map(fingerprint_array),
        max_size=3,
    ),
    st.builds(
        Provenance,
        st.dictionaries(NAMES, TEXT, max_size=2),
        versions=st.dictionaries(NAMES, TEXT, max_size=2),
    ),
)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(RESULTS)
@settings(max_examples=60)
def test_the_disk_gives_back_what_it_was_given_and_the_same_bytes_twice(result):
    with tempfile.TemporaryDirectory() as folder:
        first = result.save(Path(folder) / "first")
        second = Result.load(first).save(Path(folder) / "second")
        third = result.save(Path(folder) / "third")
        assert contents(first) == contents(second) == contents(third)


@given(RESULTS)
@settings(max_examples=60)
def test_a_result_against_itself_and_its_golden_is_ok(result):
    assert judge(result, result).state is State.OK
    assert judge(result, result.condensed()).state is State.OK


CHANGES = st.sampled_from(["predicted", "top5", "gradcam"])


@given(CHANGES, st.integers(30, 190), st.integers(30, 190))
@settings(max_examples=25)
def test_the_verdict_finds_what_was_changed_and_nothing_else(changed, row, column):
    golden = make_result(saliency=blob(row, column))
    other = {
        "predicted": Label("crane", 134),
        "top5": Ranking(("flamingo", "crane"), (0.5, 0.4), 0.02),
        "gradcam": Heatmap(
            blob(223 - row, 223 - column) if abs(row - 111) + abs(column - 111) > 9 else blob(20, 20),
            TOLERANCE,
        ),
    }
    obtained = dataclasses.replace(golden, fields={**golden.fields, changed: other[changed]})
    verdict = judge(obtained, golden)
    assert verdict.state is State.DRIFT
    assert {finding.field for finding in verdict.findings} == {changed}
    assert (
        verdict.severity
        is {
            "predicted": Severity.CONCLUSION,
            "top5": Severity.NUMBERS,
            "gradcam": Severity.EVIDENCE,
        }[changed]
    )
