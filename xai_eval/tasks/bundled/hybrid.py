"""The task `hybrid`: explanations made of Grad-CAM and LIME, measured against both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xai_eval.tasks import task
from xai_eval.tasks.bundled.parameters import (
    BatchSize,
    Layer,
    Samples,
    Seed,
    Segmentation,
    SegmentationParameters,
    Target,
)
from xai_eval.tasks.bundled.recorded import setting_arguments

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
) -> Iterator[Result]:
    """Combine Grad-CAM with LIME in several ways, and test whether any beats both.

    Returns:
        An iterator that explains as it goes: one Result per image with the maps of both parents and of every hybrid,
        then one for the whole set with paired tests.

    Raises:
        UsageError: an unknown segmentation, parameter, layer or class, or a number that is too small.
        ModelMisbehaves: the model raises, or returns what is no batch of logits.
    """
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation
    from xai_eval.tasks.image.question import check_question
    from xai_eval.tasks.studies.hybrid import HybridRequest, combine_all

    settings = LimeSettings(num_samples=num_samples, top_labels=1, batch_size=batch_size)
    cut = choose_segmentation(segmentation, seed, segmentation_parameters)
    return combine_all(HybridRequest(check_question(classifier, images, layer, target, seed), settings, cut))
