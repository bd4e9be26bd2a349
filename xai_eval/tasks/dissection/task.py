"""The task `dissection`: which concept every unit of a model's layers has learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xai_eval.result.result import Result
from xai_eval.tasks import Results, task
from xai_eval.tasks.dissection.request import Request, check_request

if TYPE_CHECKING:
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet


@task(
    "dissection",
    probe=True,
    metrics=(
        "metrics.false_discovery",
        "metrics.label_quality",
        "metrics.labels",
        "metrics.unit_labels",
    ),
)
def dissection(
    classifier: Classifier,
    probe: ProbeSet,
    *,
    against: str | Classifier | None = None,
    layers: Sequence[str] | None = None,
    concepts: str | None = None,
    clip: str | None = None,
    similarity: str | None = None,
    top_k: int | None = None,
    probe_size: int | None = None,
    interpret: str | None = None,
    shuffles: int = 5,
    batch_size: int = 32,
    seed: int = 0,
    engine: str = "local",
) -> Results:
    """Label the units of a model's layers with concepts, by CLIP and by pixel labels, and compare two models.

    Args:
        classifier: the model with its preprocessing.
        probe: the images that units are looked at with; with pixel labels, both methods are used.
        against: a second model to compare with; of a bundled model the other bundled one if None, and "none" for none.
        layers: names of the layers to dissect; layer2, layer3 and layer4 if None and the model has them, else its last
            convolutional block.
        concepts: the words that CLIP may choose from: "scenes" (the bundled twenty) or a text file, one a line; those
            that the probe set labels its pixels with if None.
        clip: "scenes" (bundled, knows the words of the scenes), a model of open_clip such as "ViT-B-16/openai", or
            "none" to use pixel labels alone; the bundled one for bundled scenes if None, else ViT-B-16/openai.
        similarity: how CLIP's view of the images is compared with what a unit does: soft_wpmi, wpmi, cos, cos_cubed
            or rank_reorder; soft_wpmi if None, but cos_cubed where there are fewer than 100 words.
        top_k: number of top images that soft_wpmi and wpmi look at; 100 and 28 if None, but no more than a tenth of the
            images.
        probe_size: so many images of the probe set, drawn at random with `seed`; all if None.
        interpret: name of the image that is interpreted by its most active units; the first if None.
        shuffles: how often label maps change places over images, to see which overlap chance gives.
        batch_size: images that the models get at once.
        seed: of whatever draws random numbers.
        engine: "local" (this process) or "ray" (the cluster that RAY_ADDRESS names; needs the extra `distributed`).

    Returns:
        One Result a model, then one that compares them if there are two; all are computed when the first is asked for.

    Raises:
        UsageError: an unknown name, or a number out of range.
        InputUnavailable: a model, the words or too many images cannot be read.
        ModelMisbehaves: a model raises, or returns what cannot be ranked.
    """
    request = check_request(
        classifier,
        probe,
        against=against,
        layers=layers,
        concepts=concepts,
        clip=clip,
        similarity=similarity,
        top_k=top_k,
        probe_size=probe_size,
        interpret=interpret,
        shuffles=shuffles,
        batch_size=batch_size,
        seed=seed,
        engine=engine,
    )
    count = len(request.study.models)
    return Results(count + (count > 1), _results(request))


def _results(request: Request) -> Iterator[Result]:
    from xai_eval.tasks.dissection.passes import dissect
    from xai_eval.tasks.dissection.results import comparing_result, model_result, unit_frames

    with dissect(request) as labelled:
        frames = [unit_frames(request, labelled, index) for index in range(len(labelled.models))]
        for index, own in enumerate(frames):
            yield model_result(request, labelled, index, own)
        if len(frames) > 1:
            yield comparing_result(request, labelled, frames)
