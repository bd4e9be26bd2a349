"""How an output is read: any form, any kind, against closed forms in double precision."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_grad_cam.utils.model_targets import BinaryClassifierOutputTarget
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.models.found_reading import check_proportions, found_reading, sum_to_one
from xai_eval.inputs.models.reading import OutputKind, Reading, Scoring, output_kind
from xai_eval.inputs.models.squashing import at_extremes

LOGITS, PROBABILITIES, BINARY, MULTILABEL, REGRESSION, SEGMENTATION, EMBEDDING, DETECTION = OutputKind


class ModelOutput(OrderedDict):
    """As that of Hugging Face: a mapping whose entries are attributes as well."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


@dataclass
class Answer:
    """An output that is no mapping: its numbers are an attribute."""

    logits: Tensor
    loss: None = None


Named = namedtuple("Named", "first second")
NUMBERS = torch.tensor([[1.5, -2.0, 0.25]])
FORMS: list[tuple[str, Callable[[Tensor], Any], tuple[str | int, ...]]] = [
    ("tensor", lambda x: x, ()),
    ("map of one pixel", lambda x: x[:, :, None, None], ()),
    ("volume of one voxel", lambda x: x[:, :, None, None, None], ()),
    ("dict, logits", lambda x: {"features": -x, "logits": x}, ("logits",)),
    ("dict, out and aux", lambda x: {"out": x, "aux": -x}, ("out",)),
    ("dict, scores", lambda x: {"hidden": -x, "scores": x}, ("scores",)),
    ("dict, the only tensor", lambda x: {"whatever": x, "loss": None}, ("whatever",)),
    ("dict, a number as key", lambda x: {7: x}, (7,)),
    ("model output", lambda x: ModelOutput(loss=None, logits=x, hidden=(x,)), ("logits",)),
    ("dataclass", Answer, ("logits",)),
    ("named tuple", lambda x: Named(x, -x), (0,)),
    ("tuple", lambda x: (x, None), (0,)),
    ("list", lambda x: [x, -x], (0,)),
    ("nested", lambda x: ({"logits": x, "aux": -x}, None), (0, "logits")),
    ("tuple in a tuple", lambda x: ((x, -x), -x), (0, 0)),
    ("model output in a list", lambda x: [ModelOutput(logits=x)], (0, "logits")),
]


