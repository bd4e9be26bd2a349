"""A precision holds while it is asked for, is torch's own, and is refused where it would change nothing."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.model.full_precision import full_precision, rounds_convolutions
from xai_eval.inputs.models import precision
from xai_eval.inputs.models.arithmetic import arithmetic, restore_arithmetic
from xai_eval.inputs.models.host_state import host_kept
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.precision import (
    asked_precision,
    autocast_in_use,
    check_available,
    check_not_lost,
    computing_in,
    in_single,
)
from xai_eval.inputs.models.precision_effect import check_effect
from xai_eval.result.precisions import PRECISIONS
from xai_eval.tasks.image.environment import precision_flags
from xai_eval.tasks.ties.bounds import rounding_on

CPU, GPU = torch.device("cpu"), torch.device("cuda")
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Small(nn.Module):
    """One convolution and a mean, with a factor on the scores."""

    def __init__(self, factor=1.0, autocast=True):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc, self.autocast = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), autocast
        with torch.no_grad():
            self.fc.weight.mul_(factor)

    def forward(self, batch):
        with torch.autocast("cpu", enabled=self.autocast and torch.is_autocast_enabled("cpu")):
            return self.fc(self.conv(batch).relu().mean((2, 3)))


def classifier(net):
    return SimpleNamespace(name="small", module=net, input_shape=(3, 16, 16), device=CPU, reading=None)


HALVED = Layout((14, 14), halved=True)
IMAGE = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", HALVES)
def test_models_compute_as_under_torchs_own_autocast(name):
    net = Small().eval()
    with torch.autocast("cpu", dtype=HALVES[name]), torch.no_grad():
        expected = net(IMAGE)
    with computing_in(name, CPU), torch.no_grad():
        found = net(IMAGE)
        assert precision_flags(CPU)["autocast"] == autocast_in_use() == name
        with in_single(CPU):
            assert autocast_in_use() == "" and torch.equal(net(IMAGE), Small().eval()(IMAGE))
    assert found.dtype == HALVES[name] and torch.equal(found, expected)
    assert "autocast" not in precision_flags(CPU)


@settings(max_examples=20)
@given(
    asked=st.sampled_from([each for each in PRECISIONS if each != "default"]),
    matmul=st.sampled_from(["highest", "high", "medium"]),
    cudnn=st.booleans(),
    fails=st.booleans(),
)
def test_everything_is_set_back(asked, matmul, cudnn, fails):
    before = arithmetic()
    try:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn
        usual = arithmetic()
        expected = pytest.raises(ValueError, match="inside") if fails else nullcontext()
        with expected, computing_in(asked, CPU):
            assert asked_precision() == asked
            if asked in ("highest", "tf32"):
                assert torch.backends.cudnn.allow_tf32 == (asked == "tf32")
                assert torch.get_float32_matmul_precision() == ("high" if asked == "tf32" else "highest")
            else:
                assert arithmetic() == usual
            if fails:
                raise ValueError("inside")
        assert arithmetic() == usual
        assert asked_precision() == "default" and autocast_in_use() == ""
    finally:
        restore_arithmetic(before)


def test_the_default_sets_nothing_even_inside_of_autocast():
    before = arithmetic()
    with torch.autocast("cpu", dtype=torch.bfloat16), computing_in("default", CPU):
        assert autocast_in_use() == "bfloat16" and arithmetic() == before
        with computing_in("highest", CPU):
            assert autocast_in_use() == ""


def test_weights_that_change_meanwhile_are_seen():
    net = Small().eval()
    with computing_in("bfloat16", CPU):
        before = net(IMAGE)
        with torch.no_grad():
            net.conv.weight.mul_(2.0)
        assert not torch.equal(net(IMAGE), before)


def test_full_precision_stays_away_from_a_tf32_that_was_asked_for():
    before = arithmetic()
    try:
        torch.backends.cudnn.allow_tf32 = True
        with computing_in("tf32", CPU), full_precision():
            assert torch.backends.cudnn.allow_tf32 and torch.get_float32_matmul_precision() == "high"
        with full_precision():
            assert not torch.backends.cudnn.allow_tf32
    finally:
        restore_arithmetic(before)


def test_convolutions_round_and_ties_widen_in_half_precision():
    assert not rounds_convolutions(CPU) and rounding_on("cpu") < rounding_on("cuda")
    with computing_in("float16", CPU):
        assert rounds_convolutions(CPU) and rounding_on("cpu") == 2e-3
    with computing_in("bfloat16", CPU):
        assert rounding_on("cpu") == 8 * 2e-3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tf32", "precision tf32 is arithmetic of NVIDIA GPUs since Ampere .* the device is a CPU. Choose --precision"),
        ("bflaot16", "Did you mean bfloat16 or float16"),
    ],
)
def test_what_a_cpu_lacks_is_refused(name, message):
    with pytest.raises(UsageError, match=message):
        check_available(name, CPU)


def test_an_older_gpu_and_a_device_without_autocast_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_args: False)
    for name in ("tf32", "bfloat16"):
        with pytest.raises(UsageError, match=f"precision {name} .*Tesla T4"):
            check_available(name, GPU)
    with pytest.raises(UsageError, match="a META: torch has no autocast for it"):
        check_available("bfloat16", torch.device("meta"))


@pytest.mark.parametrize("trouble", [RuntimeError("not implemented for 'Half'"), None])
def test_half_precision_that_torch_does_not_do_is_refused(monkeypatch, trouble):
    def single(*_args):
        if trouble:
            raise trouble
        return torch.ones(1, 4, 6, 6)

    monkeypatch.setattr(precision.torch.nn.functional, "conv2d", single)
    said = "not implemented for 'Half'" if trouble else "torch goes on in single precision"
    with pytest.raises(UsageError, match=f"float16 cannot be had on a CPU: .*{said}. Choose --precision bfloat16"):
        check_available("float16", CPU)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("net", [lambda: Small().double(), lambda: Small(autocast=False)], ids=["float64", "off"])
def test_a_model_that_it_does_not_reach_is_refused(name, net):
    made = net()
    if next(made.parameters()).dtype == torch.float64:
        made.register_forward_pre_hook(lambda _module, inputs: (inputs[0].double(),))
    with pytest.raises(UsageError, match="answers the same in every bit"):
        check_effect(name, classifier(made))
    check_effect("highest", classifier(made))


def test_gradients_that_float16_loses_are_no_blank_map():
    """Scores of 1e-9 times the weights: float16 holds no gradient of them, bfloat16 and float32 do."""
    net = Small(factor=1e-9).eval()
    for name in ("default", "bfloat16"):
        with computing_in(name, CPU):
            assert explain_by_cam(net, net.conv, IMAGE, [0], "gradcam", layout=HALVED).raw.any()
    with (
        computing_in("float16", CPU),
        pytest.raises(ModelMisbehaves, match=r"gradcam is zero everywhere in float16.*Choose --precision bfloat16"),
    ):
        explain_by_cam(net, net.conv, IMAGE, [0], "gradcam", layout=HALVED)


@pytest.mark.parametrize("values", [np.zeros(3), np.array([1.0, np.nan]), np.array([np.inf, 0.0])])
def test_only_half_precision_is_asked_what_it_lost(values):
    for name in ("default", "highest", "tf32"):
        check_not_lost(values, "mine", name)
    for name in HALVES:
        with pytest.raises(ModelMisbehaves, match=f"mine .* in {name}"):
            check_not_lost(values, "mine", name)


def test_scores_beyond_float16_name_the_precision():
    from xai_eval.inputs.models.outputs import logits

    net = Small(factor=1e6).eval()
    with computing_in("float16", CPU), torch.no_grad(), pytest.raises(ModelMisbehaves, match="--precision float16"):
        logits(net, IMAGE)


def test_a_worker_of_a_dissection_computes_in_it(monkeypatch):
    pytest.importorskip("pytorch_grad_cam")
    from xai_eval.explainers.dissection import ray_engine

    plan = SimpleNamespace(models=[SimpleNamespace(classifier=SimpleNamespace(device=CPU))])
    monkeypatch.setattr(ray_engine, "observe_images", lambda *_args: SimpleNamespace(on_cpu=autocast_in_use()))
    shard = ray_engine._Shard(range(1), ())
    assert ray_engine._Shards(plan, "bfloat16").begin()(shard) == "bfloat16"
    assert ray_engine._Shards(plan, "default").begin()(shard) == ""


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="torch has it since 2.9")
@pytest.mark.parametrize("node", ["", "cudnn", "cudnn.conv", "cuda.matmul"])
@pytest.mark.parametrize("value", ["tf32", "ieee"])
def test_what_was_asked_for_holds_on_a_gpu_whatever_newer_setting_a_program_has_made(node, value):
    """If all of cuDNN is set to TF32, its older switch is not heard, and torch then refuses to tell where it stands."""
    backend, cuda = torch.backends, torch.device("cuda")
    with host_kept():
        exec(f"torch.backends{'.' * bool(node)}{node}.fp32_precision = value")
        assert isinstance(precision_flags(cuda)["cudnn_tf32"], bool)
        for asked, expected in (("highest", "ieee"), ("tf32", "tf32")):
            with computing_in(asked, cuda):
                assert backend.cudnn.conv.fp32_precision == backend.cuda.matmul.fp32_precision == expected
                assert precision_flags(cuda)["cudnn_tf32"] == (asked == "tf32")


@pytest.mark.parametrize("asked", PRECISIONS)
def test_what_the_package_computes_itself_is_not_rounded_to_tf32(asked):
    cuda = torch.device("cuda")
    with computing_in(asked, cuda):
        before = arithmetic()
        with in_single(cuda):
            assert torch.get_float32_matmul_precision() == "highest" and not rounds_convolutions(cuda)
        assert arithmetic() == before
