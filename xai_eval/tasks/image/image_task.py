"""`@image_task` makes a task of a function that explains one image. It does all that such tasks have in common."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError
from xai_eval.tasks import task
from xai_eval.tasks.bundled.shared_parameters import Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.result.fields import Heatmap, HeatmapTolerance
    from xai_eval.result.result import Result
    from xai_eval.tasks.image.explanation_setup import ExplanationSetup
    from xai_eval.tasks.image.per_image import PerImage
    from xai_eval.tasks.image.subject import Subject

Explain = Callable[..., Any]
_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "scikit-image", "scipy")


# Arguments that every image task has, and where its function finds them.
_COMMON = {"classifier": "subject.classifier", "images": "subject.image", "target": "subject.target"}


@dataclass(frozen=True, eq=False)
class _Request:
    """The checked options of one run of such a task."""

    name: str
    explain: Callable[[Subject], Any]
    setup: ExplanationSetup
    params: Mapping[str, Any]
    libraries: Sequence[str]
    tolerance: HeatmapTolerance


_METRICS = ("result.map_similarity", "metrics.localisation", "tasks.image.map_rows", "metrics.faithfulness")


def image_task(
    name: str,
    *,
    libraries: Sequence[str] = (),
    model: str = "scenes:objects",
    images: str = "scenes",
    tolerance: HeatmapTolerance | None = None,
) -> Callable[[Explain], Explain]:
    """Register a function `(subject, *, parameters...) -> map` as a task.

    The function gets one image as the model sees it (`Subject`: `model`, `batch`, `target.index`). It returns one
    number per pixel of the model's input, (H, W), as a tensor or an array. Pixels that speak against the class have
    negative numbers. Every result holds the map, the classes, localisation if the mask of the object is known,
    deletion and insertion, and fingerprints of all stages from the bytes of the image to the map. Before anything is
    explained, the function is called twice with the first image; its maps have to be the same.

    The task has the parameters of the function, and `target`. Two names of parameters have a meaning, if the function
    has them. `layer` gets the name of a layer (the default layer unless one is given), and the activations of this
    layer become a stage. `seed` seeds the global random generators of numpy and torch before the function is called.

    Args:
        name: name of the task and of its map.
        libraries: names of the distributions that compute the map; their versions are recorded.
        model: spec of the model if none is given.
        images: spec of the images if none are given.
        tolerance: by how much the map may differ from its golden; `HeatmapTolerance(largest=0.02)` if None.

    Raises:
        UsageError: the function has another signature, a parameter named `target`, or a name that another task has.
    """

    def register(explain: Explain) -> Explain:
        signature = _task_signature(explain, name)

        @functools.wraps(explain)
        def evaluation(classifier: Classifier, images: ImageSet, **given: Any) -> PerImage:
            bound = {each.name: given.get(each.name, each.default) for each in _keywords(signature)}
            request = _checked(name, explain, classifier, images, bound, libraries, tolerance)
            return _explain_all(_tried_on_first_image(request))

        evaluation.__signature__ = signature  # type: ignore[attr-defined]  # `inspect.signature` returns it
        task(name, model=model, images=images, metrics=_METRICS)(evaluation)
        return explain

    return register


def _keywords(signature: inspect.Signature) -> list[inspect.Parameter]:
    return [each for each in signature.parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]


def _task_signature(explain: Explain, name: str) -> inspect.Signature:
    own = inspect.signature(explain)
    parameters = _keywords(own)
    if len(own.parameters) != len(parameters) + 1:
        raise UsageError(
            f"the function of image task {name!r} has the signature {own}; expected (subject, *, parameters...): one "
            "argument, and after a star each parameter with its type and its default."
        )
    for each in parameters:
        if each.name in _COMMON:
            raise UsageError(
                f"image task {name!r} has a parameter {each.name!r}, but every image task has one already. "
                f"Use {_COMMON[each.name]}."
            )
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    common = inspect.Parameter("target", inspect.Parameter.KEYWORD_ONLY, default="predicted", annotation=Target)
    positional = [inspect.Parameter(each, kind) for each in ("classifier", "images")]
    return inspect.Signature([*positional, *parameters, common])


def _checked(
    name: str,
    explain: Explain,
    classifier: Classifier,
    images: ImageSet,
    given: Mapping[str, Any],
    libraries: Sequence[str],
    tolerance: HeatmapTolerance | None,
) -> _Request:
    from xai_eval.result.fields import HeatmapTolerance
    from xai_eval.tasks.image.explanation_setup import check_setup, check_setup_without_layer

    for library in libraries:
        try:
            importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError as error:
            raise UsageError(
                f"library {library!r} of task {name} is not installed. Install it, or give its name on PyPI."
            ) from error
    target, seed = given["target"], given.get("seed", 0)
    if "layer" in given:
        setup = check_setup(classifier, images, given["layer"], target, seed)
    else:
        setup = check_setup_without_layer(classifier, images, target, seed)
    own = {each: value for each, value in given.items() if each != "target"}
    call = functools.partial(explain, **{**own, **({"layer": setup.layer} if "layer" in own else {})})
    params = {each: value for each, value in own.items() if each not in ("layer", "seed")}
    return _Request(name, call, setup, params, (*_LIBRARIES, *libraries), tolerance or HeatmapTolerance(largest=0.02))


def _tried_on_first_image(request: _Request) -> _Request:
    """Call the function twice, before the results of an earlier run are replaced.

    If the two maps differ a little, the returned request remarks it.

    Raises:
        UsageError: they differ by more than a golden allows.
    """
    from xai_eval.tasks.steady_explainers import remark_on_repetition

    subject = request.setup.run_model(request.setup.images.images[0])
    first, again = (_map_of(request, subject) for _ in range(2))
    remark = remark_on_repetition(request.name, (first, again), (_heatmap(request, first), _heatmap(request, again)))
    return replace(request, setup=request.setup.with_remarks(remark)) if remark else request


def _heatmap(request: _Request, raw: NDArray[np.float32]) -> Heatmap:
    from xai_eval.result.fields import Heatmap
    from xai_eval.tasks.image.map_rows import displayed

    return Heatmap(displayed(raw), request.tolerance)


def _explain_all(request: _Request) -> PerImage:
    from xai_eval.tasks.image.per_image import PerImage

    return PerImage(
        request.name, request.setup, lambda _image: request.params, functools.partial(_explain_one, request)
    )


def _explain_one(request: _Request, image: LabelledImage) -> Result:
    import pandas as pd

    from xai_eval.result.fields import Table
    from xai_eval.result.fingerprint import fingerprint_array
    from xai_eval.result.result import Result
    from xai_eval.result.stage import Stage, StageKind
    from xai_eval.tasks.image.map_rows import SCORE_TOLERANCE, scored_row
    from xai_eval.tasks.ties.bounds import rounding_on
    from xai_eval.tasks.ties.possible_curves import possible_curves
    from xai_eval.tasks.ties.possible_rows import by_column, possible_row

    setup, name = request.setup, request.name
    subject = setup.run_model(image)
    raw = _map_of(request, subject)
    heatmap = _heatmap(request, raw)
    row = scored_row(name, raw, heatmap, subject, (0, 0), subject.predict)
    rounding = rounding_on(setup.classifier.device.type)
    jumps = possible_curves(row, raw, subject.canvas, subject.predict, subject.target.index, rounding)
    possible = by_column([{**possible_row(heatmap, subject.mask, (0, 0), rounding, raw), **jumps}])
    table = Table(pd.DataFrame([row]), SCORE_TOLERANCE, possible=possible)
    return Result(
        case=setup.case(name, image, request.params),
        fields={**subject.fields, name: heatmap, "table": table},
        stages={
            **subject.stages,
            Stage(StageKind.RAW_MAP, name): fingerprint_array(raw),
            Stage(StageKind.FINAL_MAP, name): fingerprint_array(heatmap.array),
        },
        provenance=setup.provenance(image, request.libraries),
    )


def _map_of(request: _Request, subject: Subject) -> NDArray[np.float32]:
    """Call the function. It may change the batch and the state of the model, because both are protected from it."""
    import numpy as np
    import torch

    from xai_eval.explainers.model.random_state import all_seeded
    from xai_eval.inputs.models.layout import HALVES
    from xai_eval.inputs.models.model_state import handed_over
    from xai_eval.inputs.models.precision import asked_precision, check_not_lost

    with torch.inference_mode(False), handed_over(subject.model), all_seeded(request.setup.seed), torch.enable_grad():
        found = request.explain(replace(subject, batch=subject.batch.detach().clone()))
    # numpy has no bfloat16.
    tensor = isinstance(found, torch.Tensor)
    array = np.asarray((found.float() if found.dtype in HALVES else found).detach().cpu() if tensor else found)
    expected = tuple(subject.batch.shape[-2:])
    if array.shape != expected or not _is_real(array.dtype):
        raise UsageError(
            f"task {request.name} returned an array {array.shape} of {array.dtype} for {subject.image.name}; expected "
            f"a map {expected}: one real number per pixel of the model's input, without batch and channels."
        )
    check_not_lost(array, request.name, asked_precision())
    return array.astype(np.float32)


def _is_real(dtype: np.dtype[Any]) -> bool:
    import numpy as np

    return np.issubdtype(dtype, np.integer) or np.issubdtype(dtype, np.floating)
