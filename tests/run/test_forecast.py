"""A run says what it will cost once that is known, and only if it is long."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.models.models import load_model
from xai_eval.run.forecast import ImageCost, forecast_sentence, with_forecast
from xai_eval.run.plan import plan
from xai_eval.tasks.cost import Cost, Meter, metered, part


class FakeClock:
    """A clock that stands still until it is told to go on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Net(nn.Module):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean((1, 2, 3))


# Seconds of the first image and of each later one, the number of images, and what the forecast says.
RUNS = {
    "short": (5.0, 2.0, 11, None),
    "long": (257.0, 257.0, 11, "one image takes 4 min 17 s and 4 forward passes; all 11 will take about 47 min."),
    "a slow start": (9.0, 1.0, 60, None),
    "a slow start of a long run": (
        9.0,
        4.0,
        60,
        "one image takes 4.0 s and 4 forward passes; all 60 will take about 4 m",
    ),
    "one image": (70.0, 0.0, 1, "all 1 will take about 1 min 10 s"),
    "just a minute": (15.0, 15.0, 4, None),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_forecast_follows_from_the_first_images(name: str) -> None:
    first, later, count, expected = RUNS[name]
    clock, net, told = FakeClock(), Net(), []

    def results() -> Iterator[int]:
        for number in range(count):
            net(torch.zeros(3, 3, 4, 4))
            net(torch.zeros(1, 3, 4, 4))
            clock.now += later if number else first
            yield number

    found = with_forecast(results(), net, count, (), told.append, clock)  # type: ignore[arg-type]
    seen = []
    for each in found:
        clock.now += 1000.0  # what is done with a result does not count
        seen.append(each)
    assert seen == list(range(count))
    assert len(told) == (expected is not None)
    assert expected is None or expected in told[0]


def test_no_result_is_no_forecast() -> None:
    told: list[str] = []
    assert list(with_forecast(iter(()), Net(), 0, (), told.append)) == []
    assert told == []


def test_cheap_methods_are_those_that_were_measured_so() -> None:
    parts = {"gradcam": Cost(0.1, 1), "scorecam": Cost(150.0, 1025), "ablationcam": Cost(100.0, 1025)}
    sentence = forecast_sentence(ImageCost(Cost(251.0, 2052), parts), 11, ("methods", "seed"))
    assert "2,052 forward passes" in sentence
    assert "Per image: scorecam 2 min 30 s (1,025 forward passes), ablationcam 1 min 40 s" in sentence
    assert sentence.endswith("gradcam 0.1 s (1 forward pass). Cheaper: --methods gradcam, about 1.1 s for all.")


@pytest.mark.parametrize(
    ("parameters", "advice"),
    [
        (("methods",), "Cheaper: --methods gradcam needs one forward"),
        (("num_samples", "seeds"), "Cheaper: the time grows with --num-samples, and with --seeds."),
        ((), "about 2 min"),
    ],
)
def test_where_nothing_is_cheap_the_options_that_decide_are_named(parameters: tuple[str, ...], advice: str) -> None:
    assert advice in forecast_sentence(ImageCost(Cost(60.0, 5000), {"scorecam": Cost(59.0, 5000)}), 2, parameters)


def test_passes_are_those_that_the_methods_need() -> None:
    """Score-CAM and Ablation-CAM need one pass per channel of the layer, besides those of the model itself."""
    model = load_model("scenes:objects")
    channels = model.layer(model.default_layer())
    width = next(each for each in channels.modules() if isinstance(each, nn.Conv2d)).out_channels
    meter = Meter()
    chosen = plan("cams", model=model, images=dataclasses.replace(load_images("scenes:1"), complete=False))
    before = type(model.module).__call__
    with metered(model.module, meter):
        next(chosen.results)
    assert type(model.module).__call__ is before
    assert list(meter.parts) == ["gradcam", "scorecam", "ablationcam"]
    assert meter.parts["gradcam"].passes == 1
    for method in ("scorecam", "ablationcam"):
        assert width <= meter.parts[method].passes <= width + 16
    assert meter.passes >= sum(each.passes for each in meter.parts.values())


def test_being_measured_changes_no_result() -> None:
    model, images = load_model("scenes:objects"), load_images("scenes:1")
    asked = {"model": model, "images": images, "params": {"methods": ["gradcam"]}}
    (alone,) = plan("cams", **asked).results  # type: ignore[arg-type]
    (measured,) = plan("cams", **asked).with_forecast(lambda _: None)  # type: ignore[arg-type]
    assert measured.digest == alone.digest


def test_a_part_costs_nothing_while_nobody_measures() -> None:
    with part("gradcam"):
        pass