@pytest.mark.parametrize(("form", "entry"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_the_numbers_are_found_in_any_form(
    form: Callable[[Tensor], Any], entry: tuple[str | int, ...], dtype: torch.dtype
) -> None:
    numbers = NUMBERS.to(dtype)
    reading = found_reading(form(numbers), form(numbers * 2), None, None, "mine")
    assert (reading.entry, reading.kind, reading.outputs, reading.classes) == (entry, LOGITS, 3, 3)
    scores = reading.scores(form(torch.cat([numbers, -numbers])))
    assert scores.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    assert torch.equal(scores, torch.cat([numbers, -numbers]).to(scores.dtype))


def refused(output: Any, message: str, kind: OutputKind | None = None, error: type[Exception] = ModelMisbehaves) -> Any:
    return pytest.param(output, message, kind, error, id=message[:40])


ONE = torch.tensor([[0.5]])


@pytest.mark.parametrize(
    ("output", "message", "kind", "error"),
    [
        refused(None, "mine returned a NoneType; expected a tensor"),
        refused("cat", "mine returned a str; expected a tensor"),
        refused((), "mine returned a tuple; expected a tensor"),
        refused(([],), "mine returned a list; expected a tensor"),
        refused(
            (None, NUMBERS), r"mine returned a tuple of 2 \(a NoneType, a tensor of shape \(1, 3\)\); expected a tensor"
        ),
        refused(
            (NUMBERS.sum(), NUMBERS),
            r"a tuple of 2 \(a tensor of shape \(\), a tensor of shape \(1, 3\)\) for one image",
        ),
        refused(NUMBERS.to_sparse(), "mine returned a sparse tensor; expected a dense one"),
        refused(NUMBERS.to(torch.float8_e4m3fn), "mine returned a tensor of torch.float8_e4m3fn"),
        refused(NUMBERS[:0], "A model that takes pairs of images has no answer for one"),
        refused({}, "returned a dict with no entries; expected one called logits"),
        refused({"a": NUMBERS, "b": NUMBERS}, "with the entries a, b; expected one called logits"),
        refused({"logits": [NUMBERS]}, "with the entries logits; expected one called logits"),
        refused([{"boxes": ONE, "labels": ONE}], "returned a dict with the entries boxes, labels; expected one called"),
        refused([{"boxes": ONE, "labels": ONE, "scores": ONE}], "says how many classes there are", None, UsageError),
        refused([{"boxes": ONE, "labels": ONE, "scores": ONE}], "are not read as logits", LOGITS, UsageError),
        refused(NUMBERS, "--output detection is for a list with a mapping per image", DETECTION, UsageError),
        refused(torch.zeros(1, 9, 7), r"\(1, 9, 7\) for one image; expected one row.*: unsqueeze\(1\).*one score per"),
        refused(torch.zeros(2, 3), r"shape \(2, 3\) for one image; expected one row of numbers"),
        refused(torch.zeros(3), r"shape \(3,\) for one image.*squeeze\(\), this drops the axis of the images"),
        refused(torch.zeros(1, 0), r"shape \(1, 0\) for one image"),
        refused(torch.zeros(0, 3), r"shape \(0, 3\) for one image"),
        refused(torch.tensor(0.5), "single number.*--output binary, or --output regression", None, UsageError),
        refused((torch.tensor(0.5), NUMBERS), r"a tensor of shape \(\), .* for one image; expected one row"),
        refused(torch.zeros(1, 0, 4, 4), r"shape \(1, 0, 4, 4\) for one image"),
        refused(torch.zeros(0, 3, 4, 4), r"shape \(0, 3, 4, 4\) for one image"),
        refused(torch.tensor([[2]]), "tensor of torch.int64; expected floating-point numbers"),
        refused(torch.tensor([2]), "tensor of torch.int64.*not the class"),
        refused(torch.zeros(1, 3, dtype=torch.bool), "tensor of torch.bool; expected floating-point"),
        refused(torch.zeros(1, 3, dtype=torch.complex64), "tensor of torch.complex64; expected floating-point"),
        refused(ONE, "single number.*--output binary, or --output regression", None, UsageError),
        refused(NUMBERS, "returns 3 numbers; --output binary is for a single one", BINARY, UsageError),
        refused(ONE, "--output logits would always make the probability 1", LOGITS, UsageError),
        refused(ONE, "--output probabilities would always make", PROBABILITIES, UsageError),
        refused(ONE, "single number, whose cosine similarity is always 1 or -1", EMBEDDING, UsageError),
        refused(torch.zeros(1, 9, 7), r"\(1, 9, 7\) for one image; expected one row of features", EMBEDDING),
        refused(torch.zeros(1, 8, 4, 4), "such as the mean over the places", EMBEDDING),
        refused({"a": NUMBERS, "b": NUMBERS}, "expected one called image_embeds", EMBEDDING),
    ],
)
def test_what_cannot_be_read_is_refused(
    output: Any, message: str, kind: OutputKind | None, error: type[Exception]
) -> None:
    with pytest.raises(error, match=message):
        found_reading(output, output, kind, None, "mine")


DRAWN = torch.randn(2, 12, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (torch.relu, "none of its numbers for two images of noise is negative"),
        (lambda drawn: nn.functional.normalize(drawn, dim=1), "have length 1"),
        (lambda drawn: drawn[:, :, None, None].expand(-1, -1, 3, 3).exp(), "none of its numbers"),
    ],
)
def test_what_may_be_features_is_taken_for_classes_with_a_word(make: Callable[[Tensor], Tensor], why: str) -> None:
    first, second = make(DRAWN).split(1)
    reading = found_reading(first, second, None, None, "mine")
    assert reading.why.startswith("assumed, ") and why in reading.why and "--output embedding" in reading.why
    for said in ({"kind": reading.kind, "names": None}, {"kind": None, "names": 12}):
        assert "assumed, " not in found_reading(first, second, model="mine", **said).why


def test_logits_of_both_signs_and_few_positive_ones_are_logits_without_a_word() -> None:
    for drawn in (DRAWN, DRAWN.abs()[:, :4]):
        assert found_reading(*drawn.split(1), None, None, "mine").why == "assumed (--output says otherwise)"


@pytest.mark.parametrize("whole", [100.0, 255.0])
def test_shares_of_another_whole_than_1_are_refused_unless_they_are_said_to_be_logits(whole: float) -> None:
    first, second = (DRAWN.softmax(1) * whole).split(1)
    with pytest.raises(UsageError, match=rf"never negative and sum to {whole:g} for every image"):
        found_reading(first, second, None, None, "mine")
    assert found_reading(first, second, LOGITS, None, "mine").kind is LOGITS


def test_maps_of_several_scales_are_taken_with_a_word_only_if_they_differ_in_number() -> None:
    maps = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    halves = maps[:, :, ::2, ::2]
    same = found_reading([maps, halves], [maps, halves], None, None, "mine")
    assert same.kind is SEGMENTATION and same.why.startswith("found")
    scales = [maps[:, :2], halves]
    assert "it has 2 maps, another entry has 6" in found_reading(scales, scales, None, None, "mine").why


def test_a_single_number_beside_the_answer_is_no_other_answer() -> None:
    output = (NUMBERS, torch.tensor(3.0))
    assert found_reading(output, output, None, None, "mine").why == "assumed (--output says otherwise)"


def test_a_single_number_that_was_squeezed_is_read() -> None:
    reading = found_reading(torch.tensor(1.5), torch.tensor(-2.0), None, 2, "mine")
    assert reading.kind is BINARY and reading.scores(torch.tensor(1.5)).tolist() == [[-1.5, 1.5]]


def test_a_kind_of_output_by_name() -> None:
    assert [output_kind(kind.value) for kind in OutputKind] == list(OutputKind)
    with pytest.raises(UsageError, match=r"unknown kind of output 'logit'\. Did you mean logits"):
        output_kind("logit")


ROWS = st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=6)


