"""A model together with what is needed to explain it: preprocessing, classes, layers and a digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from xai_eval.errors import UsageError, unknown_name
from xai_eval.inputs.images.labelled import ImageSet
from xai_eval.inputs.models.block_digests import BlockDigests
from xai_eval.inputs.models.class_names import both_classes, listed_names
from xai_eval.inputs.models.compiled import check_module, uncompiled
from xai_eval.inputs.models.default_layer import DefaultLayer, default_layer
from xai_eval.inputs.models.derived.derived_preprocessing import as_preprocessing
from xai_eval.inputs.models.first_answers import FirstAnswers, first_answers
from xai_eval.inputs.models.layout import Reshape, given_grid
from xai_eval.inputs.models.model_weights import weights_digest
from xai_eval.inputs.models.own_methods import parameters_of
from xai_eval.inputs.models.preprocessing import Preprocessing, prepared_dtype, prepared_shape
from xai_eval.inputs.models.reading import OutputKind, Reading, output_kind
from xai_eval.inputs.models.references import References, image_references, reference_features
from xai_eval.inputs.models.shared_layer import shared_layer
from xai_eval.inputs.models.wrappers import Wrapper, names_behind, plain_names, unwrapped

GIVEN = "given with the model"
NUMBERED = "numbered, because the model names no classes"
_HARDLY_ANYTHING = 0.01  # share of the image


@dataclass(frozen=True, eq=False)
class Classifier:
    """An image classifier, ready to be explained. The module is put into evaluation mode.

    Attributes:
        name: the spec without paths of this machine, such as "file:factories.py:imagenet".
        module: takes a batch (N, 3, H, W) and returns logits (N, C), or another kind of output, see `reading`. A module
            that was compiled is replaced by its original, and `nn.DataParallel` or an `nn.Sequential` around a single
            module by this module.
        preprocess: turns an image into the input of the module: a `Preprocessing`, or any callable from a PIL image to
            a tensor (C, H, W), of which one is derived.
        class_names: C names in the order of the logits. Two classes may have the same name. An encoder
            (`output=OutputKind.EMBEDDING`) needs none: its references are its classes, see `similar_to`.
        class_ids: WordNet ids in the same order; None if the classes have none.
        classes_from: where the names come from, as text for reports.
        weights_digest: SHA-256 of the weights; computed if left empty.
        preprocessing_from: how the preprocessing is known, as text for reports.
        output: what the numbers of the output are; found out if None.
        reshape: how the outputs of token layers lie over the image: the number of rows and columns of their places, or
            a function from the output to (N, C, h, w), such as a `reshape_transform` of pytorch-grad-cam; measured if
            None.
        references: what the features of an encoder are compared with; made by `similar_to`.
        box: corners (x0, y0, x1, y1) of the box that a detector is asked about, in pixels of its input; if None, the
            best box of the explained class.
        restored: the settings of torch that loading the model changed for the whole process, and that were set back.
        wrappers: the modules that were around `module` when it was given, the outermost first.

    Raises:
        UsageError: there are no class names, or they are one text or something else that has no order; the number of
            ids differs from the number of names; the preprocessing fails on an image, or gives different tensors for
            one image.
    """

    name: str
    module: nn.Module
    preprocess: Preprocessing
    class_names: tuple[str, ...] = ()
    class_ids: tuple[str, ...] | None = None
    classes_from: str = GIVEN
    weights_digest: str = ""
    preprocessing_from: str = GIVEN
    output: OutputKind | None = None
    reshape: tuple[int, int] | Reshape | None = None
    references: References | None = None
    box: tuple[float, float, float, float] | None = None
    restored: tuple[str, ...] = ()
    wrappers: tuple[Wrapper, ...] = ()

    def __post_init__(self) -> None:
        # Text is as good as the member of the enumeration that it names.
        object.__setattr__(self, "output", None if self.output is None else output_kind(self.output))
        object.__setattr__(self, "reshape", given_grid(self.reshape, self.name))
        object.__setattr__(self, "class_names", self._names())
        ids = self.class_names if self.class_ids is None else self.class_ids
        unnamed = not self.class_names and self.output is not OutputKind.EMBEDDING
        if unnamed or len(ids) != len(self.class_names):
            raise UsageError(
                f"{self.name} has {len(self.class_names)} class names and {len(ids)} class ids; expected at "
                "least one name, and one id per name or no ids. Correct the lists."
            )
        check_module(self.module, self.name)
        inner, wrappers = unwrapped(self.module)
        object.__setattr__(self, "module", uncompiled(inner, self.name))
        object.__setattr__(self, "wrappers", (*wrappers, *self.wrappers))
        object.__setattr__(self, "preprocess", as_preprocessing(self.preprocess))
        if not self.weights_digest:
            object.__setattr__(self, "weights_digest", weights_digest(self.module))

    def _names(self) -> tuple[str, ...]:
        names = listed_names(self.class_names, f"{self.name}: class_names")
        single = self.output is OutputKind.BINARY and len(names) == 1 and self.class_ids is None
        return both_classes(names[0]) if single else names

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (3, H, W) of a prepared image."""
        return prepared_shape(self.preprocess)

    @cached_property
    def block_digests(self) -> BlockDigests:
        """The digests of the weights as they were when the model was last described."""
        return BlockDigests()

    @cached_property
    def first_answers(self) -> FirstAnswers:
        """What two passes on noise told about the model: how its output is read.

        Raises:
            ModelMisbehaves: the model raises, or returns nothing that can be explained.
            UsageError: it returns a single number, and nothing says what it is; or it is an encoder without references.
        """
        named = None if self.classes_from == NUMBERED else len(self.class_names)
        found = first_answers(self.module, self.input_shape, self.output, named, self.name)
        if prepared_dtype(self.preprocess) is not found.dtype:
            found = replace(found, is_plain=False)
        if self.box is not None and found.reading.kind is not OutputKind.DETECTION:
            raise UsageError(f"{self.name} returns no boxes, so none can be explained. Leave out --box.")
        if found.reading.kind is not OutputKind.EMBEDDING:
            return replace(found, reading=replace(found.reading, box=self.box))
        if self.references is None:
            raise UsageError(
                f"{self.name} returns {found.reading.outputs} features of an image, of which none is a class. Say what "
                "they are compared with: --similar-to IMAGE (Python: classifier.similar_to(load_images(...)))."
            )
        features = reference_features(self.references, self.module, found.reading, self.preprocess, self.name)
        return replace(found, reading=replace(found.reading, references=features))

    def similar_to(self, images: ImageSet) -> Classifier:
        """Return this encoder with images as its references: explained is the cosine similarity to one of them."""
        return self.with_references(image_references(images))

    def with_references(self, references: References) -> Classifier:
        """Return this encoder with references, which take the place of its classes."""
        return replace(
            self,
            class_names=references.names,
            class_ids=None,
            classes_from=str(references),
            output=OutputKind.EMBEDDING,
            references=references,
        )

    @property
    def reading(self) -> Reading:
        """How the output of the model is read."""
        return self.first_answers.reading

    @cached_property
    def scoring(self) -> nn.Module:
        """The model that is explained: takes a batch (N, channels, H, W) and returns scores (N, C).

        It is the module itself if that returns logits as a plain tensor, else a module that wraps it. A model that
        takes single images only gets the images of a batch one by one.
        """
        return self.first_answers.scoring(self.module)

    @cached_property
    def maps(self) -> nn.Module:
        """A segmentation as it is read: takes a batch (N, channels, H, W) and returns maps (N, C, h, w)."""
        return self.first_answers.maps(self.module)

    @cached_property
    def detector(self) -> nn.Module:
        """A detector as it is read: takes a batch (N, channels, H, W) and returns the boxes of each image."""
        return self.first_answers.detector(self.module)

    def predicted(self, scores: NDArray[np.float32]) -> int:
        """Return the index of the class that the model predicts, from its scores (C,).

        The background of a segmentation counts only where there is hardly anything else.
        """
        best = int(np.argmax(scores))
        if self.reading.kind is OutputKind.SEGMENTATION and _plain(self.class_names[best]).strip("_") == "background":
            others = np.where(np.arange(len(scores)) == best, -np.inf, scores)
            return int(np.argmax(others)) if others.max() > _HARDLY_ANYTHING else best
        return best

    @property
    def device(self) -> torch.device:
        """The device of the model's parameters."""
        return next((parameter.device for parameter in parameters_of(self.module)), torch.device("cpu"))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of all submodules, in the order in which the model defines them, without what `DataParallel` adds."""
        return tuple(plain_names(self.module).values())

    def layer(self, name: str) -> nn.Module:
        """Return the submodule called `name`, which may be its name in a wrapped model; see `layer_name`.

        Raises:
            UsageError: there is none; the error lists the nearest names.
        """
        layers: dict[str, nn.Module] = dict(self.module.named_modules())
        return layers[self.place_of(name)]

    def layer_name(self, name: str) -> str:
        """Return the name of a layer without what wrappers add: `layer4` for `module.layer4` or `_orig_mod.layer4`.

        Raises:
            UsageError: there is no such layer; the error lists the nearest names.
        """
        return plain_names(self.module)[self.place_of(name)]

    def place_of(self, name: str) -> str:
        """Return the name that a layer has among the submodules of `module`, with what `DataParallel` adds.

        Raises:
            UsageError: there is no such layer; the error lists the nearest names.
        """
        plain = plain_names(self.module)
        # Of several modules with one plain name, the last is the one inside `DataParallel`.
        known = {**{each: actual for actual, each in plain.items()}, **{actual: actual for actual in plain}}
        for each in names_behind(name, self.wrappers):
            if each in known:
                return known[each]
        raise unknown_name("layer", name, known, hint=f"Model: {self.name}.")

    def default_layer(self, input_shape: tuple[int, ...] | None = None) -> str:
        """Return the name of the last layer that lies over the image and counts, see `default_layer.default_layer`.

        For a detector, it is the last layer that all of its boxes depend on.

        Args:
            input_shape: shape (3, H, W) of the input for one forward pass; by default that of a prepared image.

        Raises:
            UsageError: no layer of the model lies over the image.
            ModelMisbehaves: the forward pass fails.
        """
        return self.found_layer(input_shape).name

    def found_layer(self, input_shape: tuple[int, ...] | None = None) -> DefaultLayer:
        """Find the default layer, and what has to be said of it; see `default_layer`."""
        if self.reading.kind is OutputKind.DETECTION:
            return DefaultLayer(shared_layer(self.module, input_shape or self.input_shape, self.name))
        dense = self.reading.outputs if self.reading.kind is OutputKind.SEGMENTATION else None
        found = default_layer(self.scoring, input_shape or self.input_shape, self.module, dense)
        return replace(found, name=self.layer_name(found.name))

    def class_index(self, name_or_index: str) -> int:
        """Return the index of the class given as "130", as "flamingo" or as WordNet id "n02007558".

        An exact match of the name counts first. If there is none, upper case and underscores are ignored.

        Raises:
            UsageError: no class matches (the error lists the nearest names), or several do.
        """
        found = self._indices(name_or_index)
        if len(found) == 1:
            return found[0]
        if found:
            choices = ", ".join(f"{index} ({self._label(index)})" for index in found)
            raise UsageError(f"class {name_or_index!r} is ambiguous in {self.name}: {choices}. Give the index instead.")
        ways = " or a name." if self.class_ids is None else ", a name or a WordNet id."
        hint = f"Expected an index from 0 to {len(self.class_names) - 1}{ways}"
        raise unknown_name("class", name_or_index, self.class_names, hint=hint)

    def indices_named(self, name: str) -> list[int]:
        """Return the indices of classes with this name; if there are none, ignore upper case and underscores."""
        exact = _positions(name, self.class_names)
        return exact or _positions(_plain(name), [_plain(each) for each in self.class_names])

    def _indices(self, wanted: str) -> list[int]:
        named = self.indices_named(wanted)
        exact = [index for index in named if self.class_names[index] == wanted]
        found = exact or _positions(wanted, self.class_ids or ()) or named
        if wanted.isascii() and wanted.isdigit() and int(wanted) < len(self.class_names):
            found = sorted({*found, int(wanted)})
        return found

    def _label(self, index: int) -> str:
        name = self.class_names[index]
        return name if self.class_ids is None else f"{name}, {self.class_ids[index]}"


def _positions(wanted: str, names: Sequence[str]) -> list[int]:
    return [index for index, name in enumerate(names) if name == wanted]


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().casefold()
