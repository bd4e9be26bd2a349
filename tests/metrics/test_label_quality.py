import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, precision_recall_curve

from xai_eval.metrics.label_quality import auprc, best_threshold, f1, jaccard, judge_label

GENERATOR = np.random.default_rng(0)


def noisy_unit(share=0.3, noise=0.5, images=400):
    presence = GENERATOR.random(images) < share
    return (presence + noise * GENERATOR.standard_normal(images)).astype(np.float32), presence


def test_a_unit_that_is_its_concept_is_perfect():
    _, presence = noisy_unit()
    found = judge_label(presence.astype(np.float32), presence)
    assert (found.correlation, found.auprc, found.f1, found.iou, found.threshold) == pytest.approx((1, 1, 1, 1, 1))


@pytest.mark.parametrize("threshold", [-0.5, 0.2, 0.9])
def test_measures_equal_those_of_scikit_learn(threshold):
    activation, presence = noisy_unit()
    active = activation >= threshold
    found = judge_label(activation, presence, threshold)
    assert found.correlation == pytest.approx(np.corrcoef(activation, presence)[0, 1])
    assert found.f1 == pytest.approx(f1_score(presence, active))
    assert found.iou == pytest.approx(jaccard_score(presence, active))
    assert found.auprc == pytest.approx(average_precision_score(active, presence))
    assert found.threshold == threshold


@pytest.mark.parametrize("ties", [False, True])
def test_the_best_threshold_is_found_by_trying_all(ties):
    for _ in range(20):
        activation, presence = noisy_unit(images=60)
        activation = np.round(activation, 1) if ties else activation
        precision, recall, _ = precision_recall_curve(presence, activation)
        best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
        chosen = best_threshold(activation, presence)
        assert f1(activation >= chosen, presence) == pytest.approx(best)
        assert chosen == max(a for a in activation if f1(activation >= a, presence) == pytest.approx(best))
        assert jaccard(activation >= chosen, presence) == max(jaccard(activation >= a, presence) for a in activation)


def test_auprc_of_chance_is_the_share_of_active_images():
    active, presence = GENERATOR.random((2, 50_000)) < 0.2
    assert auprc(active, presence) == pytest.approx(0.2, abs=0.01)
    assert np.isnan(auprc(np.zeros(5, dtype=bool), presence[:5]))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_auprc_is_that_of_scikit_learn_in_every_bit(images):
    active, presence = np.array(images).T
    assume(active.any())
    assert auprc(active, presence) == average_precision_score(active, presence)


@pytest.mark.parametrize("presence", [np.ones(9, dtype=bool), np.zeros(9, dtype=bool)])
def test_concepts_that_are_everywhere_or_nowhere_are_not_judged(presence):
    found = judge_label(np.arange(9.0), presence)
    assert np.isnan([found.correlation, found.auprc, found.f1, found.iou]).all()
    assert np.isnan(judge_label(np.ones(9), np.arange(9) < 4).f1)
