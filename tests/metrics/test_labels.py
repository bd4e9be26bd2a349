import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from xai_eval.metrics.labels import agreement, distribution_difference

GENERATOR = np.random.default_rng(0)


def drawn(names, count, p=None):
    return GENERATOR.choice(names, count, p=p).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_kappa_equals_that_of_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    first, second = generator.choice(list("abcde"), (2, 80)).tolist()
    second[:30] = first[:30]
    found = agreement(first, second)
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
    assert found.share == np.mean([a == b for a, b in zip(first, second, strict=True)])


def test_agreement_by_hand():
    found = agreement(["car", "car", "sky", None, "sea"], ["car", "sky", "sky", "car", None])
    assert (found.units, found.share) == (3, pytest.approx(2 / 3))
    assert found.chance == pytest.approx((2 * 1 + 1 * 2) / 9)
    assert found.kappa == pytest.approx((2 / 3 - 4 / 9) / (1 - 4 / 9))


def test_chance_is_the_mean_agreement_of_shuffled_labels():
    first, second = drawn(["a", "b", "c"], 60, [0.6, 0.3, 0.1]), drawn(["b", "c", "d"], 60)
    shares = [agreement(first, GENERATOR.permutation(second).tolist()).share for _ in range(2000)]
    spread = np.std(shares) / np.sqrt(len(shares))
    assert agreement(first, second).chance == pytest.approx(np.mean(shares), abs=4 * spread)


def test_agreement_is_nan_if_no_unit_has_two_labels():
    assert agreement([None, "a"], ["a", None]).units == 0
    assert np.isnan(agreement([None], ["a"]).share)
    same = agreement(["a", "a"], ["a", "a"])
    assert same.share == same.chance == 1.0 and np.isnan(same.kappa)
    with pytest.raises(ValueError, match="1 labels cannot be compared with 2"):
        agreement(["a"], ["a", "b"])


def test_distance_is_the_total_variation():
    found = distribution_difference(["a", "a", "b", None], ["a", "c", "c", "c", "c"])
    assert found.distance == pytest.approx((abs(2 / 3 - 1 / 5) + 1 / 3 + 4 / 5) / 2)


def test_p_equals_the_exact_value_for_few_units():
    """The sets are three units of one label and three of another: two of the twenty divisions are as far apart."""
    found = distribution_difference(["a"] * 3, ["b"] * 3)
    assert (found.distance, found.p) == (1.0, pytest.approx(0.1, abs=0.015))


def test_different_distributions_are_told_from_equal_ones():
    names = list("abcdef")
    skewed = [0.5, 0.3, 0.1, 0.05, 0.03, 0.02]
    assert distribution_difference(drawn(names, 200), drawn(names, 150, skewed)).p == 1e-4
    equal = [distribution_difference(drawn(names, 60), drawn(names, 90), seed).p for seed in range(100)]
    assert np.mean(np.array(equal) < 0.2) == pytest.approx(0.2, abs=0.12)


def test_expected_distance_grows_as_sets_shrink():
    names = list("abcdef")
    small, large = (distribution_difference(drawn(names, n), drawn(names, n)) for n in (10, 500))
    assert small.expected > 3 * large.expected


def test_the_same_seed_gives_the_same_answer_and_a_set_without_labels_none():
    first, second = drawn(list("abc"), 30), drawn(list("bcd"), 20)
    assert distribution_difference(first, second, 1) == distribution_difference(first, second, 1)
    assert np.isnan(distribution_difference([None], ["a"]).p)
    assert distribution_difference(["a"] * 4, ["a"] * 7).p == 1.0
