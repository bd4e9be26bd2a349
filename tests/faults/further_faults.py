"""More faults: stale caches, wrong axes, ties that are broken otherwise, and models that only look the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import skimage.segmentation
import torch
from fault import POOLED, RESNET, SWIN, VIT, Fault, column, everywhere, module_changed, replaced, scaled
from pytorch_grad_cam import GradCAM
from spelt_further import Adapted, Scaled, as_buffer
from torch import nn
from torch.nn.utils import parametrize
from torchvision.models.resnet import BasicBlock

from xai_eval.explainers.attribution import captum_methods, methods
from xai_eval.explainers.attribution.methods import signed_map
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.explainers.dissection.by_clip import label_by_clip, most_active
from xai_eval.explainers.lime import lime as our_lime
from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.explainers.lime.segmentation import in_reading_order
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks import cam_results
from xai_eval.tasks.studies import search_results, search_scores

CAMS, LIME, DISSECTION, SEARCH = ("cams",), ("lime",), ("dissection",), ("lime_search",)
TYPES, WEIGHTS = StageKind.MODULE_TYPES, StageKind.MODEL_WEIGHTS

# --- models that look the same ----------------------------------------------------------------------------------------


def in_memory(name: str, stage: Any, change: Any, tasks: tuple[str, ...] = CAMS, *models: str) -> Fault:
    return Fault(name, "model state", tasks, stage, module_changed(change), models=models or (RESNET,))


def blocks_exchanged(module: nn.Module) -> None:
    """Two blocks of one shape have each other's places and names."""
    module.layer1 = nn.Sequential(module.layer1[1], module.layer1[0])


def last_blocks_exchanged(module: nn.Module) -> None:
    """Their convolutions of one shape change places."""
    first, last = module.layer4[0], module.layer4[1]
    first.conv2, last.conv2 = last.conv2, first.conv2


def encoder_blocks_exchanged(module: nn.Module) -> None:
    layers = module.encoder.layers
    names = list(layers._modules)
    layers._modules[names[0]], layers._modules[names[1]] = layers._modules[names[1]], layers._modules[names[0]]


def two_stages_in_one(module: nn.Module) -> None:
    """`layer3` gives what `layer4` gave."""
    module.layer3, module.layer4 = nn.Sequential(module.layer3, module.layer4), nn.Identity()


def buffers_off(module: nn.Module) -> None:
    """A scale becomes a buffer, and is read from an earlier file."""
    part = module.layer3[1].bn2
    as_buffer(part, "weight")
    part.weight.mul_(1.003)


def unsaved_buffer_lost(module: nn.Module) -> None:
    """The bias is no longer saved, and so begins at 0 again."""
    part = module.layer2[1].bn1
    as_buffer(part, "bias", persistent=False)
    part.bias.zero_()


def positions_as_zero_buffer(module: nn.Module) -> None:
    as_buffer(module.encoder, "pos_embedding")
    module.encoder.pos_embedding.mul_(0.99)


def table_of_swin_shifted(module: nn.Module) -> None:
    part = next(each for each in module.modules() if hasattr(each, "relative_position_bias_table"))
    as_buffer(part, "relative_position_bias_table")
    part.relative_position_bias_table.copy_(part.relative_position_bias_table.roll(1, 0))


