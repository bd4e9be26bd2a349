"""The bundled suite `study`, with everything that it needs at its place: random weights and a small Broden."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import open_clip.factory
import pytest
import safetensors.torch
import torch
import torchvision.models
from PIL import Image
from torchvision.models import resnet18, resnet50

from xai_eval.cli.main import main
from xai_eval.inputs import downloads as data
from xai_eval.result.result import Result
from xai_eval.scenes import CONCEPTS
from xai_eval.settings.bundled_suites import bundled_suite, bundled_suites
from xai_eval.settings.settings import NO_SETTINGS

IMAGES = 12  # that Broden really has here; its index lists as many as the study draws from
LISTED = 10_000
TINY_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
RESNET18 = "torchvision:resnet18@IMAGENET1K_V1"


def table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        written = csv.DictWriter(file, list(rows[0]))
        written.writeheader()
        written.writerows(rows)


def write_broden(folder: Path, listed: int) -> None:
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    sizes = {"ih": 32, "iw": 32, "sh": 16, "sw": 16}
    rows = [
        {"image": f"{number:05}.png", "split": "train", **sizes, "object": "", "scene": 1 + number % 2}
        for number in range(listed)
    ]
    for number in range(IMAGES):
        Image.fromarray(generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(
            folder / "images" / f"{number:05}.png"
        )
    table(folder / "index.csv", rows)
    scenes = [{"code": n, "number": n, "name": name, "frequency": 9} for n, name in ((1, "street-s"), (2, "sea-s"))]
    table(folder / "c_scene.csv", [{**row, "coverage": 12.0} for row in scenes])
    table(folder / "c_object.csv", [{"code": 1, "number": 3, "name": "tree", "frequency": 9, "coverage": 2.0}])


def write_photographs(root: Path, entries: dict[str, Any]) -> None:
    """Write a photograph for each of the study: noise, under the names that the manifest has."""
    for name, entry in entries.items():
        if name.startswith("imagenet-samples/"):
            path = root / entry["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 64), (len(name), 90, 20)).save(path, format="JPEG")
            entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()


def write_weights(root: Path, entries: dict[str, Any]) -> None:
    torch.manual_seed(0)
    places = {f"module.{name}": value for name, value in resnet18(num_classes=365).state_dict().items()}
    written = {
        "torchvision:resnet50@IMAGENET1K_V1": resnet50().state_dict(),
        RESNET18: resnet18().state_dict(),
        "places365:resnet18/weights": {"state_dict": places},
    }
    for name, content in written.items():
        path = root / entries[name]["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, path)
        if "sha256" in entries[name]:  # the publisher of Places365 gives none
            entries[name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    categories = "\n".join(f"/p/place/number_{index} {index}" for index in range(365))
    (root / "places365" / "categories_places365.txt").write_text(categories)
    entries["places365:resnet18/categories"]["sha256"] = hashlib.sha256(categories.encode()).hexdigest()
    clip = open_clip.CLIP(**TINY_CLIP, quick_gelu=True)
    (root / "clip").mkdir()
    safetensors.torch.save_file(clip.state_dict(), root / "clip" / "ViT-B-16@openai.safetensors")


@pytest.fixture(scope="module", autouse=True)
def shallow() -> Iterator[None]:
    """Give the ResNets one block per stage: what a dry run asks of them does not depend on their depth."""
    whole = torchvision.models.resnet._resnet
    with pytest.MonkeyPatch.context() as patch:

        def made(block: Any, layers: list[int], *rest: Any, **options: Any) -> Any:
            return whole(block, [1] * len(layers), *rest, **options)

        patch.setattr(torchvision.models.resnet, "_resnet", made)
        yield


@pytest.fixture(scope="module")
def prepared(shallow: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A data root with all that the study needs, and the manifest that fits."""
    root, content = tmp_path_factory.mktemp("data"), data.manifest()
    write_weights(root, content["downloads"])
    write_photographs(root, content["downloads"])
    write_broden(root / "broden1_224", LISTED)
    return root, content


