"""The task `dissection`: which concept every unit of a model's layers has learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from xai_eval.tasks import Results, task
from xai_eval.tasks.bundled.parameters import BatchSize, Seed
from xai_eval.tasks.bundled.recorded import dissection_arguments
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
    default="layer2, layer3 and layer4 where the model has them, else its last convolutional block",
)
_CONCEPTS = Option(
    "words that CLIP may choose from: scenes (the bundled twenty) or a text file, one per line",
    metavar="FILE",
    default="the words that the probe set labels its pixels with",
)
_CLIP = Option(
    "CLIP model: scenes (bundled, knows the words of the scenes), one of open_clip such as ViT-B-16/openai, or none to "
    "use pixel labels alone",
    metavar="SPEC",
    default="scenes for the bundled scenes, else ViT-B-16/openai",
)
_SIMILARITY = Option(
    "how what CLIP sees in the images is compared with what a unit does",
    default="soft_wpmi, or cos_cubed where there are fewer than 100 words",
)
_TOP_K = Option(
    "top images of a unit that soft_wpmi and wpmi look at",
    metavar="K",
    default="100 and 28, but no more than a tenth of the images",
    least=1,
    most=1_000_000,
)
_SHUFFLES = Option(
    "how often label maps change places over images, to see which overlap chance gives", "R", least=0, most=1000
)
_ENGINE = Option("where it is computed: in this process, or on the cluster that RAY_ADDRESS names")


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
    probe_size: Annotated[int | None, Option("so many images of the probe set, drawn at random", default="all")] = None,
    interpret: Annotated[
        str | None, Option("image that is interpreted by its most active units", default="the first")
    ] = None,
    shuffles: Annotated[int, _SHUFFLES] = 5,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    engine: Annotated[Literal["local", "ray"], _ENGINE] = "local",
) -> Results:
    """Label the units of a model's layers with concepts, by CLIP and by pixel labels, and compare two models.

    Returns:
        One Result per model, then one that compares them if there are two; all are computed when the first is asked
        for.

    Raises:
        UsageError: an unknown name, or a number out of range.
        InputUnavailable: a model, the words or too many images cannot be read.
        ModelMisbehaves: a model raises, or returns what cannot be ranked.
    """
    from xai_eval.tasks.dissection import request as checked
    from xai_eval.tasks.dissection.results import all_results
    from xai_eval.tasks.image.question import check_seed

    check_seed(seed)
    models = classifier, *checked.second_model(classifier, against)
    chosen = probe if probe_size is None else probe.subset(probe_size, seed)
    vocabulary = checked.choose_vocabulary(chosen, concepts, clip, str(classifier.device))
    request = checked.Request(
        study=checked.make_study(chosen, models, layers, vocabulary, batch_size),
        vocabulary=vocabulary,
        similarity=checked.choose_similarity_for(chosen, vocabulary, similarity, top_k, seed),
        image=checked.position_of(chosen, interpret),
        interpret=interpret,
        shuffles=shuffles,
        seed=seed,
        engine=checked.choose_engine(engine, classifier),
        whole_probe=len(probe),
    )
    return Results(len(models) + (len(models) > 1), all_results(request))
