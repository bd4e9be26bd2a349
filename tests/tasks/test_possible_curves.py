"""Rounding of a map never moves deletion and insertion out of what is said to be possible; a real change does."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.metrics.faithfulness import faithfulness
from xai_eval.tasks.ties.bounds import ON_CPU
from xai_eval.tasks.ties.possible_curves import MOST_TIED, possible_curves

SIDE = 12
PIXELS = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
CALLS = []


def predict(views):
    """A model that jumps: what it says depends on single pixels in a way that no sum explains."""
    CALLS.append(len(views))
    flat = views.double().flatten(1) / 255.0
    drawn = torch.from_numpy(np.random.default_rng(1).standard_normal(flat.shape[1]))
    return torch.sigmoid(4.0 * torch.sin(flat @ drawn))[:, None]


def row_of(saliency):
    found = faithfulness(saliency, PIXELS, predict, 0)
    return {"deletion": found.deletion, "insertion": found.insertion}


def possible_of(saliency, rounding=ON_CPU):
    return possible_curves(row_of(saliency), saliency, PIXELS, predict, 0, rounding)


def segments_of(data, count):
    places = data.draw(st.lists(st.integers(0, count - 1), min_size=SIDE * SIDE, max_size=SIDE * SIDE))
    return np.array(places).reshape(SIDE, SIDE)


# Groups of superpixels that are nearly equal: some pairs, three or four of a kind, and some far apart.
LEVELS = st.sampled_from([0.2, 0.2 + 1e-6, 0.5, 0.5 + 1e-6, 0.5 + 2e-6, 0.5 + 3e-6, 0.8, 1.0, -0.3, -0.3 - 1e-6])


@settings(max_examples=40, deadline=None)
@given(st.data(), st.lists(LEVELS, min_size=2, max_size=8, unique=True))
def test_rounding_stays_within_what_is_possible(data, weights):
    weights, segments = np.array(weights), segments_of(data, len(weights))
    nudges = data.draw(st.lists(st.sampled_from([-1e-6, 0.0, 1e-6]), min_size=len(weights), max_size=len(weights)))
    other = (weights + np.array(nudges))[segments]
    before, now, possible = row_of(other), row_of(weights[segments]), possible_of(weights[segments])
    for name, value in before.items():
        low, high = possible[name][:2] if name in possible else (now[name], now[name])
        assert low - 1e-12 <= value <= high + 1e-12


@settings(max_examples=15, deadline=None)
@given(st.data(), st.permutations([0.1, 0.4, 0.7, 1.0]))
def test_without_ties_nothing_is_excused_and_the_model_is_not_asked(data, weights):
    saliency = np.array(weights)[segments_of(data, 4)]
    row = row_of(saliency)
    CALLS.clear()
    assert possible_curves(row, saliency, PIXELS, predict, 0, ON_CPU) == {} and not CALLS


def test_a_map_without_superpixels_costs_nothing_either():
    saliency = np.random.default_rng(2).random((SIDE, SIDE)) * 1e-4 + 1.0
    row = row_of(saliency)
    CALLS.clear()
    assert possible_curves(row, saliency, PIXELS, predict, 0, ON_CPU) == {} and not CALLS


def test_two_tied_superpixels_are_told_by_both_orders_and_by_reading_order_alone():
    segments = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 7) % 3
    saliency = np.array([0.9, 0.5, 0.5 + 1e-6])[segments]
    turned, equal = np.array([0.9, 0.5 + 1e-6, 0.5])[segments], np.array([0.9, 0.5, 0.5])[segments]
    every = [row_of(each)["deletion"] for each in (saliency, turned, equal)]
    possible = possible_of(saliency)["deletion"]
    assert possible.low <= min(every) and max(every) <= possible.high
    assert max(every) - min(every) > 0.01, "the swap matters"
    far = np.array([0.9, 0.5, 0.51])[segments]
    assert possible_of(far) == {}


def test_more_than_four_in_a_row_are_not_excused():
    levels = 0.5 + 1e-6 * np.arange(MOST_TIED + 1)
    segments = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % len(levels)
    assert possible_of(levels[segments]) == {}
    assert set(possible_of(levels[1:][segments % MOST_TIED])) == {"deletion", "insertion", "insertion_less_deletion"}
