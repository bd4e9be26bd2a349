"""The test of paired differences against scipy's, its interval against the test, and how often both are wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from xai_eval.gate.release.sign_flip import MOST_EXACT, holm, sign_flip

# Whole numbers, so that ties are exact in both programs; divided, they are such numbers as measures have.
# scipy takes no sample of one.
DIFFERENCES = st.lists(st.integers(-50, 50), min_size=2, max_size=9).map(lambda each: np.array(each) / 64)


def by_scipy(differences, alternative):
    """All flips of all signs: of one sample, scipy's `samples` swaps each value with its negative."""
    return permutation_test(
        (differences, np.zeros_like(differences)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=np.inf,
        vectorized=True,
    ).pvalue


@given(DIFFERENCES, st.integers(-64, 64).map(lambda each: each / 128))
def test_the_exact_test_is_that_of_scipy(differences, centre):
    found = sign_flip(differences)
    assert found.above(centre) == pytest.approx(by_scipy(differences - centre, "greater"), abs=1e-12)
    assert found.below(centre) == pytest.approx(by_scipy(differences - centre, "less"), abs=1e-12)


@given(DIFFERENCES, st.sampled_from([0.01, 0.05, 0.1, 0.25]))
def test_the_interval_ends_where_the_test_begins_to_reject(differences, level):
    found = sign_flip(differences)
    low, high = found.low(level), found.high(level)
    if np.isfinite(low):
        assert found.above(low) > level >= found.above(low - 1e-6)
        assert found.below(high) > level >= found.below(high + 1e-6)
    else:  # even flips of nothing are too frequent among so few
        assert 2.0 ** -len(differences) > level and found.above(-1e6) > level


@given(DIFFERENCES)
def test_the_other_way_round_is_the_same(differences):
    one, other = sign_flip(differences), sign_flip(-differences)
    assert one.above(0.125) == other.below(-0.125)
    assert one.low(0.05) == -other.high(0.05)


@given(DIFFERENCES, st.integers(-64, 64).map(lambda each: each / 64))
def test_the_interval_moves_with_the_differences(differences, shift):
    if 2.0 ** -len(differences) <= 0.05:
        assert sign_flip(differences + shift).low(0.05) == pytest.approx(sign_flip(differences).low(0.05) + shift)


def test_drawn_flips_agree_with_all_flips():
    differences = np.random.default_rng(3).normal(0.02, 0.1, MOST_EXACT)
    one_more = np.append(differences, 0.02)
    drawn = sign_flip(one_more)
    assert drawn.above(0.0) == pytest.approx(by_scipy(one_more, "greater"), abs=0.01)
    assert drawn.means.tolist() == sign_flip(one_more).means.tolist()


@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform"])
@pytest.mark.parametrize(("number", "rounds"), [(6, 600), (11, 600), (20, 100)])
def test_no_more_than_one_claim_in_twenty_is_wrong(draw, number, rounds):
    """If the true loss is the margin: how often it is denied, how often a larger one is claimed, and the interval."""
    random, margin = np.random.default_rng(7), 0.05
    where = (-0.17, 0.17) if draw == "uniform" else (0, 0.1)
    found = [sign_flip(getattr(random, draw)(*where, number) - margin) for _ in range(rounds)]
    denied = np.mean([each.above(-margin) <= 0.05 for each in found])
    claimed = np.mean([each.below(-margin) <= 0.05 for each in found])
    missed = np.mean([not each.low(0.05) <= -margin <= each.high(0.05) for each in found])
    # Three standard errors of a share of 5 % (10 % for the interval, of both sides) in so many rounds.
    assert max(denied, claimed) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / rounds)
    assert missed < 0.1 + 3 * np.sqrt(0.1 * 0.9 / rounds)


def test_enough_images_show_what_few_cannot():
    random = np.random.default_rng(11)

    def power(number):
        return np.mean([sign_flip(random.normal(0, 0.05, number)).above(-0.05) <= 0.05 for _ in range(200)])

    assert power(4) == 0.0 and power(11) > 0.8


def stepped_down(p_values, level):
    """Holm's procedure as he states it: from the smallest on, until the first that is not small enough."""
    rejected = set()
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        if p_values[place] > level / (len(p_values) - step):
            break
        rejected.add(place)
    return rejected


@given(
    st.lists(st.integers(0, 1000).map(lambda each: each / 1000), min_size=1, max_size=9),
    st.sampled_from([0.0101, 0.0501]),
)
def test_holm_rejects_what_stepping_down_rejects(p_values, level):
    adjusted = holm(np.array(p_values))
    assert {place for place, each in enumerate(adjusted) if each <= level} == stepped_down(p_values, level)
