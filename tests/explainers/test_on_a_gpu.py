"""What goes wrong on GPUs alone, on a device that is only pretended: several of them, full memory, late copies."""

import dataclasses
import gc
import mmap
import multiprocessing
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from far_device import Far, FarDevice, Farther
from small_plan import make_plan
from torch import nn

from xai_eval import evaluate
from xai_eval.errors import ModelMisbehaves
from xai_eval.explainers.attribution.methods import explain, find_methods
from xai_eval.explainers.attribution.question import Question, Settings
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.dissection import read_ahead
from xai_eval.explainers.dissection.by_clip import most_active
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectedModel
from xai_eval.explainers.dissection.image_strips import strips
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.probe_pass import in_this_process, run_probe_pass
from xai_eval.explainers.dissection.read_ahead import Processes
from xai_eval.explainers.dissection.reading_processes import read_by_processes
from xai_eval.explainers.dissection.strongest_maps import SHOWN
from xai_eval.explainers.model.random_state import all_seeded
from xai_eval.inputs.clip.clip import load_clip
from xai_eval.inputs.models import block_digests
from xai_eval.inputs.models.block_digests import BlockDigests
from xai_eval.inputs.models.devices import move
from xai_eval.inputs.models.later_checks import checked_at_the_end, require
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent
from xai_eval.inputs.models.models import load_model
from xai_eval.run.contents import of_process

SIDE, CPU = 16, torch.device("cpu")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 40, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 5)).eval()


def complain():
    raise ModelMisbehaves("not finite")


@pytest.mark.parametrize("failing", [None, 0, 1])
def test_checks_of_models_on_two_gpus_are_looked_at_together(failing):
    with FarDevice() as device:
        flags = [torch.tensor(place != failing).as_subclass(kind) for place, kind in enumerate((Far, Farther, Far))]
        found = "passed"
        try:
            with checked_at_the_end():
                for each in flags:
                    require(each, complain)
        except ModelMisbehaves:
            found = "told"
    assert found == ("passed" if failing is None else "told") and device.waits == {"tolist": 2}


def test_the_digest_of_weights_on_two_gpus_is_computed_once(monkeypatch):
    monkeypatch.setattr(block_digests, "_is_plain", lambda _: True)
    with FarDevice() as device:
        net = network()
        parts = [*device.moved(net[0]).parameters(), *device.moved(net[4], Farther).parameters()]
        tensors, known, asked = [(str(place), each.data) for place, each in enumerate(parts)], BlockDigests(), []
        for _ in range(2):
            known.of("block", tensors, lambda _: asked.append(1) or "digest")
        parts[-1].data.add_(1.0)
        known.of("block", tensors, lambda _: asked.append(2) or "digest")
    assert asked == [1, 2] and device.waits == {"tolist": 4}


def test_a_model_that_was_lent_is_compared_with_one_wait():
    with FarDevice() as device:
        net = device.moved(network())
        device.begin()
        with lent(net):
            net[4].weight.data.add_(1.0)
            net[0].bias.data = net[0].bias.data * 2
        waits = device.waits
    assert waits == {"tolist": 1}
    for now, was in zip(net.parameters(), network().parameters(), strict=True):
        assert torch.equal(now.detach().as_subclass(torch.Tensor), was)


def test_a_model_stays_on_the_gpus_on_which_it_was_given():
    with FarDevice() as device:
        net = network()
        device.moved(net[0])
        device.moved(net[4], Farther)
        before = [each.data_ptr() for each in net.parameters()]
        move(net, "cuda")
        assert [each.data_ptr() for each in net.parameters()] == before


