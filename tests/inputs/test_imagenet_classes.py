from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.models import ResNet50_Weights

from xai_eval.inputs.images.imagenet_classes import classes_by_wnid, imagenet_classes


@pytest.mark.parametrize(
    ("index", "wnid", "name"),
    [
        (1, "n01443537", "goldfish"),
        (21, "n01608432", "kite"),
        (130, "n02007558", "flamingo"),
        (281, "n02123045", "tabby"),
        (751, "n04037443", "racer"),
        (134, "n02012849", "crane bird"),
        (517, "n03126707", "crane"),
    ],
)
def test_known_classes(index: int, wnid: str, name: str) -> None:
    entry = imagenet_classes()[index]
    assert (entry.index, entry.wnid, entry.name) == (index, wnid, name)
    assert classes_by_wnid()[wnid] is entry


def test_index_order_is_the_order_of_wordnet_ids() -> None:
    wnids = [entry.wnid for entry in imagenet_classes()]
    assert wnids == sorted(set(wnids))
    assert [entry.index for entry in imagenet_classes()] == list(range(1000))


def test_names_are_those_of_torchvisions_weights() -> None:
    assert [entry.name for entry in imagenet_classes()] == ResNet50_Weights.DEFAULT.meta["categories"]


@pytest.mark.real
def test_first_words_agree_with_the_labels_of_another_publisher(real_data: Path) -> None:
    lines = (real_data / "models" / "imagenet_labels_1000.txt").read_text(encoding="utf-8").splitlines()
    theirs = [line.split(",")[0] for line in lines]
    differing = {
        entry.name: label for entry, label in zip(imagenet_classes(), theirs, strict=True) if entry.name != label
    }
    # torchvision tells the bird from the machine, and the swimsuit from the leotard.
    assert differing == {"crane bird": "crane", "maillot tank suit": "maillot"}
