import numpy as np
import pytest
from scipy.stats import spearmanr

from xai_eval.metrics.bootstrap import mean_interval
from xai_eval.metrics.paired import paired_test
from xai_eval.metrics.search import OBJECTIVES, Objective, mean_ranks, trust, winners
from xai_eval.metrics.stability import stability

MORE, LESS = Objective("more", 1), Objective("less", -1)


def test_all_tied_settings_win():
    values = np.array([0.5, 0.7, 0.7 - 1e-9, 0.1])
    assert winners(values, MORE).tolist() == [1, 2]
    assert winners(values, LESS).tolist() == [3]


def test_a_setting_with_nan_never_wins():
    assert winners(np.array([np.nan, 0.2]), MORE).tolist() == [1]
    assert winners(np.array([np.nan, np.nan]), MORE).tolist() == []


def test_tied_settings_share_a_mean_rank_and_nan_ranks_last():
    values = np.array([[0.9, 0.5, 0.5], [0.2, np.nan, 0.1]])
    assert mean_ranks(values, MORE).tolist() == [1.0, 2.75, 2.25]
    assert mean_ranks(values[:1], LESS).tolist() == [3.0, 1.5, 1.5]


def test_trust_is_the_rank_correlation_with_the_truth():
    generator = np.random.default_rng(0)
    values, truth = generator.random((2, 12))
    assert trust(values, truth, MORE) == pytest.approx(spearmanr(values, truth).statistic)
    assert trust(values, truth, LESS) == pytest.approx(-spearmanr(values, truth).statistic)
    assert trust(truth, truth, MORE) == 1.0


def test_trust_is_nan_if_the_settings_cannot_be_ranked():
    assert np.isnan(trust(np.ones(4), np.arange(4.0), MORE))
    assert np.isnan(trust(np.arange(4.0), np.full(4, np.nan), MORE))


def test_objectives_say_which_end_is_better():
    assert {o.name: o.better for o in OBJECTIVES} == {
        "centre_distance": "lower",
        "r2": "higher",
        "deletion": "lower",
        "insertion": "higher",
        "iou_gradcam": "higher",
        "iou_mask": "higher",
    }


def test_interval_of_a_mean():
    values = np.random.default_rng(3).normal(2.0, 1.0, 200)
    found = mean_interval([*values.tolist(), float("nan")])
    half = 1.96 * values.std(ddof=1) / np.sqrt(200)
    assert found.mean == pytest.approx(values.mean()) and found.count == 200
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert mean_interval(values.tolist()) == found


def test_a_mean_of_one_value_has_no_interval_and_of_no_value_is_nan():
    one, none = mean_interval([3.0]), mean_interval([])
    assert (one.mean, one.count) == (3.0, 1) and np.isnan(one.low)
    assert np.isnan(none.mean) and none.count == 0


def test_a_method_with_a_clear_lead_beats_another_and_noise_does_not():
    generator = np.random.default_rng(0)
    base = generator.random(30)
    lead = paired_test((base + 0.1 + 0.01 * generator.random(30)).tolist(), base.tolist())
    assert lead.beats and (lead.wins, lead.losses) == (30, 0)
    assert not paired_test(base.tolist(), (base + 0.1).tolist()).beats
    assert not paired_test((base + generator.normal(0, 0.1, 30)).tolist(), base.tolist()).beats


def test_a_paired_test_without_images_is_nan():
    same = paired_test([0.1, 0.2], [0.1, 0.2])
    assert same.p == 1.0 and not same.beats
    assert np.isnan(paired_test([], []).p)
    assert paired_test([0.3, float("nan")], [0.1, 0.5]).wins == 1


def test_stability_of_three_seeds_by_hand():
    segments = np.repeat(np.arange(8), 2).reshape(4, 4)
    weights = np.array([[8, 7, 6, 5, 4, 0, 0, 0], [8, 7, 6, 5, 4, 0, 0, 0], [8, 7, 6, 5, 0, 4, 0, 0]], dtype=float)
    found = stability(weights, segments)
    assert found.overlaps == pytest.approx((1.0, 4 / 6, 4 / 6))
    assert found.overlap == pytest.approx((1 + 8 / 6) / 3) and found.least_overlap == pytest.approx(4 / 6)
    np.testing.assert_allclose(found.mean, weights.mean(axis=0))
    np.testing.assert_allclose(found.spread, weights.std(axis=0, ddof=1))


def test_stability_of_one_seed_is_nan():
    found = stability(np.ones((1, 3)), np.arange(3)[None])
    assert np.isnan(found.overlap) and np.isnan(found.spread).all()
