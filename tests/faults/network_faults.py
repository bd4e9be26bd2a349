"""Faults that are tried on real networks, MobileNetV2 and EfficientNet-Lite0, with photographs."""

from __future__ import annotations

from typing import Any

import cv2
import lime.lime_base
import lime.lime_image
import numpy as np
import pytorch_grad_cam
from fault import Fault, column, everywhere, module_changed, replaced, weights_changed
from input_faults import by, decoded, resized
from map_faults import of_the_image_before, with_corners_aligned
from model_faults import halved
from PIL import Image
from reading_faults import names_swapped, wrong_prediction_told
from sample_faults import mean_of_the_image, of_the_next_class, regressor, without_root
from state_faults import bias_lost, coarse_colours, hooked_at_the_end, two_classes_swapped
from torch import nn
from unit_faults import outputs

from xai_eval.explainers.lime.perturbation import PerturbedImages
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.image import target
from xai_eval.tasks.lime import lime_results

MOBILE, LITE = "imagenet", "lite0"  # the functions of their factory files
NETWORKS = (MOBILE, LITE)
UNITS = {"images": "scenes:16", "layers": ["features.18"], "shuffles": 0, "against": "none", "batch_size": 8}


def without_bound(_original: Any) -> Any:
    return lambda self, x: nn.functional.relu(x)


def other_side(original: Any) -> Any:
    """Padding of an odd width goes to the other side, as two frameworks do it."""

    def pad(x: Any, sides: Any, *args: Any, **options: Any) -> Any:
        sides = tuple(sides)
        swapped = (sides[1], sides[0], sides[3], sides[2]) if len(sides) == 4 else sides
        return original(x, swapped, *args, **options)

    return pad


def network(name: str, kind: str, tasks: tuple[str, ...], stage: Any, inject: Any, **options: Any) -> Fault:
    return Fault(name, kind, tasks, stage, inject, **{"models": NETWORKS, **options})


CAMS, LIME = ("cams",), ("lime",)
FAULTS = (
    network(
        "colours are not smoothed", "decode", CAMS, StageKind.DECODED_PIXELS, decoded(coarse_colours), models=(LITE,)
    ),
    network(
        "nearest neighbour resize",
        "resize",
        CAMS,
        StageKind.INPUT_TENSOR,
        resized(by(Image.Resampling.NEAREST)),
        models=(MOBILE,),
    ),
    network(
        "ReLU6 has no bound", "layer", CAMS, StageKind.LAYER_ACTIVATIONS, replaced(nn.ReLU6, "forward", without_bound)
    ),
    network(
        "padding on the other side",
        "layer",
        CAMS,
        StageKind.LAYER_ACTIVATIONS,
        replaced(nn.functional, "pad", other_side),
    ),
    network("weights in half precision", "dtype", CAMS, StageKind.MODEL_WEIGHTS, weights_changed(halved)),
    network(
        "two classes change places",
        "weights",
        CAMS,
        StageKind.MODEL_WEIGHTS,
        weights_changed(two_classes_swapped),
        models=(LITE,),
    ),
    network("no bias at the end", "weights", LIME, StageKind.MODEL_WEIGHTS, weights_changed(bias_lost)),
    network(
        "a hook scales the logits",
        "model state",
        CAMS,
        StageKind.HOOKS,
        module_changed(hooked_at_the_end),
        models=(MOBILE,),
    ),
    network("two other classes change their names", "identity", CAMS, StageKind.TARGET, names_swapped(-1, -2)),
    network(
        "another prediction is told",
        "identity",
        CAMS,
        StageKind.TARGET,
        everywhere(target.resolve_target, wrong_prediction_told),
        models=(MOBILE,),
    ),
    network(
        "weights of the image before",
        "library",
        CAMS,
        Stage(StageKind.RAW_MAP, "gradcam"),
        replaced(pytorch_grad_cam.GradCAM, "get_cam_weights", of_the_image_before),
    ),
    network(
        "maps are enlarged with their corners aligned",
        "library",
        CAMS,
        StageKind.FINAL_MAP,
        replaced(cv2, "resize", with_corners_aligned),
    ),
    network(
        "hidden superpixels have the mean colour of the image",
        "lime",
        LIME,
        StageKind.PERTURBED_PREDICTIONS,
        replaced(PerturbedImages, "probabilities", mean_of_the_image),
    ),
    network(
        "the kernel has no root",
        "lime",
        LIME,
        StageKind.WEIGHTS,
        replaced(lime.lime_image.LimeImageExplainer, "__init__", without_root),
    ),
    network("R2 is not weighted", "lime", LIME, StageKind.SURROGATES, regressor("score"), models=(MOBILE,)),
    network(
        "the surrogate is fitted to the next class",
        "lime",
        LIME,
        StageKind.WEIGHTS,
        replaced(lime.lime_base.LimeBase, "explain_instance_with_data", of_the_next_class),
        models=(LITE,),
    ),
    network(
        "predictions of surrogates in the rows of other classes",
        "reading",
        LIME,
        StageKind.MEASURES,
        replaced(lime_results, "_surrogates", column("prediction", lambda f: np.roll(f["prediction"].to_numpy(), 1))),
        models=(MOBILE,),
    ),
    network(
        "maps are upside down",
        "maps",
        ("dissection",),
        StageKind.UNIT_MAPS,
        outputs(lambda maps: maps.flip(2)),
        models=(MOBILE,),
        parameters=UNITS,
    ),
)
