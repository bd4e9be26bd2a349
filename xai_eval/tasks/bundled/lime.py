"""The task `lime`: which superpixels speak for and against a class, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

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
from xai_eval.tasks.parameters import Option

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.result.result import Result

_SETTING = Option(
    "best settings of a lime_search (lime_search_best.json), in place of samples, labels, features, batch size and "
    "segmentation",
    metavar="FILE",
)


@task(
    "lime",
    metrics=(
        "result.map_similarity",
        "metrics.localisation",
        "tasks.image.map_rows",
        "metrics.superpixels",
        "metrics.stability",
        "metrics.seeds",
    ),
    arguments=setting_arguments,
)
def lime(
    classifier: Classifier,
    images: ImageSet,
    *,
    num_samples: Samples = 1000,
    top_labels: Annotated[int, Option("most probable classes that get weights")] = 5,
    num_features: Annotated[int, Option("most superpixels that get a weight")] = 100_000,
    batch_size: BatchSize = 10,
    segmentation: Segmentation = "quickshift",
    segmentation_parameters: SegmentationParameters = None,
    setting: Annotated[str | None, _SETTING] = None,
    seeds: Annotated[int, Option("seeds, one after the other, that stability is measured with", "K", least=1)] = 5,
    target: Target = "predicted",
    layer: Layer = None,
    seed: Seed = 0,
) -> Iterator[Result]:
    """Explain every prediction by superpixels (lime), beside Grad-CAM.

    Returns:
        An iterator that explains as it goes: one Result per image, with segments, the weights of every top class,
        and their stability.

    Raises:
        UsageError: an unknown segmentation, parameter, layer or class, or a number that is too small.
        ModelMisbehaves: the model raises, or returns what is no batch of logits.
    """
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation
    from xai_eval.tasks.image.question import check_question
    from xai_eval.tasks.lime.chosen_setting import read_chosen_setting
    from xai_eval.tasks.lime.results import LimeRequest, explain_all

    settings = LimeSettings(num_samples, top_labels, num_features, batch_size)
    cut = choose_segmentation(segmentation, seed, segmentation_parameters)
    chosen = read_chosen_setting(setting) if setting is not None else None
    question = check_question(classifier, images, layer, target, seed, seeds)
    return explain_all(LimeRequest(question, settings, cut, seeds, chosen))
