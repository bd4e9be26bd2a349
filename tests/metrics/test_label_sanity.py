"""Which measures notice missing and extra labels, compared with the published answer and with closed forms."""

import numpy as np
import pytest
from label_sanity import MEASURES, Unit, planted_unit, sanity_check, sanity_checks


def test_the_published_measures_pass_both_tests_and_the_others_fail_one():
    """Oikarinen, Yan and Weng 2025: correlation, AUPRC, F1 and IoU notice both; AUC, MAD and WPMI do not."""
    found = {check.measure: check for check in sanity_checks()}
    assert {name: check.passes for name, check in found.items()} == {
        "correlation": True,
        "auprc": True,
        "f1": True,
        "iou": True,
        "auc": False,
        "mad": False,
        "wpmi": False,
    }
    assert found["mad"].missing < 0.9 < found["mad"].extra
    assert found["auc"].extra < 0.9 < found["auc"].missing
    assert found["wpmi"].extra < 0.9 < found["wpmi"].missing


@pytest.fixture
def exact():
    """A unit that is active exactly where its concept is, on 200 of 1,000 images."""
    presence = np.arange(1000) < 200
    return Unit(presence.astype(float), presence, presence)


HALF, TWICE = np.arange(1000) < 100, np.arange(1000) < 400
CLOSED_FORMS = {
    "correlation": (1.0, np.sqrt(0.1 * 0.8 / (0.2 * 0.9)), np.sqrt(0.2 * 0.6 / (0.4 * 0.8))),
    "f1": (1.0, 2 / 3, 2 / 3),
    "iou": (1.0, 0.5, 0.5),
    "auprc": (1.0, 0.5 + 0.5 * 0.2, 0.5),
    "auc": (1.0, 0.75, 1 - 0.5 * 0.25),
    "mad": (1.0, 1 - 100 / 900, 0.5),
    "wpmi": (-np.log(0.2), 0.5 * np.log(1e-8) - np.log(0.1), -np.log(0.4)),
}


@pytest.mark.parametrize("name", MEASURES)
def test_measures_of_an_exact_unit_in_closed_form(name, exact):
    measure, _ = MEASURES[name]
    found = [measure(exact, presence) for presence in (exact.presence, HALF, TWICE)]
    assert found == pytest.approx(CLOSED_FORMS[name])


def test_planted_units_are_right_in_three_quarters():
    unit = planted_unit(0.1, np.random.default_rng(0))
    assert unit.presence.sum() == unit.active.sum() == 1000
    assert (unit.presence & unit.active).sum() == 750
    assert unit.activation[unit.active].min() >= 0.5 > unit.activation[~unit.active].max()


@pytest.mark.parametrize("share", [0.001, 0.6])
def test_labels_that_cannot_be_halved_or_doubled_are_refused(share):
    presence = np.arange(1000) < 1000 * share
    with pytest.raises(ValueError, match="labels can be taken and added"):
        sanity_check("f1", [Unit(presence.astype(float), presence, presence)])
