"""The task `hybrid`: explanations that combine Grad-CAM and LIME, compared with both of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.result.result import Result


@task(
    "hybrid",
    images="scenes:2",
    whole_set=True,
    metrics=(
        "result.map_similarity",
        "metrics.localisation",
        "tasks.image.map_rows",
        "metrics.superpixels",
        "metrics.faithfulness",
        "metrics.bootstrap",
        "metrics.paired",
    ),
    arguments=setting_arguments,
)
def hybrid(
    classifier: Classifier,
    images: ImageSet,
    *,
    num_samples: Samples = 500,
    segmentation: Segmentation = "slic",
    segmentation_parameters: SegmentationParameters = None,
    batch_size: BatchSize = 10,
    target: Target = "predicted",
    layer: Layer = None,
    seed: Seed = 0,
) -> Iterable[Result]:
    """Combine Grad-CAM with LIME in several ways, and test whether any beats both.

    Returns:
        An iterable that computes one Result per image, then one for the whole set. Each image has the maps, (H, W), of
        Grad-CAM, LIME and every hybrid, and how well each map does. The whole set has tests (Wilcoxon 1945) of each
        hybrid against Grad-CAM and against LIME on the same images.

    Raises:
        UsageError: a segmentation, parameter, layer or class is unknown, or a number is too small.
        ModelMisbehaves: the model raises an error, or does not return a batch of logits.
    """
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation
    from xai_eval.tasks.image.explanation_setup import check_setup_of_both
    from xai_eval.tasks.studies.hybrid_results import HybridRequest, hybrid_results

    settings = LimeSettings(num_samples=num_samples, top_labels=1, batch_size=batch_size)
    cut = choose_segmentation(segmentation, seed, segmentation_parameters)
    return hybrid_results(HybridRequest(check_setup_of_both(classifier, images, layer, target, seed), settings, cut))
