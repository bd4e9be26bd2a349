import pandas as pd
import pytest

from xai_eval import evaluate, load_model
from xai_eval.errors import UsageError
from xai_eval.explainers.hybrid_maps import HYBRIDS
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.tasks.studies.hybrid_results import COMBINED, _conclusion, _tests

FEW = {"num_samples": 40, "images": "scenes:2", "device": "cpu"}


@pytest.fixture(scope="module")
def model():
    return load_model("scenes:objects", device="cpu")


@pytest.fixture(scope="module")
def combined(model):
    return evaluate("hybrid", model=model, **FEW)


def test_grad_cam_lime_and_hybrids_are_measured_on_every_image(combined):
    for result in combined[:-1]:
        table = result["table"].frame.set_index("method")
        assert list(table.index) == [*COMBINED, *HYBRIDS]
        assert table[["deletion", "insertion", "iou_equal_area"]].map(lambda value: 0 <= value <= 1).all(axis=None)
        assert judge(result, result.condensed()).state is State.OK


def test_means_are_those_of_the_images(combined):
    tables = [result["table"].frame.set_index("method") for result in combined[:-1]]
    means = combined[-1]["means"].frame.set_index("method")
    for name in (*COMBINED, *HYBRIDS):
        expected = sum(table.loc[name, "deletion"] for table in tables) / len(tables)
        assert means.loc[name, "deletion"] == pytest.approx(expected)


def test_two_images_are_too_few_for_a_significant_difference(combined):
    assert combined[-1]["conclusion"].text.startswith("no hybrid beats both")
    assert not combined[-1]["tests"].frame["beats"].any()


def rows(lead):
    """Twenty images on which the hybrid leads LIME by `lead` in everything, and Grad-CAM by half of it."""
    measures = {"iou_equal_area": 1, "deletion": -1, "insertion": 1, "insertion_less_deletion": 1}
    return pd.DataFrame(
        [
            {"method": name, **{m: 0.5 + sign * (gain + 0.001 * i) for m, sign in measures.items()}}
            for i in range(20)
            for name, gain in (("gradcam", lead / 2), ("lime", 0.0), ("mixed", lead))
        ]
    )


@pytest.mark.parametrize(("lead", "sentence"), [(0.1, "mixed beats both"), (-0.1, "no hybrid beats both")])
def test_only_a_hybrid_with_a_clear_lead_is_in_the_conclusion(lead, sentence):
    measures = ["iou_equal_area", "deletion", "insertion", "insertion_less_deletion"]
    assert _conclusion(_tests(rows(lead), rows(lead), measures)).startswith(sentence)


def test_a_measure_that_is_not_decisive_does_not_change_the_conclusion():
    """The hybrid is better by both decisive measures and worse by deletion only."""
    table = rows(0.1)
    table["deletion"] = 1.0 - table["deletion"]
    measures = ["iou_equal_area", "deletion", "insertion_less_deletion"]
    assert _conclusion(_tests(table, table, measures)).startswith("mixed beats both")


@pytest.mark.parametrize("wrong", [{"segmentation": "slick"}, {"num_samples": 1}, {"layer": "none"}])
def test_bad_parameters_are_refused(model, wrong):
    with pytest.raises(UsageError):
        evaluate("hybrid", model=model, **{**FEW, **wrong})
