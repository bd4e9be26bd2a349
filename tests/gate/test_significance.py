import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from xai_eval.gate.systemic import discovery_rates, sign_test


@pytest.mark.parametrize("number", [1, 2, 7, 300])
def test_rates_are_scipy_s(number):
    p = np.random.default_rng(number).random(number) ** 4
    p[: number // 3] = p[0]  # ties
    np.testing.assert_allclose(discovery_rates(p), false_discovery_control(p, method="bh"), rtol=1e-12)


def test_no_tests_have_no_rates():
    assert discovery_rates(np.array([])).shape == (0,)


@pytest.mark.parametrize("one, other", [(0, 0), (1, 0), (8, 0), (11, 1), (6, 6), (3, 9), (700, 300)])
def test_the_sign_test_is_scipy_s(one, other):
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert sign_test(one, other) == pytest.approx(expected, rel=1e-9) == sign_test(other, one)
