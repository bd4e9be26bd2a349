"""Finds the class that an image should show."""

from __future__ import annotations

import pytest
from torch import nn

from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.images.labelled import Intended
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.tasks.image.target import intended_index

PREPROCESS = fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3)


def classifier(names: tuple[str, ...] = ("cat", "dog", "Big_Dog"), ids: tuple[str, ...] | None = None) -> Classifier:
    return Classifier("mine", nn.Conv2d(3, len(names), 3), PREPROCESS, names, ids)


def imagenet() -> Classifier:
    table = imagenet_classes()
    return classifier(tuple(entry.name for entry in table), tuple(entry.wnid for entry in table))


@pytest.mark.parametrize(
    ("intended", "index"),
    [
        (None, None),
        (Intended("flamingo", "n02007558"), 130),
        (Intended("whatever", "n02007558"), 130),
        (Intended("flamingo", "n99999999"), None),
        (Intended("flamingo"), 130),
        (Intended("CARDIGAN"), None),
        (Intended("no such thing"), None),
    ],
)
def test_the_intended_class_of_an_imagenet_model(intended: Intended | None, index: int | None) -> None:
    assert intended_index(intended, imagenet()) == index


def test_the_intended_class_by_name_where_the_model_has_no_ids() -> None:
    assert intended_index(Intended("dog", "n02084071"), classifier()) == 1
    assert intended_index(Intended("flamingo", "n02007558"), classifier()) is None
    assert intended_index(Intended("bow"), classifier(names=("bow", "arrow", "bow"))) is None
