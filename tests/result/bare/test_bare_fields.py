"""Which kind of field a value becomes, and the one sentence about every value that becomes none."""

import numpy as np
import pandas as pd
import pytest
import torch

from xai_eval.errors import UsageError
from xai_eval.result.bare.bare_fields import fields_of
from xai_eval.result.fields import Mask, Score, SignedMap, SignedMapTolerance, Table

MAP = np.linspace(-1e-3, 2e-3, 30).reshape(5, 6)
FRAME = pd.DataFrame({"feature": ["ear", "eye"], "value": [0.5, -2.0], "rank": [2, 1]})


def field(value, tolerance=None):
    (found,) = fields_of(value, "saliency", "check", tolerance).values()
    return found


def half(array, dtype):
    return torch.tensor(array).to(dtype).requires_grad_()


MAPS = {
    "numpy": (MAP, 0),
    "single": (MAP.astype(np.float32), 1e-10),
    "other byte order": (MAP.astype(">f8"), 0),
    "half": (MAP.astype(np.float16), 1e-6),
    "long": (MAP.astype(np.longdouble), 0),
    "a view": (np.flipud(MAP[::-1]), 0),
    "one image": (MAP[None], 0),
    "one image of one channel": (MAP[None, None], 0),
    "one channel behind": (MAP[None, ..., None], 0),
    "tensor": (torch.tensor(MAP), 0),
    "tensor of a graph": (torch.tensor(MAP).requires_grad_() * 1.0, 0),
    "half tensor": (half(MAP, torch.float16), 1e-6),
    "bfloat16 tensor": (half(MAP, torch.bfloat16), 1e-5),
    "sparse tensor": (torch.tensor(MAP).to_sparse(), 0),
    "negated view": (torch.tensor(MAP * 1j).conj().imag.neg(), 0),
    "transposed tensor": (torch.tensor(MAP.T).t()[None, None], 0),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_map_of_every_library_and_type_is_the_same_map(name):
    value, apart = MAPS[name]
    found = field(value)
    assert isinstance(found, SignedMap) and found.array.shape == (5, 6)
    assert found.array.dtype in (np.dtype(np.float32), np.dtype(np.float64)) and found.array.flags.c_contiguous
    assert np.abs(found.array - MAP).max() <= apart


def test_the_numbers_are_copied():
    value = MAP.copy()
    found = field(value)
    value[:] = 0
    assert found.array.any()


@pytest.mark.parametrize("value", [MAP > 0, torch.tensor(MAP > 0)[None]], ids=["numpy", "tensor"])
def test_bools_are_a_mask(value):
    found = field(value, 0.2)
    assert isinstance(found, Mask) and np.array_equal(found.array, MAP > 0)
    assert found.least_iou == pytest.approx(0.8)


@pytest.mark.parametrize(
    "value",
    [2.5, np.float32(2.5), np.array(2.5), np.array([[2.5]]), torch.tensor(2.5), torch.tensor([[2.5]])],
    ids=repr,
)
def test_one_number_is_a_score_that_may_change_by_one_percent(value):
    assert field(value) == Score(2.5, 0.025)
    assert field(value, 0.5) == Score(2.5, 0.5)


@pytest.mark.parametrize("value", [3, np.int64(3), torch.tensor(3)], ids=repr)
def test_one_integer_is_a_score(value):
    assert field(value) == Score(3.0, 0.03)


def test_a_frame_is_a_table_whose_floats_may_change_by_one_percent_of_their_column():
    found = field(FRAME)
    assert isinstance(found, Table) and dict(found.tolerance) == {"value": 0.02}
    pd.testing.assert_frame_equal(found.frame, FRAME, check_dtype=False)
    assert dict(field(FRAME, 0.5).tolerance) == dict(field(FRAME, {"value": 0.5}).tolerance) == {"value": 0.5}


@pytest.mark.parametrize(
    "frame, keys",
    [
        (FRAME, ["ear", "eye"]),
        (FRAME.set_index("feature"), ["ear", "eye"]),
        (FRAME.drop(columns="feature"), ["0", "1"]),
        (FRAME.assign(feature="ear"), ["0", "1"]),
        (FRAME.set_index(["feature", "rank"]), ["('ear', 2)", "('eye', 1)"]),
        (FRAME.rename(columns={"value": "row"}).drop(columns="feature"), ["0", "1"]),
    ],
    ids=["first column", "index", "numbers", "no key", "two indices", "a column called row"],
)
def test_rows_are_named_by_index_first_column_or_number(frame, keys):
    assert list(field(frame).frame.iloc[:, 0]) == keys


def test_missing_cells_are_allowed():
    assert not field(FRAME.assign(value=[np.nan, 1.0])).compare(field(FRAME.assign(value=[np.nan, 1.0])), "t")
    assert field(FRAME.assign(value=[np.nan, np.nan])).tolerance == {"value": 0.0}


def test_a_dict_has_a_field_per_entry_each_with_its_own_tolerance():
    value = {"map": MAP, "share": 0.5, "table": FRAME}
    found = fields_of(value, "all", "check", {"map": 0.1, "table": {"value": 1.0}})
    assert list(found) == ["map", "share", "table"]
    assert found["map"].tolerance == SignedMapTolerance(largest=0.1, scale=0.1)
    assert found["share"] == Score(0.5, 0.005) and dict(found["table"].tolerance) == {"value": 1.0}


def test_a_map_takes_a_whole_tolerance():
    tolerance = SignedMapTolerance(largest=0.1, moved=0.05)
    assert field(MAP, tolerance).tolerance is tolerance


WRONG = {
    "colours in front": (np.ones((3, 5, 5)), "expected one map of shape (h, w).*value.sum(0).*value[0].*a batch"),
    "colours of one image": (
        torch.ones(1, 3, 5, 5),
        "Tensor of shape (1, 3, 5, 5) and type torch.float32.*value[0].sum(0)",
    ),
    "colours behind": (np.ones((1, 5, 5, 3)), "value[0].sum(-1).*value[0][..., 0]"),
    "outputs and colours": (np.ones((1, 5, 5, 3, 1)), "value[0][..., 0].sum(-1)"),
    "a batch": (np.ones((8, 3, 5, 5)), "value[0].sum(0)"),
    "a vector": (np.ones(7), "ndarray of shape (7,).*give names to its entries"),
    "NaN": (np.array([[0, np.nan, np.inf]]), "with 1 NaN and 1 infinite of 3 values; expected finite numbers"),
    "infinite number": (float("inf"), "1 infinite of 1 values"),
    "too large for single precision": (torch.tensor([[1e300, 0]]).to(torch.float32), "1 infinite"),
    "empty": (np.ones((0, 5)), "shape (0, 5).*It is empty"),
    "objects": (np.array([[1, "a"]], dtype=object), "type object.*Only real numbers"),
    "complex": (torch.ones(2, 2) * 1j, "complex.*Only real numbers"),
    "dates": (np.zeros((2, 2), "M8[s]"), "Only real numbers"),
    "superpixels": (np.arange(4).reshape(2, 2), "Integers may be classes or superpixels.*.astype(float)"),
    "integers of torch": (torch.arange(4).reshape(2, 2), "Convert a map with .float()"),
    "an image": (np.zeros((5, 5, 3), np.uint8), "type uint8.*Integers"),
    "masked": (np.ma.masked_less(MAP, 0), "masked places have no value"),
    "without data": (torch.ones(2, 2, device="meta"), "whose numbers cannot be read (NotImplementedError: "),
    "a list": ([MAP, MAP], "list; expected.*one of its 2 entries"),
    "a tuple": ((MAP,), "tuple; expected.*one of its 1 entries"),
    "nothing": (None, "None; expected a map"),
    "a text": ("cat", "a Label"),
    "a bool": (True, "use assert"),
    "one bool": (np.array(True), "use assert"),
    "a module": (torch.nn.Identity(), "Identity; expected a map"),
    "an empty dict": ({}, "dict; expected.*It is empty"),
    "a dict in a dict": ({"a": {"b": MAP}}, "check, entry 'a', got dict.*into the outer one"),
    "a key that is no text": ({1: MAP}, "got the name 1; expected a text"),
    "an entry": ({"a": MAP, "b": np.ones((3, 5, 5))}, "check, entry 'b', got ndarray of shape (3, 5, 5)"),
    "an empty frame": (FRAME.iloc[:0], "DataFrame of shape (0, 3).*It is empty"),
    "two columns of one name": (pd.concat([FRAME, FRAME], axis=1), "two columns of one name"),
    "two rows of one name": (FRAME.set_index(pd.Index(["a", "a"])), "Two of its rows"),
    "an infinite cell": (FRAME.assign(value=[np.inf, 0]), "column 'value', has infinite values"),
    "a cell of another type": (FRAME.assign(value=[[1], [2]]), "column 'value', holds a list"),
    "a series": (FRAME["value"], "Series of shape (2,).*names to its entries"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused_in_one_sentence_that_says_what_to_do(name):
    value, told = WRONG[name]
    with pytest.raises(UsageError) as refused:
        fields_of(value, "saliency", "check")
    sentence = str(refused.value)
    place = 0
    for part in told.split(".*"):
        assert part in sentence[place:], sentence
        place = sentence.index(part, place)
    assert sentence.startswith("check") and "\n" not in sentence and sentence.endswith((".", "..."))


@pytest.mark.parametrize(
    "value, most", [(MAP, "0.25"), (MAP > 0, "0.5"), (1.0, None), (FRAME, None)], ids=["map", "mask", "number", "frame"]
)
@pytest.mark.parametrize("tolerance", [-0.1, float("nan"), "much", True, 0.6, float("inf")])
def test_a_tolerance_that_cannot_be_one_is_refused(value, most, tolerance):
    if most is None and tolerance == 0.6:
        assert field(value, tolerance)
        return
    with pytest.raises(UsageError, match=rf"check got the tolerance {tolerance!r}; expected a number from 0"):
        field(value, tolerance)


@pytest.mark.parametrize(
    "value, tolerance, told",
    [
        ({"map": MAP}, {"mop": 0.1}, "unknown entry in the tolerance of check: 'mop'. Did you mean map"),
        (FRAME, {"valu": 0.1}, "unknown column of floats in the tolerance of check: 'valu'. Did you mean value"),
        (MAP, SignedMapTolerance(largest=0.5), "expected a number from 0 to 0.25"),
        (1.0, SignedMapTolerance(), "got the tolerance SignedMapTolerance"),
    ],
    ids=["entry", "column", "above its cap", "of another kind"],
)
def test_a_tolerance_of_something_else_is_refused(value, tolerance, told):
    with pytest.raises(UsageError) as refused:
        fields_of(value, "saliency", "check", tolerance)
    assert told in str(refused.value)


def test_values_of_shap_are_refused_with_the_way_to_one_map():
    """SHAP takes seconds to import; tests/test_how_to_bare_results.py tries its own class."""
    explanation = type("Explanation", (), {"__module__": "shap._explanation", "shape": (1, 5, 5, 3, 1)})()
    with pytest.raises(UsageError, match=r"got Explanation.*explanation.values\[0, ..., 0\].sum\(-1\)"):
        field(explanation)
