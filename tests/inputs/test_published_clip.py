from __future__ import annotations

import copy
import hashlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import open_clip
import open_clip.factory
import open_clip.pretrained
import pytest
import safetensors.torch
import torch
from local_site import Site
from PIL import Image
from tiny_models import Bomb
from torch import nn

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.clip.clip import load_clip
from xai_eval.inputs.downloads import download_entries, downloads

NAME = "Tiny-16"
MEAN = (0.1, 0.2, 0.3)
WORDS = ["dog", "fire truck", "sea"]
REPOSITORY = "nobody/tiny"


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_root: Path) -> Path:
    """An empty data root, empty caches, and no network; returns the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "home"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Let open_clip know a tiny architecture; returns a model of it with the activation of OpenAI's models."""
    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, NAME, config)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, NAME, {})
    torch.manual_seed(0)
    return open_clip.CLIP(**config, quick_gelu=True).eval()


@pytest.fixture
def publish(tiny: nn.Module, site: Site) -> Callable[..., dict[str, Any]]:
    """Let open_clip know weights of the tiny architecture, where they are and how they are prepared."""

    def put(tag: str, body: bytes = b"", **changes: Any) -> dict[str, Any]:
        path = f"/clip/models/{hashlib.sha256(body).hexdigest()}/Tiny.pt"
        site.files[path] = body
        entry = {
            "url": site.url + path,
            "hf_hub": f"{REPOSITORY}/",
            "mean": MEAN,
            "std": (0.5, 0.5, 0.5),
            "interpolation": "bilinear",
            "resize_mode": "squash",
            "quick_gelu": True,
            **changes,
        }
        open_clip.pretrained._PRETRAINED[NAME][tag] = entry
        return entry

    return put


