"""What a dissection costs beside the forward passes that it cannot do without, measured in one run.

    pytest -m benchmark --benchmark-enable tests/benchmarks/test_dissection_rate.py -s

The bare loop runs prepared batches through the model, as one would write it, and does nothing else. The pass decodes
nothing here (images are in memory) but prepares them, keeps what every unit of three layers does, labels' maps and
thumbnails, and saves shards; it reads ahead and runs images channels last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectedModel, DissectionPlan
from xai_eval.explainers.dissection.probe_pass import in_this_process, run_probe_pass
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.probes.probe_set import ProbeImage, ProbeSet
from xai_eval.inputs.probes.probes import load_probe

IMAGES, BATCH, SIDE = 256, 32, 224


@dataclass(frozen=True)
class InMemory:
    """Scenes at the size of ImageNet's images, with their label maps."""

    images: tuple[ProbeImage, ...]

    def read(self, position: int) -> ProbeImage:
        return self.images[position]


def enlarged(image: ProbeImage) -> ProbeImage:
    pixels = Image.fromarray(image.pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return ProbeImage(image.name, np.asarray(pixels), image.labels)


@pytest.mark.benchmark
def test_rate_beside_the_bare_forward_loop(tmp_path: Path, benchmark: Any) -> None:
    scenes = load_probe(f"scenes:{IMAGES}")
    images = tuple(enlarged(scenes.read(position)) for position in range(IMAGES))
    probe = ProbeSet("memory", scenes.names, InMemory(images), scenes.concepts, scenes.digest)
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=12).eval()
    prepare = fixed_size_preprocessing(SIDE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    classifier = Classifier("resnet18", net, prepare, tuple(map(str, range(12))))
    dissected = DissectedModel.at_its_fastest(classifier, ("layer2", "layer3", "layer4"))
    plan = DissectionPlan(probe, (dissected,), None, batch_size=BATCH)
    batches = torch.stack([prepare(Image.fromarray(image.pixels)) for image in images]).split(BATCH)

    def bare() -> float:
        start = time.perf_counter()
        with torch.no_grad():
            for batch in batches:
                net(batch)
        return time.perf_counter() - start

    def ours(folder: Path) -> float:
        start = time.perf_counter()
        found = run_probe_pass(plan, Checkpoints(folder), engine=in_this_process)
        seconds = time.perf_counter() - start
        expected = bare_activations(net, batches[0].contiguous(memory_format=dissected.memory_format))
        np.testing.assert_allclose(found.whole.layers[2].activations[:BATCH], expected, rtol=0, atol=1e-6)
        return seconds

    bare()
    # In turns, so that both meet the same machine.
    seconds = [(bare(), ours(tmp_path / str(each))) for each in range(5)]
    forward, whole = (float(np.median(each)) for each in zip(*seconds, strict=True))
    benchmark.pedantic(bare, rounds=1)
    benchmark.extra_info["share_of_bare_rate"] = forward / whole
    print(
        f"\nbare forward {IMAGES / forward:.1f} images a second, dissection {IMAGES / whole:.1f}: "
        f"{forward / whole:.0%} of the bare rate"
    )


def bare_activations(net: torch.nn.Module, batch: torch.Tensor) -> Any:
    kept: list[torch.Tensor] = []
    handle = net.get_submodule("layer4").register_forward_hook(lambda _m, _i, out: kept.append(out))
    with torch.no_grad():
        net(batch)
    handle.remove()
    return kept[0].mean(dim=(2, 3)).numpy()
