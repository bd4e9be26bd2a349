"""The task `comparison`: how far Grad-CAM and LIME agree when they explain the same class of the same image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from xai_eval.tasks import task
from xai_eval.tasks.bundled.recorded import setting_arguments
from xai_eval.tasks.bundled.shared_parameters import (
    BatchSize,
    Layer,
    Samples,
    Seed,
    Segmentation,
    SegmentationParameters,
    Target,
)
from xai_eval.tasks.parameters import Option

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.result.result import Result


@task(
    "comparison",
    images="scenes:4",
    whole_set=True,
    metrics=(
        "result.map_similarity",
        "metrics.localisation",
        "metrics.geometry",
        "metrics.overlap",
        "metrics.superpixels",
        "metrics.stability",
        "metrics.comparison",
        "metrics.focus",
        "metrics.bootstrap",
    ),
    arguments=setting_arguments,
)
def comparison(
    classifier: Classifier,
    images: ImageSet,
    *,
    policy: Annotated[Literal["equal_area", "half", "otsu"], Option("rule that turns maps into masks")] = "equal_area",
    area: Annotated[float, Option("share of the image that a mask covers under equal_area", "SHARE")] = 0.2,
    num_samples: Samples = 1000,
    segmentation: Segmentation = "quickshift",
    segmentation_parameters: SegmentationParameters = None,
    batch_size: BatchSize = 10,
    target: Target = "predicted",
    layer: Layer = None,
    seed: Seed = 0,
) -> Iterable[Result]:
    """Compare Grad-CAM with LIME on the same class of every image.

    Grad-CAM is from Selvaraju et al. 2017, LIME from Ribeiro et al. 2016. The measures are explained in
    `xai_eval.metrics.comparison`.

    Returns:
        An iterable that computes one Result per image, then one for the whole set. Each image has both maps, (H, W),
        both masks, and the measures of their agreement. The whole set has the table of the study and the mean of every
        measure over the images.

    Raises:
        UsageError: a policy, segmentation, parameter, layer or class is unknown, or a number is out of range.
        ModelMisbehaves: the model raises an error, or does not return a batch of logits.
    """
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation
    from xai_eval.metrics.comparison import MaskPolicy
    from xai_eval.tasks.image.explanation_setup import check_setup_of_both
    from xai_eval.tasks.studies.comparison_results import ComparisonRequest, comparison_results

    masks = MaskPolicy(policy, area)
    settings = LimeSettings(num_samples=num_samples, top_labels=1, batch_size=batch_size)
    cut = choose_segmentation(segmentation, seed, segmentation_parameters)
    setup = check_setup_of_both(classifier, images, layer, target, seed)
    return comparison_results(ComparisonRequest(setup, settings, cut, masks))
