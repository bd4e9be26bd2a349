"""Two passes on noise tell how a model is used; what they make of it returns one row of scores per image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.first_answers import first_answers
from xai_eval.inputs.models.reading import OutputKind

SHAPE = (3, 16, 16)


class Net(nn.Module):
    def __init__(self, ending: Callable[[Tensor], Any] = lambda x: x, outputs: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.features, self.head, self.ending = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, outputs), ending

    def forward(self, x: Tensor) -> Any:
        return self.ending(self.head(self.features(x).mean((2, 3))))

    def plain(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


def same(x: Tensor) -> Tensor:
    return x


@pytest.mark.parametrize(
    ("ending", "outputs", "kind", "scores"),
    [
        (same, 3, None, same),
        (lambda x: x[:, :, None, None], 3, None, same),
        (lambda x: {"logits": x}, 3, None, same),
        (lambda x: x.squeeze(1), 1, OutputKind.REGRESSION, same),
        (same, 1, OutputKind.REGRESSION, same),
        (lambda x: x.squeeze(1), 1, OutputKind.BINARY, lambda x: torch.cat([-x, x], 1)),
        (lambda x: x.sigmoid(), 1, None, lambda x: torch.cat([1 - x.sigmoid(), x.sigmoid()], 1)),
        (lambda x: x.half(), 3, None, lambda x: x.half().float()),
        (lambda x: x.double(), 3, None, lambda x: x.double()),
    ],
)
def test_scores_are_one_row_per_image(
    ending: Callable[[Tensor], Any], outputs: int, kind: OutputKind | None, scores: Callable[[Tensor], Tensor]
) -> None:
    net, batch = Net(ending, outputs).eval(), torch.randn(5, *SHAPE)
    found = first_answers(net, SHAPE, kind, None, "mine").scoring(net)(batch)
    assert found.dtype in (torch.float32, torch.float64)
    assert torch.equal(found, scores(net.plain(batch)))


def test_a_model_that_returns_logits_is_used_as_it_is() -> None:
    net = Net()
    assert first_answers(net, SHAPE, None, None, "mine").scoring(net) is net


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_are_converted_to_the_models_numbers(dtype: torch.dtype) -> None:
    net = Net().to(dtype).eval()
    answers = first_answers(net, SHAPE, None, None, "mine")
    batch = torch.randn(2, *SHAPE)
    assert answers.dtype == dtype
    expected = net(batch.to(dtype))
    assert torch.equal(answers.scoring(net)(batch), expected if dtype is torch.float64 else expected.float())


def test_who_writes_into_the_input_is_found_and_given_a_copy() -> None:
    class Writing(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.plain(x.clamp_(0, 1))

    net, batch = Writing().eval(), torch.randn(2, *SHAPE)
    answers, kept = first_answers(net, SHAPE, None, None, "mine"), batch.clone()
    assert answers.writes_into_input
    assert torch.equal(answers.scoring(net)(batch), net.plain(kept.clamp(0, 1)))
    assert torch.equal(batch, kept)
    assert not first_answers(Net(), SHAPE, None, None, "mine").writes_into_input


@pytest.mark.parametrize("outer", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_what_is_detected_does_not_depend_on_the_callers_mode(outer: Callable[[], Any]) -> None:
    net = Net(torch.sigmoid)
    with outer():
        reading = first_answers(net, SHAPE, None, None, "mine").reading
    assert (reading.kind, reading.squashed) == (OutputKind.MULTILABEL, True)


def test_a_model_with_integer_weights_is_asked_as_well() -> None:
    net = Net()
    net.steps = nn.Parameter(torch.arange(3), requires_grad=False)
    assert first_answers(net, SHAPE, None, None, "mine").reading.outputs == 3
    assert not net.steps.requires_grad


def test_a_model_without_parameters_is_asked_as_well() -> None:
    class Means(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))

    answers = first_answers(Means(), SHAPE, None, None, "mine")
    assert (answers.reading.kind, answers.dtype) == (OutputKind.LOGITS, torch.float32)


def test_the_way_out_of_the_process_is_an_error_of_the_model() -> None:
    class Leaving(Net):
        def forward(self, x: Tensor) -> Tensor:
            raise SystemExit(0)

    with pytest.raises(ModelMisbehaves, match="mine fails on a batch"):
        first_answers(Leaving(), SHAPE, None, None, "mine")
