"""Differences by rounding are accepted; any other difference is described."""

from __future__ import annotations

import pytest
import torch

from xai_eval.explainers.model.reproduction import disagreement

LOGITS = torch.tensor([[20.0, -3.0], [0.001, 0.0]])


def test_equal_within_rounding() -> None:
    assert disagreement(LOGITS + 1e-5, LOGITS) == ""
    assert disagreement(torch.full((1, 2), float("nan")), torch.full((1, 2), float("nan"))) == ""


@pytest.mark.parametrize(
    ("logits", "sentence"),
    [
        (LOGITS + 0.01, "logits of up to 20 differ by 0.01"),
        (LOGITS[:1], r"expected logits \(2, 2\), got \(1, 2\)"),
        ((LOGITS,), r"expected logits \(2, 2\), got \(\)"),
        (LOGITS * float("nan"), "differ"),
    ],
)
def test_disagreement_is_said_in_words(logits: object, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        assert not (words := disagreement(logits, LOGITS)), words
