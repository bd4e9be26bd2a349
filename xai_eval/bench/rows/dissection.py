"""A dissection, without the labels, beside the plain loop: activations, thresholds, and strips of the top images."""

from __future__ import annotations

import io
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
from PIL import Image, ImageFilter
from torch import Tensor

from xai_eval.bench.contest import Contest
from xai_eval.bench.row import Row
from xai_eval.bench.scenes import StoredPhotographs, random_classifier
from xai_eval.bench.size import FULL, Size
from xai_eval.explainers.dissection.by_clip import most_active
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectedModel, DissectionPlan
from xai_eval.explainers.dissection.image_strips import strips
from xai_eval.explainers.dissection.image_summary import THUMBNAIL
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.probe_pass import ProbePass, in_this_process, run_probe_pass
from xai_eval.explainers.dissection.strongest_maps import SHOWN
from xai_eval.inputs.clip.clip import Clip, ClipPreprocessing
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.later_checks import checked_at_the_end
from xai_eval.inputs.probes.probe_set import ProbeSet

_NETWORK, _LAYERS, _MODELS = "resnet18", ("layer2", "layer3", "layer4"), 2
# Below this size of images, decoding and drawing take longer than the models.
_SIDE = 224
_BATCH = 32
# The plain loop keeps all maps, 3 MB per image, so of more images its time is that of these, multiplied.
_MOST_PLAIN = 640
# As a share of the largest value of a layer; GPUs round convolutions to ten bits by default, and another memory format
# may round otherwise.
_TOLERANCE = 5e-3


def dissection_row(size: Size) -> Row:
    """Return the row of a dissection with everything but the labels: activations, thresholds and strips."""
    clip = "ViT-B-16" if size == FULL else "ViT-B-32"
    name = f"dissection, {size.probe_images} images of {_SIDE} px, {_MODELS} {_NETWORK}, {clip}"
    stock = "decode, prepare, run, keep all maps, numpy.quantile, strips of the top images"
    return Row(name, stock, "the models on prepared batches", partial(_opened, size.probe_images, clip), weight=2.5)


@dataclass(frozen=True, eq=False)
class _Found:
    """What a dissection finds in a layer before its units are labelled: (N, J) and (J,)."""

    activations: NDArray[np.float32]
    thresholds: NDArray[np.float64]


@contextmanager
def _opened(images: int, clip: str, device: torch.device) -> Iterator[Contest]:
    plan = _plan(images, clip, device)
    plain = min(images, _MOST_PLAIN)
    folders = iter(range(1_000_000))
    with tempfile.TemporaryDirectory(prefix="xai-eval-bench-") as folder:

        def ours() -> list[_Found]:
            checkpoints = Checkpoints(Path(folder) / str(next(folders)))
            found = run_probe_pass(plan, checkpoints, engine=in_this_process)
            _draw_strips(found)
            checkpoints.remove()
            return [_Found(each.activations, each.top.quantile(SHARE)) for each in found.whole.layers if each.top]

        loop, bare = partial(_loop, plan, plain), partial(_bare, plan, _prepared(plan))
        yield Contest(loop, ours, _difference, _TOLERANCE, bare, scale=images / plain)


def _plan(images: int, clip: str, device: torch.device) -> DissectionPlan:
    probe = ProbeSet("photographs", tuple(map(str, range(images))), StoredPhotographs.drawn(), (), "bench")
    classifiers = [random_classifier(_NETWORK, _SIDE, device) for _ in range(_MODELS)]
    models = tuple(DissectedModel.at_its_fastest(each, _LAYERS) for each in classifiers)
    return DissectionPlan(probe, models, _random_clip(clip, device), batch_size=_BATCH)