@given(ROWS)
def test_probabilities_of_logits(row: list[float]) -> None:
    exact = np.exp(np.float64(row) - max(row))
    check_shown(Reading(LOGITS, len(row)), row, exact / exact.sum())


@given(ROWS)
def test_several_labels(row: list[float]) -> None:
    check_shown(Reading(MULTILABEL, len(row)), row, 1 / (1 + np.exp(-np.float64(row))))


@given(ROWS)
def test_numbers_that_are_shown_as_they_are(row: list[float]) -> None:
    for reading in (
        Reading(PROBABILITIES, len(row)),
        Reading(REGRESSION, len(row)),
        Reading(MULTILABEL, len(row), (), True),
    ):
        check_shown(reading, row, np.float64(row))


@given(st.floats(-30, 30, width=32))
def test_one_logit_is_the_librarys_target_and_a_sigmoid(z: float) -> None:
    reading, output = Reading(BINARY, 1), torch.tensor([[z]])
    scores = reading.scores(output)
    for index in (0, 1):
        assert scores[0, index] == BinaryClassifierOutputTarget(index)(output[0])
    second = 1 / (1 + np.exp(-np.float64(z)))
    check_shown(reading, scores[0].tolist(), np.array([1 / (1 + np.exp(np.float64(z))), second]))
    assert torch.equal(reading.scores(torch.tensor([z])), scores)  # (N,)


@given(st.floats(0, 1, width=32))
def test_one_probability_of_two_classes(p: float) -> None:
    reading = Reading(BINARY, 1, squashed=True)
    scores = reading.scores(torch.tensor([[p]]))
    check_shown(reading, scores[0].tolist(), np.array([1 - np.float64(p), p]))


