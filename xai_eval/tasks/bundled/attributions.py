"""The task `attributions`: how much each pixel speaks for or against a class, by several methods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from xai_eval.tasks import task
from xai_eval.tasks.bundled.shared_parameters import BatchSize, Methods, Seed, Target
from xai_eval.tasks.parameters import Option

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import ImageSet
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.result.result import Result

DEFAULT_METHODS = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "smoothgrad",
    "occlusion",
    "gradient_shap",
)
_WINDOW = Option(
    "side of the square that occlusion hides, as a share of the side of the image; 0.125 takes 225 forward passes",
    least=0.01,
    most=1.0,
)
_BASELINE = Option("what stands for a missing pixel: zero in the model's input, or a black image")


@task(
    "attributions",
    images="scenes:4",
    metrics=(
        "result.map_similarity",
        "metrics.localisation",
        "metrics.faithfulness",
        "metrics.completeness",
        "tasks.image.map_rows",
    ),
    needs="captum",
)
def attributions(
    classifier: Classifier,
    images: ImageSet,
    *,
    methods: Methods = DEFAULT_METHODS,
    steps: Annotated[int, Option("gradients that integrated gradients sums, between baseline and image", least=1)] = 50,
    samples: Annotated[int, Option("random inputs of smoothgrad and of gradient_shap", least=1)] = 25,
    noise: Annotated[
        float, Option("standard deviation of smoothgrad's noise, as a share of the range of the input", least=0.0)
    ] = 0.15,
    window: Annotated[float, _WINDOW] = 0.125,
    baseline: Annotated[Literal["zero", "black"], _BASELINE] = "zero",
    batch_size: BatchSize = 16,
    target: Target = "predicted",
    seed: Seed = 0,
) -> Iterable[Result]:
    """Explain every prediction by attributions of its pixels (captum; attention of transformers).

    docs/attributions.md describes the methods and names their papers.

    Returns:
        An iterable that computes one Result per image. A Result holds one signed map per method, (H, W), the sum of the
        attribution over the channels of the input; how well the positive part of each map points at the object, if its
        mask is known; whether the places that it marks matter to the model (deletion and insertion); and by how much
        attributions that should add up to the score do not (`completeness_error`).

    Raises:
        UsageError: a method or class is unknown, captum is not installed, a number is out of range, a method cannot
            explain the model, or one of the user gives another map when it is called again.
        ModelMisbehaves: the model raises an error, or does not return a batch of scores.
    """
    from xai_eval.explainers.attribution.methods import find_methods
    from xai_eval.explainers.attribution.question import Settings
    from xai_eval.tasks.attribution_results import (
        AttributionsRequest,
        attribution_results,
        checked_on_first_image,
    )
    from xai_eval.tasks.image.explanation_setup import check_setup_without_layer

    found = find_methods([methods] if isinstance(methods, str) else list(methods))
    settings = Settings(steps, samples, noise, window, baseline, batch_size)
    setup = check_setup_without_layer(classifier, images, target, seed)
    return attribution_results(checked_on_first_image(AttributionsRequest(setup, found, settings)))
