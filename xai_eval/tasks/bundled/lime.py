"""The task `lime`: which superpixels speak for and against a class, and how stable these weights are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

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

_SETTING = Option(
    "file with the best settings of a lime_search (lime_search_best.json), used in place of samples, labels, features, "
    "batch size and segmentation",
    metavar="FILE",
    file=True,
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
    top_labels: Annotated[int, Option("number of most probable classes that are explained")] = 5,
    num_features: Annotated[int, Option("largest number of superpixels that get a weight")] = 100_000,
    batch_size: BatchSize = 10,
    segmentation: Segmentation = "quickshift",
    segmentation_parameters: SegmentationParameters = None,
    setting: Annotated[str | None, _SETTING] = None,
    seeds: Annotated[int, Option("number of consecutive seeds over which stability is measured", "K", least=1)] = 5,
    target: Target = "predicted",
    layer: Layer = None,
    seed: Seed = 0,
) -> Iterable[Result]:
    """Explain every prediction by superpixels (lime), next to Grad-CAM where the model allows it.

    LIME is from Ribeiro et al. 2016, Grad-CAM from Selvaraju et al. 2017.

    Returns:
        An iterable that computes one Result per image. It holds the superpixels, (H, W), their weights for each of the
        most probable classes, (F,) for F superpixels, the spread of the weights over the seeds, and both maps, (H, W).
        Of a model without a layer that lies over the image and that a gradient reaches, it holds no map of Grad-CAM.

    Raises:
        UsageError: a segmentation, parameter, layer or class is unknown, or a number is too small.
        InputUnavailable: the file given as `setting` cannot be read.
        ModelMisbehaves: the model raises an error, or does not return a batch of logits.
    """
    from xai_eval.explainers.lime.lime import LimeSettings
    from xai_eval.explainers.lime.segmentation import choose_segmentation
    from xai_eval.tasks.image.explanation_setup import check_setup_beside
    from xai_eval.tasks.lime.chosen_setting import read_chosen_setting
    from xai_eval.tasks.lime.lime_results import LimeRequest, lime_results

    settings = LimeSettings(num_samples, top_labels, num_features, batch_size)
    cut = choose_segmentation(segmentation, seed, segmentation_parameters)
    chosen = read_chosen_setting(setting) if setting is not None else None
    setup = check_setup_beside(classifier, images, layer, target, seed, seeds)
    return lime_results(LimeRequest(setup, settings, cut, seeds, chosen))
