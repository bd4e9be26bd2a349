"""The task `cams`: which pixels a class activation map blames for a prediction, and whether it points at the object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from xai_eval.tasks import task
from xai_eval.tasks.bundled.shared_parameters import Layer, Seed, Target
from xai_eval.tasks.parameters import Option

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
    methods: Annotated[Sequence[str], Option("methods of pytorch-grad-cam", "METHOD")] = DEFAULT_METHODS,
    target: Target = "predicted",
    layer: Layer = None,
    seed: Seed = 0,
) -> Iterator[Result]:
    """Explain every prediction by class activation maps (pytorch-grad-cam).

    Returns:
        An iterator that explains as it goes: one Result per image, with one map per method at the image's and at the
        layer's own resolution. Names are checked before it is returned.

    Raises:
        UsageError: an unknown method, layer or class, a layer without a map, or a seed out of range.
        ModelMisbehaves: the model raises, or returns what is no batch of logits.
    """
    from xai_eval.explainers.cam.cams import check_methods
    from xai_eval.tasks.cam_results import CamsRequest, cam_results
    from xai_eval.tasks.image.explanation_setup import check_setup

    named = check_methods([methods] if isinstance(methods, str) else methods)
    return cam_results(CamsRequest(check_setup(classifier, images, layer, target, seed), named))
