"""The task `dissection`: which concept each unit of a model's layers stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from xai_eval.tasks import Results, task
from xai_eval.tasks.bundled.recorded import dissection_arguments
from xai_eval.tasks.bundled.shared_parameters import BatchSize, Seed
from xai_eval.tasks.parameters import Option

if TYPE_CHECKING:
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.inputs.probes.probe_set import ProbeSet

_AGAINST = Option(
    "a second model to compare with, or none",
    metavar="SPEC",
    default="the other bundled model where one is bundled, else none",
)
_LAYERS = Option(
    "layers to dissect",
    default="layer2, layer3 and layer4 where the model has them, else the last that lies over the image",
)
_CONCEPTS = Option(
    "words that CLIP chooses labels from: scenes (the twenty bundled words) or a text file with one word per line",
    metavar="FILE",
    file=True,
    default="the concepts that label the pixels of the probe set",
)
_CLIP = Option(
    "CLIP model: scenes (bundled, knows the words of the scenes), one of open_clip such as ViT-B-16/openai, or none to "
    "label units by pixel labels only",
    metavar="SPEC",
    default="scenes for the bundled scenes, else ViT-B-16/openai",
)
_SIMILARITY = Option(
    "function that compares what CLIP sees in the images with the activations of a unit",
    default="soft_wpmi, or cos_cubed where there are fewer than 100 words",
)
_TOP_K = Option(
    "number of most activating images per unit that soft_wpmi and wpmi use",
    metavar="K",
    default="100 for soft_wpmi and 28 for wpmi, but at most a tenth of the images",
    least=1,
    most=1_000_000,
)
_PROBE_SIZE = Option("number of images, drawn at random from the probe set", default="all")
_INTERPRET = Option("name of the image for which the most active units are listed", default="the first")
_SHUFFLES = Option(
    "how often the label maps are shuffled over the images, to measure the overlap that chance gives",
    "R",
    least=0,
    most=1000,
)


@task(
    "dissection",
    probe=True,
    metrics=("metrics.false_discovery", "metrics.label_quality", "metrics.labels", "metrics.unit_labels"),
    arguments=dissection_arguments,
)
def dissection(
    classifier: Classifier,
    probe: ProbeSet,
    *,
    against: Annotated[str | Classifier | None, _AGAINST] = None,
    layers: Annotated[Sequence[str] | None, _LAYERS] = None,
    concepts: Annotated[str | None, _CONCEPTS] = None,
    clip: Annotated[str | None, _CLIP] = None,
    similarity: Annotated[Literal["soft_wpmi", "wpmi", "cos", "cos_cubed", "rank_reorder"] | None, _SIMILARITY] = None,
    top_k: Annotated[int | None, _TOP_K] = None,
    probe_size: Annotated[int | None, _PROBE_SIZE] = None,
    interpret: Annotated[str | None, _INTERPRET] = None,
    shuffles: Annotated[int, _SHUFFLES] = 5,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
) -> Results:
    """Label the units of a model's layers with concepts, by CLIP and by pixel labels, and compare two models.

    Labels by CLIP follow CLIP-Dissect (Oikarinen and Weng 2023), labels by pixels Network Dissection (Bau et al. 2017).

    Returns:
        One Result per model, then one that compares the models if there are two. All of them are computed when the
        first is taken from the iterator. The Result of a model has one row per unit, with the unit's label by CLIP and
        by pixel labels, and the score of each label.

    Raises:
        UsageError: a name is unknown, or a number is out of range.
        InputUnavailable: a model, the words, or too many images cannot be read.
        ModelMisbehaves: a model raises an error, or its activations cannot be ranked.
    """
    from xai_eval.tasks.dissection import request as checked
    from xai_eval.tasks.dissection.dissection_results import dissection_results
    from xai_eval.tasks.image.explanation_setup import check_seed

    check_seed(seed)
    models = classifier, *checked.second_model(classifier, against)
    chosen = probe if probe_size is None else probe.subset(probe_size, seed)
    vocabulary = checked.choose_vocabulary(chosen, concepts, clip, str(classifier.device))
    request = checked.Request(
        plan=checked.make_plan(chosen, models, layers, vocabulary, batch_size),
        vocabulary=vocabulary,
        similarity=checked.choose_similarity_for(chosen, vocabulary, similarity, top_k, seed),
        image=checked.position_of(chosen, interpret),
        interpret=interpret,
        shuffles=shuffles,
        seed=seed,
        engine=checked.choose_engine(),
        whole_probe=len(probe),
    )
    return Results(len(models) + (len(models) > 1), dissection_results(request), divided=True)
