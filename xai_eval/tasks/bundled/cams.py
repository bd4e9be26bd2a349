"""The task `cams`: class activation maps of every prediction, and how well they point at the object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xai_eval.tasks import task
from xai_eval.tasks.bundled.shared_parameters import Layer, Methods, Seed, Target

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.result.result import Result

DEFAULT_METHODS = ("gradcam", "scorecam", "ablationcam")


@task(
    "cams",
    metrics=(
        "result.map_similarity",
        "metrics.localisation",
        "tasks.image.map_rows",
    ),
)
def cams(
    classifier: Classifier,
    images: ImageSet,
    *,
    methods: Methods = DEFAULT_METHODS,
    target: Target = "predicted",
    layer: Layer = None,
    seed: Seed = 0,
) -> Iterable[Result]:
    """Explain every prediction by class activation maps (pytorch-grad-cam).

    Grad-CAM is from Selvaraju et al. 2017, Score-CAM from Wang et al. 2020, Ablation-CAM from Desai and Ramaswamy
    2020; pytorch-grad-cam cites the other methods.

    Returns:
        An iterable that computes one Result per image. A Result holds two maps per method, with values from 0 to 1:
        one at the resolution of the model's input, (H, W), and one at that of the layer, (h, w). If the mask of the
        object is known, it also holds how well each map points at it (see `xai_eval.metrics.localisation`). The
        options are checked before it is returned.

    Raises:
        UsageError: a method, layer or class is unknown, the layer does not return a map, or the seed is out of range.
        ModelMisbehaves: the model raises an error, or does not return a batch of logits.
    """
    from xai_eval.explainers.cam.cam_maps import check_methods, needs_gradients
    from xai_eval.tasks.cam_results import CamsRequest, cam_results
    from xai_eval.tasks.image.explanation_setup import check_setup

    named = check_methods([methods] if isinstance(methods, str) else methods)
    gradients = any(map(needs_gradients, named))
    setup = check_setup(classifier, images, layer, target, seed, gradients=gradients, methods=named)
    return cam_results(CamsRequest(setup, named))