@pytest.fixture
def _gpus(monkeypatch):
    """Two GPUs of which one may not ask: that would start CUDA."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _seed: None)


@pytest.mark.usefixtures("_gpus")
@pytest.mark.parametrize("used", [False, True])
def test_random_numbers_of_gpus_are_restored_only_if_the_process_uses_them(monkeypatch, used):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    asked, restored = [], []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: asked.append(device) or torch.tensor(7))
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda _state, device: restored.append(device))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with all_seeded(3):
            first = torch.rand(2)
    with all_seeded(3):
        assert torch.equal(first, torch.rand(2))
    assert asked == restored == ([0, 1, 0, 1] if used else [])


@pytest.mark.usefixtures("_gpus")
def test_a_process_that_computes_on_its_cpu_is_the_same_with_a_gpu_beside_it(monkeypatch):
    """Ray hides GPUs from a worker that asked for none."""
    here = of_process(CPU)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert of_process(CPU) == here


def test_scorecam_takes_fewer_rows_where_they_do_not_fit_and_remembers_it():
    sizes = []

    class Full(nn.Sequential):
        def forward(self, batch):
            sizes.append(len(batch))
            if len(batch) > 16:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(batch)

    image = torch.rand(1, 3, SIDE, SIDE)
    plain = network()
    expected = explain_by_cam(plain, plain[0], image, [1], "scorecam")
    with FarDevice() as device:
        net = device.moved(Full(*network()))
        found = explain_by_cam(net, net[0], image.as_subclass(Far), [1], "scorecam")
        first = list(sizes)
        explain_by_cam(net, net[0], image.as_subclass(Far), [1], "scorecam")
    np.testing.assert_allclose(found.raw, expected.raw, rtol=1e-4)
    assert max(first) == 40 and max(sizes[len(first) :]) == 16


def test_a_full_gpu_is_told_with_what_to_do():
    with pytest.raises(ModelMisbehaves, match=r"too little free memory.*nvidia-smi"), as_model_error("net", (64, 3)):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


@pytest.mark.parametrize("name", ["smoothgrad", "gradient_shap"])
def test_a_method_with_random_numbers_gives_the_same_map_on_a_gpu(name):
    """A generator of a GPU draws others from the same seed: a golden from a CPU would be a drift on every GPU."""
    image = torch.rand(1, 3, SIDE, SIDE)
    settings = Settings(samples=4, batch_size=3)
    expected = explain(find_methods([name])[0], Question(network(), image, 0 * image, 1, settings), 7)
    with FarDevice() as device:
        batch = image.as_subclass(Far)
        found = explain(find_methods([name])[0], Question(device.moved(network()), batch, 0 * batch, 1, settings), 7)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "task", "methods"), [("vit", "attributions", "attention_rollout"), ("vit", "cams", "gradcam")]
)
def test_models_are_explained_on_a_device_without_double_precision_that_is_the_default(model, task, methods):
    classifier = load_model(f"scenes:{model}")
    with FarDevice(lacks=torch.float64, by_default=True) as device:
        device.moved(classifier.module)
        [found] = evaluate(task, model=classifier, images="scenes:1", device="cuda", methods=[methods])
    assert found[methods].degenerate is None


def test_tensors_that_a_preprocessing_has_put_on_a_gpu_stay_there():
    plan = make_plan(count=4, layers=("layer4",))
    [dissected] = plan.models

    class OnTheGpu:
        def __getattr__(self, name):
            return getattr(dissected.classifier.preprocess, name)

        def __call__(self, image):
            return dissected.classifier.preprocess(image).as_subclass(Far)

    own = dataclasses.replace(dissected.classifier, preprocess=OnTheGpu())
    with FarDevice() as device:
        device.moved(own.module)
        batch = read_ahead._read(dataclasses.replace(plan, models=(DissectedModel(own, ("layer4",)),)), range(4))
        assert isinstance(batch.inputs[0], Far) and batch.clip_input.data_ptr() in device.pinned


class Resource:
    """Garbage whose end is noted by the process in which it is collected, as freed pinned memory calls CUDA there."""

    ended = mmap.mmap(-1, 8)

    def __init__(self):
        self.itself = self

    def __del__(self):
        self.ended[:] = os.getpid().to_bytes(8, "little")


class Collecting:
    """A reader whose copies look for garbage."""

    def __init__(self, image):
        self.image = image

    def read(self, _position):
        if multiprocessing.current_process().daemon:
            gc.collect()
        return self.image


def test_copies_that_read_leave_the_garbage_of_the_process_alone():
    drawn = make_plan(count=8, layers=("layer4",))
    plan = dataclasses.replace(drawn, probe=dataclasses.replace(drawn.probe, reader=Collecting(drawn.probe.read(0))))
    gc.collect()
    gc.disable()
    try:
        Resource()
        assert len(list(read_by_processes(plan, [range(4), range(4, 8)], 2, 2**20, torch.clone))) == 2
        assert int.from_bytes(Resource.ended[:], "little") == 0
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_dissection_read_by_copies_gives_the_same_on_a_gpu(monkeypatch, tmp_path):
    """Nothing is read before it has arrived, and nothing is written to while the device still copies from it."""
    expected = passed(with_clip(), tmp_path / "here")
    monkeypatch.setattr(read_ahead, "processes_for", lambda *_: Processes(2, 2**20))
    with FarDevice() as device:
        far = with_clip()
        for module in (far.models[0].classifier.module, far.clip.module):
            device.moved(module)
        found = passed(far, tmp_path / "there")
        device.synchronize()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def with_clip():
    return dataclasses.replace(make_plan(layers=("layer3", "layer4")), clip=load_clip("scenes"))


def passed(plan, folder: Path):
    found = run_probe_pass(plan, Checkpoints(folder), engine=in_this_process)
    arrays = [found.whole.embeddings]
    for index, layer in enumerate(found.whole.layers):
        arrays += [layer.activations, layer.top.quantile(SHARE)]
        arrays += strips(found, index, most_active(layer.activations, SHOWN))
    return arrays
