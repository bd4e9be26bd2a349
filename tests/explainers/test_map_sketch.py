"""Where units are active is known, although their means over places are the same."""

import numpy as np
import pytest
import torch

from xai_eval.explainers.dissection.map_sketch import sketch_of_places
from xai_eval.explainers.dissection.observe import pool_positions

MAPS = torch.randn(6, 16, 7, 5, generator=torch.Generator().manual_seed(0)).relu()


def apart(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


@pytest.mark.parametrize("change", [lambda m: m.flip(3), lambda m: m.flip(2), lambda m: m.roll(1, 3)])
def test_maps_whose_places_changed_have_equal_means_and_other_sketches(change):
    np.testing.assert_allclose(pool_positions(change(MAPS)), pool_positions(MAPS), rtol=1e-5)
    assert apart(sketch_of_places(change(MAPS)), sketch_of_places(MAPS)) > 0.2


@pytest.mark.parametrize("share", [1e-6, 1e-3])
def test_the_distance_is_about_that_of_the_maps(share):
    noise = torch.randn(MAPS.shape, generator=torch.Generator().manual_seed(1)) * MAPS.norm() / MAPS.numel() ** 0.5
    found = apart(sketch_of_places((MAPS + share * noise).double()), sketch_of_places(MAPS.double()))
    assert share / 3 < found < 3 * share


def test_images_have_the_same_sketch_alone_and_in_a_batch():
    np.testing.assert_array_equal(sketch_of_places(MAPS)[2:3], sketch_of_places(MAPS[2:3]))


def test_tokens_have_places_and_vectors_have_none():
    tokens = MAPS.flatten(2).transpose(1, 2)
    assert sketch_of_places(tokens).shape == (6, 8)
    assert apart(sketch_of_places(tokens.flip(1)), sketch_of_places(tokens)) > 0.2
    assert sketch_of_places(MAPS.mean(dim=(2, 3))) is None
