from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from tiny_models import Bomb
from torchvision.models import resnet18

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs import downloads as data
from xai_eval.inputs.models.model_weights import weights_digest
from xai_eval.inputs.models.models import load_model


def provide_places(root: Path, checkpoint: object, monkeypatch: pytest.MonkeyPatch, lines: int = 365) -> None:
    (root / "places365").mkdir(parents=True)
    torch.save(checkpoint, root / "places365" / "resnet18_places365.pth.tar")
    listed = "\n".join(f"/p/place/number_{index} {index}" for index in range(lines))
    (root / "places365" / "categories_places365.txt").write_text(listed)
    entries = data.manifest()["downloads"]
    entries["places365:resnet18/categories"]["sha256"] = hashlib.sha256(listed.encode()).hexdigest()
    monkeypatch.setattr(data, "manifest", lambda: {"downloads": entries, "bundled": {}})


def test_places365(empty_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = resnet18(weights=None, num_classes=365)
    state = {f"module.{name}": value for name, value in original.state_dict().items()}
    provide_places(empty_root, {"epoch": 90, "arch": "resnet18", "state_dict": state}, monkeypatch)
    loaded = load_model("places365:resnet18")
    assert loaded.name == "places365:resnet18"
    assert loaded.weights_digest == weights_digest(original)
    assert loaded.class_names[364] == "place/number_364"
    assert loaded.class_index("place/number_7") == 7
    assert loaded.preprocess.describe()["resize"] == 256


def test_places365_with_pickled_code(empty_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    provide_places(empty_root, {"state_dict": {}, "extra": Bomb(mark)}, monkeypatch)
    with pytest.raises(InputUnavailable, match="holds pickled objects, which are never run"):
        load_model("places365:resnet18")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({"weights": {}}, "has no dictionary under 'state_dict'"),
        ({"state_dict": [1]}, "has no dictionary under 'state_dict'"),
        ({"state_dict": {"module.conv1.weight": torch.zeros(1)}}, "another architecture than ResNet"),
    ],
)
def test_places365_with_something_else(
    empty_root: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: object, message: str
) -> None:
    provide_places(empty_root, checkpoint, monkeypatch)
    with pytest.raises(InputUnavailable, match=message):
        load_model("places365:resnet18")


def test_places365_with_another_list_of_categories(empty_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = resnet18(weights=None, num_classes=365).state_dict()
    provide_places(empty_root, {"state_dict": state}, monkeypatch, lines=364)
    with pytest.raises(InputUnavailable, match="does not list 365 categories"):
        load_model("places365:resnet18")


def test_other_networks_of_places365_are_unknown() -> None:
    with pytest.raises(UsageError, match=r"unknown places365 model 'resnet50'. Did you mean resnet18"):
        load_model("places365:resnet50")
