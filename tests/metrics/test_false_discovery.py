import numpy as np
import pytest

from xai_eval.metrics.false_discovery import discovery_rates, pooled_p_values


def test_p_values_count_the_null_at_or_above_and_the_observed_itself():
    null = np.array([[0.1, 0.2, np.nan], [0.2, 0.4, 0.0]])
    observed = np.array([0.5, 0.4, 0.2, 0.05, 0.0, np.nan])
    expected = [1 / 6, 2 / 6, 4 / 6, 5 / 6, 1.0, np.nan]
    np.testing.assert_allclose(pooled_p_values(observed, null), expected)


def test_p_values_are_uniform_under_the_null_hypothesis():
    generator = np.random.default_rng(0)
    p = pooled_p_values(generator.random(20_000), generator.random((4, 5_000)))
    for level in (0.01, 0.1, 0.5, 0.9):
        assert (p <= level).mean() == pytest.approx(level, abs=0.015)


def step_up(p):
    """The procedure as Benjamini and Hochberg define it: the largest k with p_(k) <= k q / n, for all q that matter."""
    n, ordered = len(p), np.sort(p)
    levels = sorted({min(1.0, value * n / (k + 1)) for k, value in enumerate(ordered)})

    def rejected_up_to(q):
        passed = [value for k, value in enumerate(ordered) if value * n / (k + 1) <= q]
        return max(passed, default=-1.0)

    return [next(q for q in levels if value <= rejected_up_to(q)) for value in p]


def test_rates_equal_the_step_up_procedure_of_benjamini_and_hochberg():
    p = np.random.default_rng(1).random(40) ** 3
    np.testing.assert_allclose(discovery_rates(p), step_up(p))


def test_dead_units_do_not_count_as_tests():
    p = np.array([0.01, np.nan, 0.04, np.nan])
    np.testing.assert_allclose(discovery_rates(p), [0.02, np.nan, 0.04, np.nan])
    assert np.isnan(discovery_rates(np.full(3, np.nan))).all()


def test_noise_alone_is_seldom_discovered_and_planted_units_are_found():
    generator = np.random.default_rng(2)
    null = generator.random((20, 500))
    noise = [(discovery_rates(pooled_p_values(generator.random(200), null)) <= 0.05).any() for _ in range(200)]
    assert np.mean(noise) < 0.1
    planted = np.append(generator.random(180), 1.0 + generator.random(20))
    found = discovery_rates(pooled_p_values(planted, null)) <= 0.05
    assert found[180:].all() and found[:180].sum() <= 3
