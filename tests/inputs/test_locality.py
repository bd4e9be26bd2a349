"""The measure that decides a layout: a correlation, and images of which one part is changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.locality import locality, measured_layout, probes_of

SIDES = st.integers(3, 20)


def image(height: int, width: int, channels: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(3)).to(dtype)


@given(SIDES, SIDES, st.sampled_from([1, 3, 4]), st.sampled_from([torch.float32, torch.float16, torch.float64]))
def test_each_probe_changes_its_part_alone_and_all_parts_make_the_image(
    height: int, width: int, channels: int, dtype: torch.dtype
) -> None:
    batch = image(height, width, channels, dtype)
    kept, probes = batch.clone(), probes_of(batch)
    assert torch.equal(batch, kept)
    assert torch.equal(sum(probe.part for probe in probes), torch.ones(height, width))
    for probe in probes:
        assert probe.batch.dtype == dtype
        changed = (probe.batch != batch).any(dim=1)[0]
        assert not changed[~probe.part.bool()].any()
        # In half precision, one pixel in a thousand is changed into the value that it had.
        assert changed[probe.part.bool()].all() or (dtype is torch.float16 and changed.any())


def test_the_changes_are_always_the_same() -> None:
    one, other = probes_of(image(9, 9)), probes_of(image(9, 9))
    assert all(torch.equal(a.batch, b.batch) for a, b in zip(one, other, strict=True))


def test_an_image_of_one_colour_is_changed_as_well() -> None:
    flat = torch.full((1, 3, 12, 12), 0.5)
    assert all(((probe.batch != flat).any(dim=1)[0] == probe.part.bool()).all() for probe in probes_of(flat))


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 1000))
def test_locality_is_the_correlation_over_all_probes(h: int, w: int, seed: int) -> None:
    """By numpy's own correlation, in double precision, of shares whose mean over the probes is subtracted."""
    probes, layout = probes_of(image(12, 12)), Layout((h, w), 2)
    strengths = torch.rand(len(probes), h, w, generator=torch.Generator().manual_seed(seed)) + 0.01
    answers = strengths.double().numpy()
    parts = np.stack([adaptive_avg_pool2d(p.part[None, None].double(), (h, w))[0, 0].numpy() for p in probes])
    rows = [each / each.sum(axis=(1, 2), keepdims=True) for each in (answers, parts)]
    rows = [each - each.mean(axis=0) for each in rows]
    expected = np.corrcoef(rows[0].ravel(), rows[1].ravel())[0, 1]
    assert locality(strengths, probes, layout) == pytest.approx(expected, abs=1e-5)


def test_a_perfect_answer_is_1_and_none_is_0() -> None:
    probes, layout = probes_of(image(12, 12)), Layout((6, 6), 2)
    parts = torch.stack([adaptive_avg_pool2d(probe.part[None, None], (6, 6))[0, 0] for probe in probes])
    assert locality(parts, probes, layout) == pytest.approx(1)
    assert locality(torch.zeros(9, 6, 6), probes, layout) == 0
    assert locality(torch.ones(9, 6, 6), probes, layout) == 0


def test_layouts_that_cannot_be_told_apart_are_none() -> None:
    """A symmetric table of places against places: its rows are as good as its columns."""

    def symmetric(batch: Tensor) -> Tensor:
        places = adaptive_avg_pool2d(batch.mean(1, keepdim=True), (4, 4)).flatten(1)
        return places[:, :, None] + places[:, None, :]

    rows, columns = (Layout((4, 4), axis, maps=False) for axis in (1, 0))
    assert measured_layout(symmetric, image(16, 16), [rows]) == rows
    assert measured_layout(symmetric, image(16, 16), [rows, columns]) is None
    assert measured_layout(symmetric, image(16, 16), []) is None
