from __future__ import annotations

import hashlib
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from local_site import Site
from PIL import Image
from tiny_models import Bomb, Tiny
from torchvision.models import ResNet18_Weights, get_model, get_model_weights, list_models
from torchvision.models._api import Weights, WeightsEnum, register_model
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.models import torchvision_models
from xai_eval.inputs.models.model_weights import weights_digest
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.outputs import logits


def publish(site: Site, tmp_path: Path, content: object, *, prefix: str | None = None, detects: bool = False) -> str:
    """Register a model with torchvision whose weights are on the local site; returns its name."""
    file = tmp_path / "published.pth"
    torch.save(content, file)
    body = file.read_bytes()
    path = f"/models/tiny-{prefix or hashlib.sha256(body).hexdigest()[:8]}.pth"
    site.files[path] = body
    transforms: Any = partial(type(ResNet18_Weights.DEFAULT.transforms()), crop_size=32, resize_size=40)
    if detects:
        transforms = FasterRCNN_ResNet50_FPN_Weights.DEFAULT.transforms
    members = {"V1": Weights(site.url + path, transforms, {"categories": ["cat", "dog"]})}
    published = WeightsEnum("TinyWeights", {**members, "DEFAULT": members["V1"]})

    def build(*, weights: Any = None, progress: bool = True) -> Tiny:
        module = Tiny()
        if weights is not None:
            module.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
        return module

    build.__annotations__["weights"] = published | None
    name = f"tiny_{uuid.uuid4().hex}"
    register_model(name=name)(build)
    return name


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's own cache, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.usefixtures("hub")
def test_a_torchvision_model_with_its_default_weights(site: Site, empty_root: Path, tmp_path: Path) -> None:
    original = Tiny()
    name = publish(site, tmp_path, original.state_dict())
    loaded = load_model(f"torchvision:{name}")
    assert loaded.name == f"torchvision:{name}@V1"
    assert load_model(f"torchvision:{name}@V1").name == loaded.name
    assert loaded.weights_digest == weights_digest(original)
    assert loaded.class_names == ("cat", "dog")
    assert loaded.class_ids is None
    assert loaded.input_shape == (3, 32, 32)
    assert not loaded.module.training
    # The second time the file is in the data root.
    assert len(site.asked) == 1
    assert [path.parent for path in empty_root.rglob("*.pth")] == [empty_root / "checkpoints"]


@pytest.mark.usefixtures("hub", "empty_root")
def test_a_detector_gets_images_of_any_size(site: Site, tmp_path: Path) -> None:
    loaded = load_model(f"torchvision:{publish(site, tmp_path, Tiny().state_dict(), detects=True)}")
    image = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3).repeat(8, 0).repeat(8, 1))
    expected = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    assert torch.equal(loaded.preprocess(image), expected)
    assert loaded.class_names == ("cat", "dog")


def test_pytorchs_own_cache_is_used(site: Site, empty_root: Path, hub: Path, tmp_path: Path) -> None:
    name = publish(site, tmp_path, Tiny().state_dict())
    hub.mkdir(parents=True)
    ((path, body),) = site.files.items()
    (hub / Path(path).name).write_bytes(body)
    load_model(f"torchvision:{name}")
    assert site.asked == []
    assert not empty_root.exists()