def check_shown(reading: Reading, scores: list[float], exact: np.ndarray) -> None:
    row = np.float32(scores)
    np.testing.assert_allclose(reading.shown_of(row), exact, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(reading.shown(torch.from_numpy(row)[None])[0], exact, rtol=1e-5, atol=1e-6)


def test_probabilities_are_shown_in_double_precision() -> None:
    """Of a sure network, the second class has 1e-12, which single precision does not lose either."""
    shown = Reading(LOGITS, 2).shown_of(np.float32([27.5, 0]))
    assert shown.dtype == np.float64 and shown[1] == pytest.approx(np.exp(-27.5) / (1 + np.exp(-27.5)), rel=1e-12)
    assert Reading(LOGITS, 2).shown_of(np.float32([3e38, -3e38])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("kind", "outputs", "classes", "exclusive", "prediction"),
    [
        (LOGITS, 5, 5, True, True),
        (PROBABILITIES, 5, 5, True, True),
        (BINARY, 1, 2, True, True),
        (MULTILABEL, 5, 5, False, True),
        (REGRESSION, 1, 1, False, True),
        (REGRESSION, 3, 3, False, False),
    ],
)
def test_what_follows_from_a_kind(
    kind: OutputKind, outputs: int, classes: int, exclusive: bool, prediction: bool
) -> None:
    reading = Reading(kind, outputs)
    assert (reading.classes, reading.exclusive, reading.has_prediction) == (classes, exclusive, prediction)


class Ending(nn.Module):
    """A linear layer, and what follows it."""

    def __init__(self, ending: Callable[[Tensor], Any], outputs: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head, self.ending = nn.Linear(4, outputs), ending

    def forward(self, x: Tensor) -> Any:
        return self.ending(self.head(x))


def found(net: nn.Module, kind: OutputKind | None = None, names: int | None = None) -> Reading:
    batch = torch.ones(1, 4)
    return found_reading(net(batch), net(-batch), kind, names, "mine", at_extremes(net, batch, net))


@pytest.mark.parametrize(
    ("ending", "kind", "squashed"),
    [
        (lambda x: x, LOGITS, False),
        (lambda x: x.softmax(1), PROBABILITIES, False),
        (lambda x: x.softmax(1).half(), PROBABILITIES, False),
        (lambda x: {"logits": x.softmax(1)}, PROBABILITIES, False),
        (lambda x: x.abs() / x.abs().sum(1, keepdim=True), PROBABILITIES, False),
        (torch.sigmoid, MULTILABEL, True),
        (lambda x: torch.sigmoid(x)[:, :, None, None], MULTILABEL, True),
        (lambda x: (torch.sigmoid(x), None), MULTILABEL, True),
        (lambda x: torch.sigmoid(x).double(), MULTILABEL, True),
        (lambda x: torch.sigmoid(x).clone(), MULTILABEL, True),
        (lambda x: torch.sigmoid(x) + x, LOGITS, False),
        (lambda x: x.relu(), LOGITS, False),
    ],
)
def test_the_kind_is_detected(ending: Callable[[Tensor], Any], kind: OutputKind, squashed: bool) -> None:
    reading = found(Ending(ending))
    assert (reading.kind, reading.squashed) == (kind, squashed)
    assert ("assumed" in reading.why) == (kind is LOGITS)


@pytest.mark.parametrize(
    ("ending", "kind", "names", "expected", "squashed"),
    [
        (torch.sigmoid, None, None, BINARY, True),
        (lambda x: torch.sigmoid(x).squeeze(1), None, None, BINARY, True),
        (lambda x: x, None, 2, BINARY, False),
        (lambda x: x.squeeze(1), None, 2, BINARY, False),
        (lambda x: x, BINARY, None, BINARY, False),
        (torch.sigmoid, BINARY, None, BINARY, True),
        (lambda x: x, REGRESSION, None, REGRESSION, False),
    ],
)
def test_a_single_number(
    ending: Callable[[Tensor], Any], kind: OutputKind | None, names: int | None, expected: OutputKind, squashed: bool
) -> None:
    reading = found(Ending(ending, outputs=1), kind, names)
    assert (reading.kind, reading.squashed) == (expected, squashed)


def test_a_given_kind_is_taken_and_told() -> None:
    assert found(Ending(lambda x: x), MULTILABEL) == Reading(MULTILABEL, 3)
    assert found(Ending(torch.sigmoid), MULTILABEL) == Reading(MULTILABEL, 3, squashed=True)
    assert found(Ending(lambda x: x.softmax(1)), LOGITS) == Reading(LOGITS, 3)


def test_numbers_between_0_and_1_are_not_yet_a_sigmoid() -> None:
    """Logits of a new network may lie there by chance."""
    net = Ending(lambda x: x * 0.01 + 0.5)
    assert not found(net, MULTILABEL).squashed
    assert found(net).kind is LOGITS


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0.2, 0.8]], True),
        ([[1.0, 0.0], [0.5, 0.5]], True),
        ([[0.2, 0.8], [0.2, 0.7]], False),
        ([[-0.1, 1.1]], False),
        ([[0.4999, 0.4999]], True),
        ([[0.49, 0.5]], False),
        ([[float("nan"), 1.0]], False),
    ],
)
def test_what_sums_to_1(rows: list[list[float]], expected: bool) -> None:
    assert sum_to_one(torch.tensor(rows)) == expected


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        (Reading(LOGITS, 3), "logits of classes that exclude each other (softmax gives probabilities); given"),
        (Reading(REGRESSION, 1, (0, "out")), "entry 0.out of the output; values; given"),
    ],
)
def test_a_reading_is_told_in_words(reading: Reading, told: str) -> None:
    assert str(reading) == told


