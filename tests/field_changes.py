"""One change of every kind of field, with the severity that it has."""

from __future__ import annotations

import numpy as np
import pandas as pd
from synthetic import SEEDS, blob

from xai_eval.result.fields import (
    Curve,
    Document,
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

FRAME = pd.DataFrame({"method": ["gradcam", "scorecam"], "hit": [True, True], "energy": [0.5, 0.25]})


CELLS = np.arange(16).reshape(4, 4) // 4


def weights(values, name="balloon", spread=0.05):
    return Weights((name,), np.array([values]), np.full((1, len(values)), spread), SEEDS)


def curve(values, name="one"):
    return Curve(np.array([0.0, 1.0]), {name: np.array(values)}, "x", "y", 0.05)


CHANGES = {
    "label": (Label("a"), Label("b"), Severity.CONCLUSION),
    "label index": (Label("crane", 134), Label("crane", 517), Severity.CONCLUSION),
    "score": (Score(1.0, 0.1), Score(1.2, 0.1), Severity.NUMBERS),
    "score to NaN": (Score(1.0, 0.1), Score(float("nan"), 0.1), Severity.NUMBERS),
    "ranking value": (
        Ranking(("a", "b"), (0.8, 0.1), 0.02),
        Ranking(("a", "b"), (0.7, 0.1), 0.02),
        Severity.NUMBERS,
    ),
    "ranking entry": (
        Ranking(("a", "b"), (0.8, 0.1), 0.02),
        Ranking(("a", "c"), (0.8, 0.2), 0.02),
        Severity.NUMBERS,
    ),
    "ranking length": (
        Ranking(("a",), (0.8,), 0.02),
        Ranking(("a", "b"), (0.8, 0.1), 0.02),
        Severity.NUMBERS,
    ),
    "table number": (Table(FRAME), Table(FRAME.assign(energy=[0.5, 0.3])), Severity.NUMBERS),
    "table flag": (Table(FRAME), Table(FRAME.assign(hit=[True, False])), Severity.EVIDENCE),
    "table column": (Table(FRAME), Table(FRAME.rename(columns={"hit": "miss"})), Severity.NUMBERS),
    "table that nobody judges": (Table(FRAME), Table(FRAME, unjudged=tuple(FRAME.columns)), Severity.NUMBERS),
    "table row": (Table(FRAME), Table(FRAME.iloc[:1]), Severity.NUMBERS),
    "mask": (Mask(blob(80, 80) > 0.5), Mask(blob(80, 120) > 0.5), Severity.EVIDENCE),
    "mask shape": (Mask(np.ones((4, 4), bool)), Mask(np.ones((2, 8), bool)), Severity.EVIDENCE),
    "signed map": (
        SignedMap(blob(80, 80) - blob(150, 150)),
        SignedMap(blob(80, 80) - blob(150, 120)),
        Severity.EVIDENCE,
    ),
    "signed map scaled": (SignedMap(blob(80, 80) - 0.5), SignedMap(2 * blob(80, 80) - 1), Severity.NUMBERS),
    "signed map shape": (SignedMap(np.eye(6)), SignedMap(np.ones((4, 9))), Severity.EVIDENCE),
    "segments": (Segments(CELLS), Segments(np.where(CELLS == 3, 2, CELLS)), Severity.EVIDENCE),
    "segments shape": (Segments(CELLS), Segments(CELLS[:2]), Severity.EVIDENCE),
    "weights": (weights([0.5, 0.1, -0.4]), weights([0.7, 0.1, -0.4]), Severity.NUMBERS),
    "weights turned": (weights([0.5, 0.1, -0.4]), weights([0.5, 0.1, 0.4]), Severity.EVIDENCE),
    "weights of others": (weights([0.5, 0.1, -0.4]), weights([0.5, 0.1]), Severity.EVIDENCE),
    "weights gone": (weights([0.5]), weights([0.5], "bird"), Severity.NUMBERS),
    "weights new": (
        weights([0.5]),
        Weights(("balloon", "bird"), np.array([[0.5], [0.5]]), np.full((2, 1), 0.05), SEEDS),
        Severity.NUMBERS,
    ),
    "weights that are no number": (weights([0.5, 0.1]), weights([0.5, float("nan")]), Severity.EVIDENCE),
    "curve": (curve([0.1, 0.2]), curve([0.1, 0.3]), Severity.NUMBERS),
    "curve line": (curve([0.1, 0.2]), curve([0.1, 0.2], "two"), Severity.NUMBERS),
    "curve that is no number": (curve([0.1, 0.2]), curve([0.1, float("nan")]), Severity.NUMBERS),
    "document": (Document({"n": {"a": 1}}), Document({"n": {"a": 2}}), Severity.CONCLUSION),
    "document entry": (Document({"n": 1, "m": None}), Document({"n": 1}), Severity.CONCLUSION),
    "kind": (Label("a"), Score(1.0, 0.1), Severity.CONCLUSION),
}