@pytest.mark.usefixtures("hub", "empty_root")
def test_pickled_code_in_weights_is_refused_and_not_run(site: Site, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    name = publish(site, tmp_path, {"conv.weight": Bomb(mark)})
    with pytest.raises(InputUnavailable, match="holds pickled objects, which are never run"):
        load_model(f"torchvision:{name}")
    assert not mark.exists()
    # The library's own reader is back in place.
    assert "get_state_dict" not in vars(get_model_weights(name))


@pytest.mark.usefixtures("hub", "empty_root")
@pytest.mark.parametrize(
    ("content", "published", "message"),
    [
        (Tiny().state_dict(), {"prefix": "00000000"}, "expected 00000000"),
        (Tiny(width=5).state_dict(), {}, r"another architecture than tiny_\w+: size mismatch for conv"),
        *((content, {}, "expected a dictionary of weights") for content in ([1, 2], torch.zeros(3), None)),
    ],
    ids=["another digest", "another architecture", "a list", "a tensor", "nothing"],
)
def test_files_that_are_not_weights_are_refused(
    site: Site, tmp_path: Path, content: object, published: dict[str, str], message: str
) -> None:
    name = publish(site, tmp_path, content, **published)
    with pytest.raises(InputUnavailable, match=message):
        load_model(f"torchvision:{name}")


@pytest.mark.usefixtures("hub", "empty_root")
@pytest.mark.parametrize("kept", [0, 1, 100, 1000])
def test_a_truncated_checkpoint(site: Site, tmp_path: Path, kept: int) -> None:
    body = tmp_path / "whole.pth"
    torch.save(Tiny().state_dict(), body)
    cut = body.read_bytes()[:kept]
    name = publish(site, tmp_path, {}, prefix=hashlib.sha256(cut).hexdigest()[:8])
    site.files = dict.fromkeys(site.files, cut)
    with pytest.raises(InputUnavailable, match="cannot be read as plain weights"):
        load_model(f"torchvision:{name}")


def test_an_unknown_torchvision_model_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown torchvision model 'resnet55'. Did you mean resnet50"):
        load_model("torchvision:resnet55")


def test_unknown_weights_suggest_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown weights 'IMAGENET1K_V3'. Did you mean IMAGENET1K_V2"):
        load_model("torchvision:resnet50@IMAGENET1K_V3")


@pytest.mark.parametrize("name", ["fcn_resnet50", "r3d_18"])
def test_a_model_that_is_no_image_classifier_is_refused_before_any_download(name: str, site: Site) -> None:
    with pytest.raises(UsageError, match="expected an image classifier"):
        load_model(f"torchvision:{name}")


@pytest.mark.parametrize("name", ["mnasnet0_75", "shufflenet_v2_x2_0", "resnet50", "vgg16", "inception_v3"])
@pytest.mark.usefixtures("hub", "empty_root")
def test_offline_the_weights_and_their_place_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    weights = get_model_weights(name).DEFAULT
    with pytest.raises(InputUnavailable) as caught:
        load_model(f"torchvision:{name}")
    for part in (
        f"torchvision:{name}@{weights.name} is not on this machine",
        weights.url,
        f"checkpoints/{Path(weights.url).name}",
    ):
        assert part in str(caught.value)


def test_weights_without_a_classifier_are_refused() -> None:
    with pytest.raises(UsageError, match="IMAGENET1K_FEATURES come without class names"):
        load_model("torchvision:vgg16@IMAGENET1K_FEATURES")


def test_all_imagenet_weights_of_torchvision_list_the_same_classes() -> None:
    """Classes of weights called IMAGENET1K get WordNet ids; that holds only as long as this does."""
    names = ResNet18_Weights.DEFAULT.meta["categories"]
    checked = 0
    for model in list_models():
        for weights in get_model_weights(model):
            if weights.name.startswith("IMAGENET1K") and weights.meta["categories"]:
                assert weights.meta["categories"] == names, f"{model} {weights.name}"
                checked += 1
    assert checked > 80


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("inception_v3", 299),
        ("googlenet", 224),
        ("regnet_y_400mf", 224),
        ("squeezenet1_1", 224),
        pytest.param("vit_b_32", 224, marks=pytest.mark.slow),
        pytest.param("swin_v2_t", 256, marks=pytest.mark.slow),
        pytest.param("maxvit_t", 224, marks=pytest.mark.slow),
        pytest.param("efficientnet_v2_s", 384, marks=pytest.mark.slow),
    ],
)
def test_models_of_torchvisions_families(name: str, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As trained by Google, these two have further outputs for training.
    as_published = {"init_weights": False, "aux_logits": True} if name in ("inception_v3", "googlenet") else {}
    module, file = get_model(name, weights=None, **as_published).eval(), tmp_path / "weights.pth"
    torch.save(module.state_dict(), file)
    monkeypatch.setattr(torchvision_models, "obtain", lambda *_, **__: file)
    loaded = load_model(f"torchvision:{name}")
    assert loaded.input_shape == (3, side, side)
    batch = torch.randn(1, 3, side, side)
    # Published weights of these two expect the values that Google's preparation gives.
    module.transform_input = bool(as_published)
    with torch.no_grad():
        assert torch.equal(logits(loaded, batch), module(batch))