@pytest.mark.parametrize("copies", [True, False])
def test_a_wrapped_model_returns_scores_and_gradients(copies: bool) -> None:
    net = Ending(lambda x: {"logits": x}, outputs=1)
    scoring = Scoring(net, Reading(BINARY, 1, ("logits",)), torch.float32, copies)
    batch = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    scores = scoring(batch)
    logit = net.head(batch.float())
    assert torch.equal(scores, torch.cat([-logit, logit], 1))
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), batch)
    torch.testing.assert_close(gradient, net.head.weight.double().expand(2, 4))


def test_a_model_that_writes_into_its_input_gets_a_copy() -> None:
    class Writing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2)

    batch = torch.ones(1, 3)
    assert torch.equal(Scoring(Writing(), Reading(LOGITS, 3), torch.float32, True)(batch), torch.full((1, 3), 2.0))
    assert torch.equal(batch, torch.ones(1, 3))


SQUASHED: dict[str, Callable[[Tensor], Tensor]] = {
    "a sigmoid by hand": lambda y: 1 / (1 + (-y).exp()),
    "a clamp": lambda y: (0.5 + y).clamp(0, 1),
    "by tanh": lambda y: (y.tanh() + 1) / 2,
}


@pytest.mark.parametrize("name", SQUASHED)
def test_numbers_between_0_and_1_of_an_unknown_kind_are_said_to_be(name: str) -> None:
    numbers = torch.randn(2, 1, 6, generator=torch.Generator().manual_seed(0))
    first, second = (SQUASHED[name](each) for each in numbers)
    found = found_reading(first, second, None, 6, "mine")
    assert found.kind is OutputKind.LOGITS and found.why.startswith("assumed, although all its numbers")
    assert found_reading(numbers[0], numbers[1], None, 6, "mine").why == "assumed (--output says otherwise)"
    assert found_reading(first, second, OutputKind.LOGITS, 6, "mine").why == "given"
    said = found_reading(first, second, OutputKind.MULTILABEL, 6, "mine")
    assert said.squashed and "to be probabilities already" in said.why


MAPS = torch.randn(1, 3, 6, 8, generator=torch.Generator().manual_seed(7))


def test_maps_of_probabilities_are_shown_as_they_are() -> None:
    reading = found_reading(MAPS.softmax(1), MAPS.flip(1).softmax(1), None, None, "m")
    assert "a map of probabilities per class" in str(reading)
    expected = MAPS.double().softmax(1).mean((2, 3))
    assert torch.allclose(reading.scores(MAPS.softmax(1)).double(), expected, atol=1e-6)