class Shrinking(nn.Module):
    """A parametrization that does a little."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * 0.999


def parametrized(module: nn.Module) -> None:
    parametrize.register_parametrization(module.layer3[1].conv1, "weight", Shrinking())


def adapted(module: nn.Module) -> None:
    module.fc = Adapted(module.fc)
    module.fc.up.weight.fill_(1e-3)


def layer_scaled(module: nn.Module) -> None:
    module.layer3 = Scaled(module.layer3)
    module.layer3.gamma.fill_(1.001)


def nothing_of_the_shortcut(module: nn.Module) -> None:
    """The shortcut is an identity that drops a channel."""

    class Dropping(nn.Identity):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x[:, :-1], 0 * x[:, -1:]], dim=1)

    module.layer2[1].downsample = Dropping()


def relu_between_blocks(module: nn.Module) -> None:
    """A module that looks like an identity is put between two blocks."""
    module.layer2 = nn.Sequential(module.layer2[0], nn.Hardtanh(0.0, 1.0), module.layer2[1])


def second_relu_lost(module: nn.Module) -> None:
    class Lost(BasicBlock):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return out + (x if self.downsample is None else self.downsample(x))

    module.layer3[1].__class__ = Lost


MODELS = (
    in_memory("two blocks change places", Stage(WEIGHTS, "layer1.0"), blocks_exchanged, ("cams", "dissection")),
    in_memory("convolutions of two blocks change places", Stage(WEIGHTS, "layer4.0"), last_blocks_exchanged),
    in_memory("two blocks of a transformer change places", WEIGHTS, encoder_blocks_exchanged, CAMS, VIT, POOLED),
    Fault(
        "a stage stands for two",
        "layer",
        DISSECTION,
        TYPES,
        module_changed(two_stages_in_one),
        parameters={"layers": ["layer3", "layer4"]},
    ),
    in_memory("a scale becomes a buffer of an earlier file", Stage(WEIGHTS, "layer3.1"), buffers_off),
    in_memory(
        "a bias that is not saved is lost", Stage(WEIGHTS, "layer2.1"), unsaved_buffer_lost, ("cams", "dissection")
    ),
    in_memory("positions become a buffer of other values", WEIGHTS, positions_as_zero_buffer, CAMS, VIT, POOLED),
    in_memory("a table of positions becomes a buffer and is shifted", WEIGHTS, table_of_swin_shifted, CAMS, SWIN),
    in_memory("a parametrization shrinks weights", TYPES, parametrized, ("cams", "dissection")),
    in_memory("an adapter has learnt a little", TYPES, adapted),
    in_memory("a layer scale is not one", TYPES, layer_scaled),
    in_memory("a shortcut drops a channel", TYPES, nothing_of_the_shortcut),
    in_memory("what stands between two blocks cuts off", TYPES, relu_between_blocks, ("cams", "dissection")),
    in_memory("the ReLU after a sum is lost", TYPES, second_relu_lost),
)

# --- stale caches, axes and places ------------------------------------------------------------------------------------


def remembered(original: Any) -> Any:
    """What was computed first is given for ever, as long as shapes agree."""
    known: dict[Any, Any] = {}

    def call(*args: Any, **options: Any) -> Any:
        found = original(*args, **options)
        return known.setdefault(np.shape(found), found)

    return call


def remembered_by_method(original: Any) -> Any:
    known: dict[Any, Any] = {}

    def explain(module: Any, layer: Any, images: Any, classes: Any, method: str, **options: Any) -> Any:
        found = original(module, layer, images, classes, method, **options)
        return known.setdefault((method, found.image.shape), found)

    return explain


def segments_of_the_first(original: Any) -> Any:
    known: dict[Any, Any] = {}
    return lambda pixels, **options: known.setdefault(np.shape(pixels), original(pixels, **options))


def turned(change: Any) -> Any:
    """The final map is turned."""

    def make(original: Any) -> Any:
        def explain(*args: Any, **options: Any) -> Any:
            found = original(*args, **options)
            return dataclasses.replace(found, image=np.ascontiguousarray(change(found.image)))

        return explain

    return make


def gamma(maps: Any) -> Any:
    return maps**1.05


def mean_over_wrong_axes(_original: Any) -> Any:
    """Gradients are averaged over channels."""

    def weights(self: Any, images: Any, layer: Any, targets: Any, activations: Any, grads: Any) -> Any:
        return np.broadcast_to(grads.mean(axis=(1, 2, 3))[:, None], grads.shape[:2])

    return weights


def of_columns_before(original: Any) -> Any:
    """Probabilities of classes are one column off."""
    return lambda self, *args: np.roll(original(self, *args), 1, axis=1)


def intercept_in_weights(original: Any) -> Any:
    def surrogate(label: int, count: int, answer: Any) -> Any:
        found = original(label, count, answer)
        return dataclasses.replace(found, weights=found.weights + found.intercept / count)

    return surrogate


def clipped_r2(original: Any) -> Any:
    def surrogate(*args: Any) -> Any:
        found = original(*args)
        return dataclasses.replace(found, r2=min(found.r2, 0.9))

    return surrogate


def as_library_numbers(_original: Any) -> Any:
    """Superpixels are not numbered in reading order."""
    return lambda segments: np.arange(int(segments.max()) + 1)[::-1].copy()


def rolled(axis: int) -> Any:
    return lambda original: lambda *args, **options: np.roll(original(*args, **options), 1, axis=axis)


def next_image(original: Any) -> Any:
    """Activations belong to the next image, when units are compared with words."""

    def label(embeddings: Any, concepts: Any, activations: Any, *rest: Any) -> Any:
        return original(embeddings, concepts, np.roll(activations, 1, axis=0), *rest)

    return label


def every_second(original: Any) -> Any:
    """Only every second image can be among the top images."""

    def most(activations: Any, count: int) -> Any:
        hidden = activations.copy()
        hidden[1::2] = activations.min() - 1
        return original(hidden, count)

    return most


def by_median(maps: torch.Tensor) -> torch.Tensor:
    return maps.flatten(2).median(dim=2).values


def same_noise(original: Any) -> Any:
    def explain(method: Any, question: Any, seed: int) -> Any:
        return original(method, question, seed + 1)

    return explain


def mean_of_channels(_original: Any) -> Any:
    return lambda attribution, shape: attribution.mean(axis=0) if attribution.ndim == 3 else attribution


def absolute_product(original: Any) -> Any:
    return lambda question: original(question).abs()


def one_pixel_less(original: Any) -> Any:
    return lambda height, width, share: original(height, width, share) - 1


def stale(name: str, tasks: tuple[str, ...], stage: Any, inject: Any, kind: str = "library", **given: Any) -> Fault:
    return Fault(name, kind, tasks, stage, inject, **given)


STALE = (
    stale(
        "maps of the first image are remembered",
        CAMS,
        StageKind.RAW_MAP,
        everywhere(explain_by_cam, remembered_by_method),
    ),
    stale(
        "superpixels of the first image are remembered",
        LIME,
        StageKind.SEGMENTS,
        replaced(skimage.segmentation, "slic", segments_of_the_first),
        "lime",
    ),
    stale(
        "maps are mirrored at the end",
        CAMS,
        StageKind.FINAL_MAP,
        everywhere(explain_by_cam, turned(lambda m: m[:, :, ::-1])),
    ),
    stale(
        "maps are a pixel to the side",
        CAMS,
        StageKind.FINAL_MAP,
        everywhere(explain_by_cam, turned(lambda m: np.roll(m, 1, 2))),
    ),
    stale("maps have a gamma", CAMS, StageKind.FINAL_MAP, everywhere(explain_by_cam, turned(gamma))),
    stale(
        "gradients are averaged over channels",
        CAMS,
        Stage(StageKind.RAW_MAP, "gradcam"),
        replaced(GradCAM, "get_cam_weights", mean_over_wrong_axes),
    ),
    stale(
        "probabilities are one class off",
        LIME,
        StageKind.PERTURBED_PREDICTIONS,
        replaced(PerturbedImages, "_predicted", of_columns_before),
        "lime",
    ),
    stale(
        "the intercept is shared out",
        LIME,
        StageKind.WEIGHTS,
        replaced(our_lime, "_surrogate", intercept_in_weights),
        "lime",
    ),
    stale("R2 is cut off", LIME, StageKind.SURROGATES, replaced(our_lime, "_surrogate", clipped_r2), "lime"),
    stale(
        "superpixels in reverse reading order",
        LIME,
        StageKind.SEGMENTS,
        everywhere(in_reading_order, as_library_numbers),
        "lime",
    ),
    stale(
        "units are compared with words on the next image",
        DISSECTION,
        StageKind.SIMILARITY,
        everywhere(label_by_clip, next_image),
        "dissection",
    ),
    stale(
        "every second image is no top image",
        DISSECTION,
        StageKind.TOP_K,
        everywhere(most_active, every_second),
        "dissection",
    ),
    stale(
        "similarities of units are one word off",
        DISSECTION,
        StageKind.SIMILARITY,
        everywhere(label_by_clip, rolled(1)),
        "dissection",
    ),
    stale(
        "similarities belong to the next unit",
        DISSECTION,
        StageKind.SIMILARITY,
        everywhere(label_by_clip, rolled(0)),
        "dissection",
    ),
    stale(
        "another seed of noise",
        ("attributions",),
        StageKind.ATTRIBUTION,
        everywhere(methods.explain, same_noise),
        "seeds",
        parameters={"methods": ["smoothgrad"], "samples": 4},
    ),
    stale(
        "channels are averaged",
        ("attributions",),
        StageKind.SIGNED_MAP,
        everywhere(signed_map, mean_of_channels),
        "attribution",
    ),
    stale(
        "the product with the gradient is absolute",
        ("attributions",),
        Stage(StageKind.ATTRIBUTION, "input_x_gradient"),
        replaced(captum_methods, "input_x_gradient", absolute_product),
        "attribution",
    ),
    stale(
        "windows of occlusion are a pixel smaller",
        ("attributions",),
        Stage(StageKind.ATTRIBUTION, "occlusion"),
        replaced(captum_methods, "window_side", one_pixel_less),
        "attribution",
        parameters={"methods": ["occlusion"]},
    ),
)

# --- what people read, and ties ---------------------------------------------------------------------------------------


def cell(name: str, change: Any, row: int = 0) -> Any:
    """Change one cell of a column."""

    def changed_cell(frame: Any) -> Any:
        values = frame[name].to_list()
        values[row] = change(values[row])
        return values

    return column(name, changed_cell)


def dearest_first(original: Any) -> Any:
    """Of tied settings, the dearest is taken."""
    return lambda settings: original(settings)[::-1]


def to_two_digits(original: Any) -> Any:
    def scores(*args: Any) -> Any:
        return {name: round(value, 2) for name, value in original(*args).items()}

    return scores


def of_two_best(original: Any) -> Any:
    """All settings within a hundredth win."""

    def best(self: Any, objective: Any) -> Any:
        values = self.values(objective) * objective.sign
        rows = list(self.tied.values())
        near = [rows[place] for place in np.flatnonzero(values >= np.nanmax(values) - 0.05)]
        return search_scores.cheapest_first(setting for row in near for setting in row)

    return best


def broken(*_args: Any, **_options: Any) -> Any:
    raise TypeError("got an unexpected keyword argument")


def only_in_trials(original: Any) -> Any:
    """The library fails on the small image of the trials."""

    def weights(self: Any, images: Any, *rest: Any) -> Any:
        return broken() if images.shape[-1] == 16 else original(self, images, *rest)

    return weights


READ = StageKind.MEASURES
READING = (
    stale(
        "a library breaks in a trial alone",
        ("cams", "comparison"),
        "trial the map of gradcam",
        replaced(GradCAM, "get_cam_weights", only_in_trials),
    ),
    stale(
        "the dearest of tied settings", SEARCH, READ, everywhere(search_scores.cheapest_first, dearest_first), "search"
    ),
    stale(
        "scores are rounded to two digits",
        SEARCH,
        READ,
        replaced(search_scores.Scoring, "_scores", to_two_digits),
        "search",
    ),
    stale(
        "nearly as good settings win",
        SEARCH,
        StageKind.FINAL_MAP,
        replaced(search_scores.ScoredSettings, "best", of_two_best),
        "search",
    ),
    stale(
        "a tied setting more in the table of winners",
        SEARCH,
        READ,
        replaced(search_results, "_winners", cell("tied_settings", lambda n: n + 1, -1)),
        "counts",
    ),
    stale(
        "an image more agrees with the mask",
        SEARCH,
        READ,
        replaced(search_results, "_objectives", column("images", lambda f: f["images"] + 1)),
        "counts",
    ),
    stale(
        "better and worse change names",
        SEARCH,
        READ,
        replaced(search_results, "_winners", column("better", lambda f: f["better"].to_numpy()[::-1])),
        "reading",
    ),
    stale(
        "the pointing game of the last method",
        CAMS,
        READ,
        replaced(
            cam_results,
            "map_row",
            scaled(lambda row: {**row, "pointing_exact": True} if row["method"] == "eigencam" else row),
        ),
        "reading",
    ),
)

FAULTS = (*MODELS, *STALE, *READING)

# What these show is not shown by others; the rest is tried by a thorough run only.
_OFTEN = {
    "two blocks change places",
    "a stage stands for two",
    "a scale becomes a buffer of an earlier file",
    "a bias that is not saved is lost",
    "maps of the first image are remembered",
    "similarities of units are one word off",
    "a library breaks in a trial alone",
    "the dearest of tied settings",
    "nearly as good settings win",
}
RARELY = {fault.name for fault in FAULTS} - _OFTEN
