"""What comes before the explained layer runs once, whatever code is between the modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import trap_nets
from torch import Tensor, nn

from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.cam.fast.replay import PrefixReplay


@contextmanager
def counted(net: nn.Module) -> Iterator[Counter[str]]:
    """Count how often each module computes, below whatever stands in for its `forward`."""
    calls: Counter[str] = Counter()

    def counting(name: str, compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(*args: object) -> Tensor:
            calls[name] += 1
            return compute(*args)

        return run

    for name, module in net.named_modules():
        module.forward = counting(name, module.forward)
    yield calls


@pytest.mark.parametrize("build", trap_nets.REPLAYED)
def test_what_precedes_the_layer_computes_once(build: Callable[[], trap_nets.Net]) -> None:
    torch.manual_seed(5)
    net = build()
    with counted(net) as calls, torch.no_grad():
        explain_by_cam(net, net.explained, torch.randn(2, 3, 12, 12), [0, 1], "ablationcam")
    # Two passes of the library's own, and one recording for each image.
    assert calls["stem"] + calls["other_stem"] == 4
    assert calls[""] > 8


def test_what_follows_the_layer_computes_in_every_pass() -> None:
    net = trap_nets.ResidualBlock()
    with counted(net) as calls:
        explain_by_cam(net, net.explained, torch.randn(1, 3, 12, 12), [0], "ablationcam")
    assert calls["shortcut"] == calls["head"] == calls[""]
    assert calls["block.first"] == calls["block.bn"] == 3


def test_rows_share_memory_if_the_model_does_not_write_into_it() -> None:
    """Copying outputs that nothing writes into would take longer than the layer itself."""
    strides: list[int] = []
    net = trap_nets.ResidualBlock()
    net.shortcut.register_forward_pre_hook(lambda module, inputs: strides.append(inputs[0].stride(0)))
    explain_by_cam(net, net.explained, torch.randn(1, 3, 12, 12), [0], "ablationcam")
    assert strides[-1] == 0


@contextmanager
def learnt(net: trap_nets.Net, images: Tensor, index: int) -> Iterator[PrefixReplay]:
    """Replay one image of a batch; the layer itself returns its recorded outputs."""
    with torch.no_grad(), PrefixReplay(net, net.target).installed() as replay:
        net(images)
        replay.learn(index)
        yield replay


def test_replays_the_learnt_image_in_as_many_rows_as_the_pass_has() -> None:
    torch.manual_seed(0)
    net, images = trap_nets.WritesIntoPrefixBeforeTheLayer().eval(), torch.randn(3, 3, 12, 12)
    with torch.no_grad():
        expected = net(images)
    for index, rows in ((2, 5), (0, 1), (1, 2), (0, 1)):
        with learnt(net, images, index) as replay:
            for _ in range(2):  # the first must not have written into the record
                torch.testing.assert_close(net(torch.zeros(rows, 3, 12, 12)), expected[[index] * rows])
            assert replay.trusted


def test_the_model_is_restored_afterwards() -> None:
    net, images = trap_nets.Reparameterised().eval(), torch.randn(2, 3, 12, 12)
    forwards = {name: vars(module).get("forward") for name, module in net.named_modules()}
    with torch.no_grad():
        expected = net(images)
        with pytest.raises(KeyboardInterrupt), PrefixReplay(net, net.target).installed():
            net(images)
            raise KeyboardInterrupt
        assert torch.equal(net(images), expected)
    assert {name: vars(module).get("forward") for name, module in net.named_modules()} == forwards


def test_random_code_between_the_modules_is_not_replayed() -> None:
    class Noisy(trap_nets.Net):
        def features(self, x: Tensor) -> Tensor:
            return self.target(self.stem(x)) * torch.rand(1)

    net, images = Noisy(), torch.randn(1, 3, 12, 12)
    with pytest.warns(RuntimeWarning, match="Noisy: what it computes before the layer cannot be replayed"):
        explain_by_cam(net, net.target, images, [0], "ablationcam")


def test_a_pass_with_other_calls_than_recorded_is_computed() -> None:
    """Which modules are called depends on the number of rows, which no earlier pass showed."""

    class Counting(trap_nets.Net):
        def features(self, x: Tensor) -> Tensor:
            return self.target(self.stem(self.stem(x)[:, :3] if len(x) < 4 else x))

    torch.manual_seed(0)
    net, images = Counting().eval(), torch.randn(2, 3, 12, 12)
    with learnt(net, images, 0) as replay:
        assert replay.trusted
        with pytest.warns(RuntimeWarning, match="fewer calls"):
            logits = net(images[[0] * 5])
        assert not replay.trusted
    torch.testing.assert_close(logits, net(images[[0] * 5]))