def test_one_map_of_probabilities_is_that_of_the_second_class() -> None:
    single = MAPS[:, :1].requires_grad_().sigmoid()
    reading = found_reading(single, single, None, None, "m")
    second = MAPS[:, :1].double().sigmoid().mean((2, 3))
    assert torch.allclose(reading.scores(single).double(), torch.cat([1 - second, second], 1), atol=1e-6)


def test_maps_of_labels_are_refused() -> None:
    maps = MAPS.clone().requires_grad_().sigmoid()
    with pytest.raises(UsageError, match="from before the sigmoid"):
        found_reading(maps, maps, None, None, "m")


@pytest.mark.parametrize("form", [tuple, list])
def test_maps_beside_a_row_are_refused_until_the_kind_is_given(form: Callable[[Any], Any]) -> None:
    output = form([MAPS, NUMBERS])
    with pytest.raises(UsageError, match="cannot be told which of them are the classes"):
        found_reading(output, output, None, None, "m")
    assert found_reading(output, output, SEGMENTATION, None, "m").entry == (0,)


def test_that_the_first_of_rows_of_several_widths_is_taken_is_an_assumption() -> None:
    output = (torch.cat([NUMBERS, NUMBERS], 1), NUMBERS)
    assert found_reading(output, output, None, None, "m").why.startswith("assumed, because it is the first: it has 6")
    alike = (NUMBERS, -NUMBERS)
    assert found_reading(alike, alike, None, None, "m").why.startswith("assumed (")
    members = [NUMBERS, -NUMBERS, NUMBERS]
    why = found_reading(members, members, None, None, "m").why
    assert why.startswith("assumed, because it is the first of 3 with 3 numbers each, such as members of an ensemble")


def test_what_sets_an_output_apart_is_a_fact_beside_its_sentence() -> None:
    def facts(one: Any, other: Any = None) -> tuple[str, str, str]:
        read = found_reading(one, one if other is None else other, None, None, "m").facts
        return read["entry"], read["numbers"], read["beside"]

    assert facts(NUMBERS) == ("", "", "")
    assert facts([NUMBERS, -NUMBERS, NUMBERS]) == ("0", "", "2 of 3")
    assert facts((torch.cat([NUMBERS, NUMBERS], 1), NUMBERS)) == ("0", "", "3")
    assert facts(NUMBERS.log_softmax(1)) == ("", "log-probabilities", "")
    assert facts(*torch.relu(DRAWN).split(1)) == ("", "never negative", "")
    assert facts(*nn.functional.normalize(DRAWN, dim=1).split(1)) == ("", "of length 1", "")


def test_rows_that_are_longer_for_another_image_hold_no_classes() -> None:
    with pytest.raises(ModelMisbehaves, match="returned 3 numbers for one image of noise and 6 for another"):
        found_reading(NUMBERS, torch.cat([NUMBERS, NUMBERS], 1), None, None, "m")


@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 9), st.integers(8, 40))
def test_places_before_classes_are_told_from_classes_before_places(
    rows: int, columns: int, classes: int, cell: int
) -> None:
    size = (rows * cell, columns * cell)
    check_proportions(torch.zeros(1, classes, rows, columns), size, "m")
    # Maps of which both readings have the proportions of the image are read as PyTorch has them.
    if abs(columns * size[1] - classes * size[0]) > max(size):
        with pytest.raises(UsageError, match=r"movedim\(-1, 1\)"):
            check_proportions(torch.zeros(1, rows, columns, classes), size, "m")


def test_logarithms_of_the_probabilities_of_labels_are_refused() -> None:
    labels = nn.functional.logsigmoid(NUMBERS.clone().requires_grad_())
    with pytest.raises(UsageError, match="log-sigmoid"):
        found_reading(labels, labels, None, None, "m")


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.floats(0.01, 5))
def test_log_probabilities_are_recorded_as_such_and_logits_are_not(row: list[float], more: float) -> None:
    logits = torch.tensor([row])
    found, other = (
        found_reading(each, each, None, None, "mine") for each in (logits.log_softmax(1), logits + 40 + more)
    )
    assert found.kind is OutputKind.LOGITS and "they are log-probabilities, which are explained as they are" in str(
        found
    )
    assert "log-probabilities" not in str(other)
