"""Load a model of the user from a factory function in a Python file."""

from __future__ import annotations

import dataclasses

from torch import nn

from xai_eval.errors import UsageError
from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.models.attributes import attribute
from xai_eval.inputs.models.class_names import both_classes, listed_names, named_classes
from xai_eval.inputs.models.classifier import NUMBERED, Classifier
from xai_eval.inputs.models.compiled import uncompiled
from xai_eval.inputs.models.detections import COCO
from xai_eval.inputs.models.factory_file import call_factory
from xai_eval.inputs.models.first_answers import first_answers
from xai_eval.inputs.models.known_preprocessing import preprocessing_for
from xai_eval.inputs.models.preprocessing import Preprocessing, prepared_shape
from xai_eval.inputs.models.reading import OutputKind, Reading
from xai_eval.inputs.models.timm_classes import timm_classes
from xai_eval.inputs.paths import given_path
from xai_eval.inputs.set_names import name_of_file


def load_file_model(rest: str, output: OutputKind | None = None) -> Classifier:
    """Load the model with the spec `file:PATH.py:FACTORY`.

    Args:
        rest: the spec after "file:".
        output: what the numbers of the model's output are; found out if None.

    Raises:
        UsageError: the spec is malformed, the file has no such factory, or the factory returns something other than a
            module or a classifier.
        InputUnavailable: the file is missing, or the file or the factory raises.
        ModelMisbehaves: the module returns nothing that can be explained.
    """
    file, _, factory = rest.rpartition(":")
    if not factory.isidentifier() or not file.endswith(".py"):
        raise UsageError(
            f"model spec 'file:{rest}' is malformed; expected file:PATH.py:FACTORY, where FACTORY is the name of a "
            "function in that file that returns the model."
        )
    path = given_path(file)
    name = f"file:{name_of_file(path)}:{factory}"
    called = call_factory(path, factory)
    made, restored = called.value, called.restored
    if isinstance(made, Classifier):
        # The digest is computed again, because a digest given by the file itself could be wrong.
        names = listed_names(made.class_names, f"{name}: class_names")
        return dataclasses.replace(
            made, name=name, class_names=names, weights_digest="", output=output or made.output, restored=restored
        )
    if isinstance(made, nn.Module):
        # A compiled module is not run, because a compilation can take minutes.
        module = uncompiled(made, name)
        known = preprocessing_for(module, name)
        wrapped = wrap_module(module, name, known.preprocess, output)
        return dataclasses.replace(wrapped, preprocessing_from=known.how, restored=restored)
    raise UsageError(
        f"{path}: {factory}() returned a {type(made).__name__}; expected a torch.nn.Module or an "
        "xai_eval.Classifier. Return the model itself."
    )


def wrap_module(
    module: nn.Module, name: str, preprocess: Preprocessing, output: OutputKind | None = None
) -> Classifier:
    """Make a classifier of a module in evaluation mode, and find names for its classes.

    The names are those of the module's attribute `class_names`. Without it, a model with 1,000 outputs gets the names
    of ImageNet-1k in its usual order; one of timm with the number of outputs of a larger part of ImageNet gets timm's
    names. Classes of any other model are numbered. An encoder gets none.

    Args:
        module: the model.
        name: the spec.
        preprocess: turns an image into its input.
        output: what the numbers of its output are; found out if None.

    Raises:
        ModelMisbehaves: the module returns nothing that can be explained for one image.
        UsageError: the length of `class_names` differs from the number of outputs, or the module returns a single
            number, and nothing says what it is.
    """
    module = uncompiled(module, name)
    if output is OutputKind.EMBEDDING:
        return Classifier(name, module, preprocess, output=output)
    own = attribute(module, "class_names")
    given = None if own is None else listed_names(own, f"{name}: the module's class_names")
    answers = first_answers(module, prepared_shape(preprocess), output, None if given is None else len(given), name)
    names, ids, known_from = _named(own, given, answers.reading, name)
    found = timm_classes(module, len(names)) if known_from == NUMBERED else None
    if found is not None:
        names, ids, known_from = found.names, found.ids, found.known_from
    return Classifier(name, module, preprocess, names, class_ids=ids, classes_from=known_from, output=output)


def _named(
    own: object, given: tuple[str, ...] | None, reading: Reading, name: str
) -> tuple[tuple[str, ...], tuple[str, ...] | None, str]:
    table, classes = imagenet_classes(), reading.classes
    if reading.kind is OutputKind.DETECTION and given is None and classes == len(COCO):
        return COCO, None, f"COCO's as in torchvision, because the detector has {classes} classes"
    if reading.kind is OutputKind.DETECTION and given is not None and len(given) == classes - 1:
        return (COCO[0], *given), None, "the module's class_names, and the background as label 0"
    if given is not None and len(given) == 1 and (reading.outputs, classes) == (1, 2):  # a single logit or map
        return both_classes(given[0]), None, "the module's class_names"
    if given is not None:
        where = f"{name}: the module's class_names"
        return named_classes(own, classes, where), None, "the module's class_names"
    if classes == len(table):
        known_from = f"ImageNet-1k order, because the model has {classes} outputs"
        return tuple(entry.name for entry in table), tuple(entry.wnid for entry in table), known_from
    return tuple(f"class {index}" for index in range(classes)), None, NUMBERED