def archive(model: nn.Module) -> bytes:
    """TorchScript, as OpenAI published its models: in half precision, without the mask, with three numbers more."""
    copied, stream = copy.deepcopy(model), io.BytesIO()
    mask = copied.attn_mask
    del copied.attn_mask
    copied.attn_mask = mask
    for name in ("input_resolution", "context_length", "vocab_size"):
        vars(copied).pop(name, None)
        copied.register_buffer(name, torch.tensor(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, and that TorchScript is deprecated
        traced = torch.jit.trace(copied, (torch.zeros(1, 3, 32, 32), torch.zeros(1, 77).long()))
        torch.jit.save(traced.half(), stream)
    return stream.getvalue()


def save(model: nn.Module, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(model.state_dict(), path)


def in_hub_cache(file: str) -> Path:
    folder = Path(huggingface_hub.constants.HF_HUB_CACHE) / ("models--" + REPOSITORY.replace("/", "--"))
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text("a" * 40)
    place = folder / "snapshots" / ("a" * 40) / file
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def assert_is(loaded: Any, model: nn.Module, tolerance: float = 1e-6) -> None:
    """Check that the loaded CLIP embeds as the model does."""
    batch = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        images = model.encode_image(batch, normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer("ViT-B-16")(WORDS), normalize=True)
    torch.testing.assert_close(loaded.embed_images(batch), images, rtol=0, atol=tolerance)
    torch.testing.assert_close(loaded.embed_texts(WORDS), texts, rtol=0, atol=tolerance)


def test_weights_in_the_data_root(tiny: nn.Module, publish: Callable[..., Any], empty_root: Path, site: Site) -> None:
    publish("first")
    save(tiny, empty_root / "clip" / f"{NAME}@first.safetensors")
    loaded = load_clip(f"{NAME}/first")
    assert loaded.name == f"{NAME}/first"
    assert not loaded.module.training
    assert_is(loaded, tiny)
    assert site.asked == []


def test_the_preprocessing_is_that_of_the_weights(
    tiny: nn.Module, publish: Callable[..., Any], empty_root: Path
) -> None:
    publish("first")
    save(tiny, empty_root / "clip" / f"{NAME}@first.safetensors")
    loaded = load_clip(f"{NAME}/first")
    described = loaded.describe()
    assert described["mean"] == list(MEAN)
    assert (described["interpolation"], described["resize_mode"]) == ("bilinear", "squash")
    # An image of one colour stays one through any resizing.
    tensor = loaded.preprocess(Image.new("RGB", (50, 40), (255, 0, 51)))
    expected = (torch.tensor([1.0, 0.0, 0.2]) - torch.tensor(MEAN)) / 0.5
    torch.testing.assert_close(tensor, expected.view(3, 1, 1).expand(3, 32, 32))


def test_weights_in_the_cache_of_the_hub(tiny: nn.Module, publish: Callable[..., Any], site: Site) -> None:
    for tag in ("first", "openai"):
        publish(tag)
        save(tiny, in_hub_cache("open_clip_model.safetensors"))
        assert_is(load_clip(f"{NAME}/{tag}"), tiny)
    assert site.asked == []


def test_a_checkpoint_of_tensors_in_the_cache_of_the_hub(tiny: nn.Module, publish: Callable[..., Any]) -> None:
    torch.save(tiny.state_dict(), in_hub_cache("open_clip_pytorch_model.bin"))
    for tag in ("first", "openai"):
        publish(tag)
        assert_is(load_clip(f"{NAME}/{tag}"), tiny)


def test_openais_file_is_downloaded_once_and_checked(
    tiny: nn.Module, publish: Callable[..., Any], empty_root: Path, site: Site
) -> None:
    publish("openai", archive(tiny))
    loaded = load_clip(f"{NAME}/openai")
    assert_is(loaded, tiny, tolerance=2e-3)  # the file is in half precision
    assert loaded.module.visual.conv1.weight.dtype == torch.float32
    assert loaded.describe()["mean"] == list(MEAN)
    assert loaded.describe()["size"] in (32, [32, 32])
    assert (empty_root / "clip" / "Tiny.pt").is_file()
    assert load_clip(f"{NAME}/openai").weights_digest == loaded.weights_digest
    assert len(site.asked) == 1


def test_openais_file_in_its_own_cache(
    tiny: nn.Module, publish: Callable[..., Any], homes: Path, empty_root: Path, site: Site
) -> None:
    body = archive(tiny)
    publish("openai", body)
    place = homes / ".cache" / "clip" / "Tiny.pt"
    place.parent.mkdir(parents=True)
    place.write_bytes(body)
    assert_is(load_clip(f"{NAME}/openai"), tiny, tolerance=2e-3)
    assert site.asked == []
    assert not empty_root.exists()


def test_a_changed_file_of_openai_is_never_opened(tiny: nn.Module, publish: Callable[..., Any], site: Site) -> None:
    entry = publish("openai", archive(tiny))
    path = entry["url"].removeprefix(site.url)
    site.files[path] += b"."
    with pytest.raises(InputUnavailable, match=r"with SHA-256 \w+; expected"):
        load_clip(f"{NAME}/openai")


@pytest.mark.parametrize("tag", ["first", "openai"])
def test_pickled_code_is_refused_and_not_run(publish: Callable[..., Any], tag: str, tmp_path: Path) -> None:
    publish(tag)
    torch.save({"visual.proj": Bomb(tmp_path / "ran")}, in_hub_cache("open_clip_pytorch_model.bin"))
    with pytest.raises(InputUnavailable, match=r"cannot be made from .*Weights only load failed"):
        load_clip(f"{NAME}/{tag}")
    assert not (tmp_path / "ran").exists()


def test_a_pickle_in_place_of_openais_archive_is_not_run(publish: Callable[..., Any], tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"visual.proj": Bomb(tmp_path / "ran")}, stream)
    publish("openai", stream.getvalue())
    with pytest.raises(InputUnavailable, match="cannot be made from"):
        load_clip(f"{NAME}/openai")
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_architecture(tiny: nn.Module, publish: Callable[..., Any], empty_root: Path) -> None:
    publish("first")
    place = empty_root / "clip" / f"{NAME}@first.safetensors"
    save(nn.Linear(2, 2), place)
    with pytest.raises(InputUnavailable, match=f"the CLIP model {NAME}/first cannot be made from {place}"):
        load_clip(f"{NAME}/first")
    place.write_bytes(place.read_bytes()[:10])
    with pytest.raises(InputUnavailable, match="SafetensorError"):
        load_clip(f"{NAME}/first")


def test_offline_the_place_for_a_copy_is_named(publish: Callable[..., Any], empty_root: Path) -> None:
    publish("first")
    with pytest.raises(InputUnavailable) as caught:
        load_clip(f"{NAME}/first")
    for part in (str(empty_root / "clip" / f"{NAME}@first.safetensors"), REPOSITORY, "cannot be downloaded"):
        assert part in str(caught.value)


def test_vit_b_16_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is the one in the address that OpenAI published, which open_clip has too."""
    (entry,) = download_entries("clip:ViT-B-16@openai")
    assert entry.name in downloads()
    assert entry.url == open_clip.get_pretrained_url("ViT-B-16", "openai")
    assert entry.sha256 == entry.url.split("/")[-2]
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(InputUnavailable, match=r"clip:ViT-B-16@openai is not on this machine .*clip/ViT-B-16.pt"):
        load_clip("ViT-B-16/openai")


def test_every_address_of_openai_holds_a_digest() -> None:
    addresses = {open_clip.get_pretrained_url(name, "openai") for name in open_clip.list_openai_models()}
    assert len(addresses) >= 9
    assert all(len(bytes.fromhex(address.split("/")[-2])) == 32 for address in addresses)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("ViT-B-17/openai", r"unknown open_clip model 'ViT-B-17'. Did you mean ViT-B-16"),
        ("ViT-B-16/openia", r"unknown weights 'openia'. Did you mean openai"),
        ("ViT-B-16", "CLIP spec 'ViT-B-16': expected 'scenes', or an architecture"),
        ("ViT-B-16/", "expected 'scenes', or an architecture"),
        ("/openai", "expected 'scenes', or an architecture"),
        ("", "expected 'scenes', or an architecture"),
    ],
)
def test_a_wrong_spec(spec: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        load_clip(spec)