def _random_clip(name: str, device: torch.device) -> Clip:
    """Return a CLIP model with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = open_clip.create_model(name, pretrained=None).eval().to(device)
    config = PreprocessCfg(**open_clip.get_model_preprocess_cfg(module))
    return Clip(name, module, ClipPreprocessing(config), open_clip.get_tokenizer(name), "bench")


def _draw_strips(found: ProbePass) -> None:
    for index, layer in enumerate(found.whole.layers):
        for _ in strips(found, index, most_active(layer.activations, SHOWN)):
            pass


def _loop(plan: DissectionPlan, count: int) -> list[_Found]:
    """Dissect the first images as one writes it down."""
    kept: dict[tuple[int, str], list[Tensor]] = {}
    thumbnails = []
    with torch.no_grad(), _hooks(plan, kept):
        for start in range(0, count, plan.batch_size):
            images = _decoded(plan, range(start, min(start + plan.batch_size, count)))
            thumbnails += [image.resize((THUMBNAIL, THUMBNAIL)) for image in images]
            for model in plan.models:
                _run(model.classifier, torch.stack([model.classifier.preprocess(each) for each in images]))
            if plan.clip is not None:
                plan.clip.embed_images(torch.stack([plan.clip.preprocess(each) for each in images])).cpu()
    return [_plain_layer(torch.cat(maps).numpy(), thumbnails) for maps in kept.values()]


@contextmanager
def _hooks(plan: DissectionPlan, kept: dict[tuple[int, str], list[Tensor]]) -> Iterator[None]:
    """Append to `kept`, by model and layer, what the layers return."""

    def keep(key: tuple[int, str]) -> Any:
        maps = kept.setdefault(key, [])
        return lambda _module, _given, output: maps.append(output.detach().cpu().clone())

    handles = [
        model.classifier.layer(layer).register_forward_hook(keep((index, layer)))
        for index, model in enumerate(plan.models)
        for layer in model.layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _plain_layer(maps: NDArray[np.float32], thumbnails: list[Image.Image]) -> _Found:
    """Pool the maps (N, J, h, w) of a layer, take the thresholds, and draw the top images of each unit."""
    activations = maps.mean(axis=(2, 3))
    by_unit = maps.swapaxes(0, 1).reshape(maps.shape[1], -1)
    thresholds = np.quantile(by_unit, 1 - SHARE, axis=1).astype(np.float64)
    for unit, rows in enumerate(np.argsort(-activations, axis=0)[:SHOWN].T):
        strip = Image.new("RGB", (THUMBNAIL * len(rows), THUMBNAIL))
        for place, row in enumerate(rows):
            enlarged = Image.fromarray(maps[row, unit]).resize(thumbnails[row].size, Image.Resampling.BILINEAR)
            active = Image.fromarray(np.asarray(enlarged) > thresholds[unit])
            strip.paste(thumbnails[row], (THUMBNAIL * place, 0))
            strip.paste((0, 255, 255), (THUMBNAIL * place, 0), active.filter(ImageFilter.FIND_EDGES))
        strip.save(io.BytesIO(), "jpeg")
    return _Found(activations, thresholds)


def _decoded(plan: DissectionPlan, positions: range) -> list[Image.Image]:
    return [Image.fromarray(plan.probe.read(each).pixels) for each in positions]


def _run(classifier: Classifier, batch: Tensor) -> None:
    classifier.module(batch.to(classifier.device))


def _prepared(plan: DissectionPlan) -> list[Tensor]:
    """Return a prepared batch for each model, and for CLIP, on its device."""
    images = _decoded(plan, range(min(plan.batch_size, len(plan.probe))))

    def batch(user: Classifier | Clip) -> Tensor:
        return torch.stack([user.preprocess(each) for each in images]).to(user.device)

    classifiers = [batch(model.classifier) for model in plan.models]
    return classifiers if plan.clip is None else [*classifiers, batch(plan.clip)]


def _bare(plan: DissectionPlan, prepared: list[Tensor]) -> None:
    """Run the models as often as the images need it, always on the same batch."""
    batches = -(-len(plan.probe) // plan.batch_size)
    # As in ours, no batch is waited for.
    with torch.no_grad(), checked_at_the_end():
        for model, batch in zip(plan.models, prepared, strict=False):
            for _ in range(batches):
                _run(model.classifier, batch)
        if plan.clip is not None:
            for _ in range(batches):
                plan.clip.embed_images(prepared[-1])


def _difference(stock: list[_Found], ours: list[_Found]) -> float:
    """Compare layer by layer; thresholds only if both are over the same images."""
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for one, other in zip(stock, ours, strict=True):
        pairs.append((one.activations, other.activations[: len(one.activations)]))
        if len(one.activations) == len(other.activations):
            pairs.append((one.thresholds, other.thresholds))
    return max(float(np.abs(one - other).max() / np.abs(one).max()) for one, other in pairs)
