"""Load a model of the user from a factory function in a Python file."""

from __future__ import annotations

import dataclasses

from torch import nn

from xai_eval.errors import UsageError
from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.models.class_names import listed_names, named_classes
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.factory_file import call_factory
from xai_eval.inputs.models.layers import forward_zeros
from xai_eval.inputs.models.outputs import number_of_outputs
from xai_eval.inputs.models.preprocessing import Preprocessing, imagenet_preprocessing, prepared_shape
from xai_eval.inputs.paths import given_path


def load_file_model(rest: str) -> Classifier:
    """Load the model with the spec `file:PATH.py:FACTORY`.

    Args:
        rest: the spec after "file:".

    Raises:
        UsageError: the spec is malformed, the file has no such factory, or the factory returns something other than a
            module or a classifier.
        InputUnavailable: the file is missing, or the file or the factory raises.
        ModelMisbehaves: the module does not return logits.
    """
    file, _, factory = rest.rpartition(":")
    if not factory.isidentifier() or not file.endswith(".py"):
        raise UsageError(f"model spec 'file:{rest}' is malformed; expected file:PATH.py:FACTORY.")
    path = given_path(file)
    name = f"file:{path.name}:{factory}"
    made = call_factory(path, factory)
    if isinstance(made, Classifier):
        # The digest is computed again, because a digest given by the file itself could be wrong.
        names = listed_names(made.class_names, f"{name}: class_names")
        return dataclasses.replace(made, name=name, class_names=names, weights_digest="")
    if isinstance(made, nn.Module):
        return wrap_module(made.eval(), name, imagenet_preprocessing())
    raise UsageError(
        f"{path}: {factory}() returned a {type(made).__name__}; expected a torch.nn.Module or an "
        "xai_eval.Classifier. Return the model itself."
    )


def wrap_module(module: nn.Module, name: str, preprocess: Preprocessing) -> Classifier:
    """Make a classifier of a module in evaluation mode, and find names for its classes.

    The names are those of the module's attribute `class_names`. Without it, a model with 1,000 outputs gets the names
    of ImageNet-1k in its usual order; classes of any other model are numbered.

    Raises:
        ModelMisbehaves: the module does not return one row of logits for one image.
        UsageError: the length of `class_names` differs from the number of outputs.
    """
    outputs = number_of_outputs(forward_zeros(module, prepared_shape(preprocess)), name)
    own = getattr(module, "class_names", None)
    table = imagenet_classes()
    ids = None
    if own is not None:
        names, known_from = named_classes(own, outputs, f"{name}: the module's class_names"), "the module's class_names"
    elif outputs == len(table):
        names, ids = tuple(entry.name for entry in table), tuple(entry.wnid for entry in table)
        known_from = f"ImageNet-1k order, because the model has {outputs} outputs"
    else:
        names = tuple(f"class {index}" for index in range(outputs))
        known_from = "numbered, because the model names no classes"
    return Classifier(name, module, preprocess, names, class_ids=ids, classes_from=known_from)
