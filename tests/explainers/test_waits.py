"""A loop over batches waits for the device once, at its end, and finds the same errors as a loop that waits always."""

import numpy as np
import pytest
import torch
from far_device import Far, FarDevice
from torch import nn

from xai_eval.bench.scenes import DEVIATION, MEAN
from xai_eval.errors import ModelMisbehaves
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.cam.fast import ablation, scorecam
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.probabilities import probabilities
from xai_eval.explainers.model.gathered import gathered
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.later_checks import checked_at_the_end, require
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.metrics.faithfulness import Canvas, faithfulness

SIDE, GIVEN = 16, np.random.default_rng(0)
IMAGE, HIDDEN = (GIVEN.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(2))
SEGMENTS = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 32
SAMPLES = GIVEN.integers(0, 2, (40, 8))


class Net(nn.Module):
    """A small network; from the batch `broken` on, its scores are not finite."""

    def __init__(self, broken=10**9):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.broken, self.calls = nn.Conv2d(3, 5, 3), broken, 0

    def forward(self, x):
        self.calls += 1
        return self.conv(x).mean(dim=(2, 3)) / (self.calls < self.broken)


def classifier(network, device=None):
    network = network if device is None else device.moved(network)
    return Classifier("net", network, fixed_size_preprocessing(SIDE, MEAN, DEVIATION), tuple("abcde"))


def predicted(own, predict, batch=8):
    return PerturbedImages(predict, batch, own.device).probabilities(IMAGE, HIDDEN, SEGMENTS, SAMPLES)


@pytest.mark.parametrize("batch", [20, 4])
def test_the_loop_of_lime_waits_at_its_end_only(batch):
    own = classifier(Net())
    expected = predicted(own, probabilities(own), batch)
    with FarDevice() as device:
        own = classifier(Net(), device)
        predict = probabilities(own)
        predicted(own, predict)  # finds the memory format
        device.begin()
        found = predicted(own, predict, batch)
    np.testing.assert_array_equal(found, expected)
    # The scores, and all checks together; before the loop: image, hidden pixels, superpixels and samples.
    assert device.waits == {"synchronize": 1, "tolist": 1} and device.copies == 4


def test_the_curves_of_a_map_are_put_together_on_the_device_and_waited_for_once():
    ranks = np.arange(SIDE * SIDE, dtype=np.float64).reshape(SIDE, SIDE)
    own = classifier(Net())
    expected = faithfulness(ranks, IMAGE, probabilities(own), 1)
    with FarDevice() as device:
        own = classifier(Net(), device)
        canvas, predict = Canvas.of(IMAGE, own.device), probabilities(own)
        for _ in range(2):  # the first finds the memory format
            device.begin()
            with checked_at_the_end():
                found = faithfulness(ranks, canvas, predict, 1)
    np.testing.assert_array_equal(found.deletion_curve, expected.deletion_curve)
    np.testing.assert_array_equal(found.insertion_curve, expected.insertion_curve)
    assert device.waits == {"cpu": 1, "tolist": 1} and device.copies == 1  # the pixels that are taken


@pytest.mark.parametrize("broken", [1, 4, 6])
def test_scores_that_are_not_finite_are_told_as_by_a_loop_that_waits(broken):
    own = classifier(Net(broken))
    with pytest.raises(ModelMisbehaves) as expected:
        predicted(own, probabilities(own))
    with FarDevice() as device, pytest.raises(ModelMisbehaves) as found:
        own = classifier(Net(broken), device)
        predicted(own, probabilities(own))
    assert str(found.value) == str(expected.value)


def fails(number):
    def complain():
        raise ModelMisbehaves(f"check {number}")

    return complain


@pytest.mark.parametrize(("first", "second", "told"), [(3, 5, "check 3"), (9, 5, "check 5"), (9, 9, "the loop")])
def test_the_first_check_that_fails_is_told_even_if_the_loop_fails_later(first, second, told):
    with FarDevice(), pytest.raises(ModelMisbehaves, match=told), checked_at_the_end():
        for number in range(7):
            require(torch.tensor(number not in (first, second), device="cuda"), fails(number))
        raise ModelMisbehaves("the loop")


def test_a_check_outside_of_a_loop_and_one_on_the_cpu_are_told_at_once():
    reached = []
    with pytest.raises(ModelMisbehaves), checked_at_the_end():
        require(torch.tensor(False), fails(0))
        reached.append(True)
    with FarDevice(), pytest.raises(ModelMisbehaves):
        require(torch.tensor(False).as_subclass(Far), fails(0))
    assert not reached


@pytest.mark.parametrize("sizes", [(3,), (2, 2, 1), (1, 4)])
def test_batches_are_gathered_in_their_order(sizes):
    batches = [torch.rand(size, 2, dtype=torch.float64) for size in sizes]
    found = gathered(iter(batches), sum(sizes))
    np.testing.assert_array_equal(found, torch.cat(batches).numpy())
    assert found.dtype == np.float64


class Tokens(nn.Module):
    """Tokens with their channels last, which two linear layers mix."""

    def __init__(self, channels):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, channels, 4, 4)
        self.explained = nn.LayerNorm(channels)
        self.mixed, self.head = nn.Linear(channels, channels), nn.Linear(channels, 5)

    def forward(self, x):
        tokens = self.explained(self.patches(x).flatten(2).transpose(1, 2))
        return self.head(input=self.mixed(tokens).relu().mean(dim=1))


def maps(channels):
    """A network whose last convolution is explained."""
    torch.manual_seed(0)
    body = nn.Conv2d(3, channels, 3), nn.ReLU(), nn.AvgPool2d(3, 2)
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(36 * channels, 40), nn.ReLU(), nn.Linear(40, 5)).eval()


KINDS = {"maps": (maps, "0", None), "tokens": (Tokens, "explained", Layout((4, 4), channels=1, maps=False))}


def explained(network, layer, image, layout, method="ablationcam"):
    return explain_by_cam(network, network.get_submodule(layer), image, [1], method, layout=layout)


@pytest.mark.parametrize("kind", KINDS)
def test_ablationcam_waits_once_for_256_channels_and_rounds_as_with_32(kind, monkeypatch):
    """The library waits for the score of each of the 300 channels; its batches have 32 rows."""
    made, layer, layout = KINDS[kind]
    image = torch.rand(1, 3, SIDE, SIDE)
    expected = explained(made(300), layer, image, layout)
    monkeypatch.setattr(ablation, "rows_at_once", lambda *_: 256)
    with FarDevice() as device:
        network = device.moved(made(300))
        found = explained(network, layer, image.as_subclass(Far), layout)
    assert np.ptp(expected.raw) > 0
    np.testing.assert_array_equal(found.raw, expected.raw)
    np.testing.assert_array_equal(found.image, expected.image)
    assert device.waits.total() <= 16 and device.copies <= 3


def test_scorecam_waits_once_per_batch(monkeypatch):
    made, layer, layout = KINDS["maps"]
    image = torch.rand(1, 3, SIDE, SIDE)
    monkeypatch.setattr(scorecam, "rows_at_once", lambda *_: 100)
    expected = explained(made(300), layer, image, layout, "scorecam")
    with FarDevice() as device:
        found = explained(device.moved(made(300)), layer, image.as_subclass(Far), layout, "scorecam")
    np.testing.assert_allclose(found.raw, expected.raw, rtol=1e-5)
    assert device.waits.total() <= 12 and device.copies <= 2
