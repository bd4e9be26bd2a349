"""A dissection beside the plain loop: decode, prepare, run the models, keep one number per image and unit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg
from PIL import Image
from torch import Tensor

from xai_eval.bench.contest import Contest
from xai_eval.bench.row import Row
from xai_eval.bench.scenes import StoredPhotographs, random_classifier
from xai_eval.bench.size import FULL, Size
from xai_eval.explainers.dissection.by_clip import most_active
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectedModel, DissectionPlan
from xai_eval.explainers.dissection.image_strips import strips
from xai_eval.explainers.dissection.observe import pool_positions
from xai_eval.explainers.dissection.probe_pass import ProbePass, in_this_process, run_probe_pass
from xai_eval.inputs.clip.clip import Clip, ClipPreprocessing, load_clip
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.probes.probe_set import ProbeSet

_NETWORK, _LAYERS, _MODELS = "resnet18", ("layer2", "layer3", "layer4"), 2
_BATCH = 32
_SHOWN = 5
# Activations as a share of the largest one of their layer; GPUs round convolutions to ten bits by default, and another
# memory format may round otherwise.
_TOLERANCE = 5e-3


def dissection_row(size: Size) -> Row:
    """Return the row of a dissection with everything but the labels, which have rows of their own."""
    name = f"dissection, {size.probe_images} images, {_MODELS} {_NETWORK}, CLIP"
    return Row(name, "decode, prepare, run, pool", "the models on prepared batches", partial(_opened, size), weight=2.5)


@contextmanager
def _opened(size: Size, device: torch.device) -> Iterator[Contest]:
    plan = _plan(size, device)
    folders = iter(range(1_000_000))
    with tempfile.TemporaryDirectory(prefix="xai-eval-bench-") as folder:

        def ours() -> list[NDArray[np.float32]]:
            checkpoints = Checkpoints(Path(folder) / str(next(folders)))
            found = run_probe_pass(plan, checkpoints, engine=in_this_process)
            _draw_strips(found)
            checkpoints.remove()
            return [layer.activations for layer in found.whole.layers]

        yield Contest(partial(_loop, plan), ours, _difference, _TOLERANCE, partial(_bare, plan, _prepared(plan)))


def _plan(size: Size, device: torch.device) -> DissectionPlan:
    names = tuple(map(str, range(size.probe_images)))
    probe = ProbeSet("photographs", names, StoredPhotographs.drawn(), (), "bench")
    classifiers = [random_classifier(_NETWORK, size.side, device) for _ in range(_MODELS)]
    models = tuple(DissectedModel.at_its_fastest(each, _LAYERS) for each in classifiers)
    clip = _vit(device) if size == FULL else load_clip("scenes", device=str(device))
    return DissectionPlan(probe, models, clip, batch_size=_BATCH)


def _vit(device: torch.device) -> Clip:
    """Return CLIP's ViT-B/16 with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = open_clip.create_model("ViT-B-16", pretrained=None).eval().to(device)
    config = PreprocessCfg(**open_clip.get_model_preprocess_cfg(module))
    return Clip("ViT-B-16", module, ClipPreprocessing(config), open_clip.get_tokenizer("ViT-B-16"), "bench")


def _draw_strips(found: ProbePass) -> None:
    for index, layer in enumerate(found.whole.layers):
        for _ in strips(found, index, most_active(layer.activations, _SHOWN)):
            pass


@dataclass(eq=False)
class _Pooled:
    """Collects what layers return, one number per image and unit."""

    found: dict[tuple[int, str], list[NDArray[np.float32]]]

    def hook(self, key: tuple[int, str]) -> Any:
        found = self.found.setdefault(key, [])
        return lambda _module, _given, output: found.append(pool_positions(output).cpu().numpy())


def _loop(plan: DissectionPlan) -> list[NDArray[np.float32]]:
    """Compute the activations as one writes it down."""
    pooled = _Pooled({})
    handles = [
        model.classifier.layer(layer).register_forward_hook(pooled.hook((index, layer)))
        for index, model in enumerate(plan.models)
        for layer in model.layers
    ]
    try:
        with torch.no_grad():
            for start in range(0, len(plan.probe), plan.batch_size):
                images = _decoded(plan, range(start, min(start + plan.batch_size, len(plan.probe))))
                for model in plan.models:
                    _run(model.classifier, torch.stack([model.classifier.preprocess(each) for each in images]))
                if plan.clip is not None:
                    plan.clip.embed_images(torch.stack([plan.clip.preprocess(each) for each in images])).cpu()
    finally:
        for handle in handles:
            handle.remove()
    return [np.concatenate(each) for each in pooled.found.values()]


def _decoded(plan: DissectionPlan, positions: range) -> list[Image.Image]:
    return [Image.fromarray(plan.probe.read(each).pixels) for each in positions]


def _run(classifier: Classifier, batch: Tensor) -> None:
    classifier.module(batch.to(classifier.device))


def _prepared(plan: DissectionPlan) -> list[Tensor]:
    """Return a prepared batch for each model, and for CLIP."""
    images = _decoded(plan, range(min(plan.batch_size, len(plan.probe))))
    prepared = [torch.stack([model.classifier.preprocess(each) for each in images]) for model in plan.models]
    return prepared if plan.clip is None else [*prepared, torch.stack([plan.clip.preprocess(each) for each in images])]


def _bare(plan: DissectionPlan, prepared: list[Tensor]) -> None:
    """Run the models as often as the images need it, always on the same batch."""
    batches = -(-len(plan.probe) // plan.batch_size)
    with torch.no_grad():
        for model, batch in zip(plan.models, prepared, strict=False):
            for _ in range(batches):
                _run(model.classifier, batch)
        if plan.clip is not None:
            for _ in range(batches):
                plan.clip.embed_images(prepared[-1])


def _difference(stock: list[NDArray[np.float32]], ours: list[NDArray[np.float32]]) -> float:
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(stock, ours, strict=True))