@pytest.fixture
def cache(prepared: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared data root, and an empty working directory."""
    root, here = tmp_path / "data", tmp_path / "here"
    shutil.copytree(prepared[0], root, copy_function=os.link)
    here.mkdir()
    monkeypatch.setenv("XAI_EVAL_DATA", str(root))
    monkeypatch.setattr(data, "manifest", lambda: prepared[1])
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-16", TINY_CLIP)
    monkeypatch.chdir(here)
    return root


def test_the_suite_is_the_study_s_set_up() -> None:
    assert bundled_suites() == ("study",)
    study = bundled_suite("study", NO_SETTINGS)
    assert study.models == ("torchvision:resnet50@IMAGENET1K_V1",)
    assert study.images == ("imagenet-samples",)
    assert [each.task for each in study.suite] == ["cams", "lime", "comparison", "lime_search", *["dissection"] * 2]
    first, second = study.suite[-2:]
    assert (first.models, first.params["against"]) == (None, RESNET18)
    assert (second.models, second.params["against"]) == ((RESNET18,), "places365:resnet18")
    for each in (first, second):
        assert each.images == ("broden",)
        assert (each.params["similarity"], each.params["probe_size"]) == ("soft_wpmi", 10_000)
        assert each.params["clip"] == "ViT-B-16/openai"
    assert first.params["concepts"] == "scenes"
    assert len(CONCEPTS) == 20


@pytest.mark.slow
def test_everything_is_checked_and_listed_without_a_network(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--suite", "study", "--dry-run", "--quiet"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in told] == [
        *["10 results would be computed"] * 2,
        *["11 results would be computed"] * 2,
        *["3 results would be computed"] * 2,
    ]
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.slow
def test_what_is_missing_is_told_before_anything_is_computed(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "broden1_224" / "index.csv").unlink()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    (cache / "places365" / "resnet18_places365.pth.tar").unlink()
    assert main(["run", "dissection", "--suite", "study", "--dry-run", "--quiet"]) == 3
    shown = capsys.readouterr()
    assert shown.out.count("nothing can be computed: dissection") == 2
    assert shown.err.count("Broden is not at") == 1
    assert "set XAI_EVAL_DATA to a folder that holds broden1_224" in shown.err
    assert main(["run", "cams", "dissection", "--suite", "study", "--quiet"]) == 3
    assert "Broden is not at" in capsys.readouterr().err
    assert not Path("reports").exists()
    write_broden(cache / "again", LISTED)
    (cache / "again" / "index.csv").rename(cache / "broden1_224" / "index.csv")
    assert main(["run", "dissection", "--suite", "study", "--dry-run", "--quiet"]) == 3
    assert "places365:resnet18/weights is not on this machine" in capsys.readouterr().err


@pytest.mark.thorough
def test_both_dissections_of_the_suite_run_on_a_small_broden(cache: Path) -> None:
    for file in (cache / "broden1_224").glob("*.csv"):
        file.unlink()
    write_broden(cache / "small", IMAGES)
    for file in (cache / "small").glob("*.csv"):
        file.rename(cache / "broden1_224" / file.name)
    few = ["--probe-size", str(IMAGES), "--shuffles", "1", "--batch-size", "4", "--layers", "layer2"]
    assert main(["run", "dissection", "--suite", "study", "--quiet", *few]) == 0
    results = [Result.load(each) for each in Path("reports/results/dissection").iterdir()]
    assert len(results) == 6
    found = {(each.case.model, each.case.params["clip"]["concepts"]) for each in results}
    assert (RESNET18, "scenes, 20 words") in found
    assert any(model == RESNET18 and "labels of broden1_224" in words for model, words in found)
    assert (cache / "places365" / "resnet18_places365.pth.tar.sha256").is_file()
