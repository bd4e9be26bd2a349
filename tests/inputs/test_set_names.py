"""How image sets in folders of the user are called."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.set_names import name_of_file, name_of_folder
from xai_eval.scenes import render


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "checkout-17" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "checkout-17")
    return tmp_path / "checkout-17"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("photos", "photos"),
        ("data/photos", "photos"),
        ("images", "images"),
        ("train/images", "train:images"),
        ("val/images", "val:images"),
        ("birds/train/images", "birds:train:images"),
        ("deep/birds/Images", "birds:Images"),
    ],
)
def test_folders_that_many_sets_have_are_told_apart_by_those_above(project: Path, folder: str, name: str) -> None:
    (project / folder).mkdir(parents=True)
    assert name_of_folder(Path(folder)) == name_of_folder(project / folder) == name


def test_the_name_does_not_depend_on_the_working_folder_of_a_project(project: Path, monkeypatch) -> None:
    (project / "train" / "images").mkdir(parents=True)
    monkeypatch.chdir(project / "train")
    assert name_of_folder(Path("images")) == "train:images"


def test_without_a_project_the_working_folder_is_not_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    assert name_of_folder(Path("images")) == name_of_folder(tmp_path / "images") == "images"


@given(st.lists(st.sampled_from(["images", "train", "val", "birds", "cats"]), min_size=1, max_size=4))
def test_a_name_has_no_slash_and_ends_with_that_of_the_folder(parts: list[str]) -> None:
    name = name_of_folder(Path("/nowhere", *parts))
    assert "/" not in name and name.split(":")[-1] == parts[-1]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("model.py", "model.py"),
        ("birds/model.py", "birds/model.py"),
        ("birds/src/Model.py", "birds/src/Model.py"),
        ("birds/resnet_birds.py", "resnet_birds.py"),
        ("cafe\u0301/net.py", "caf\u00e9/net.py"),
    ],
)
def test_model_files_that_many_models_have_are_told_apart_by_their_folders(project: Path, file: str, name: str) -> None:
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    (project / file).touch()
    assert name_of_file(Path(file)) == name_of_file(project / file) == name


def test_a_model_file_outside_of_any_project_has_no_path_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "model.py").touch()
    assert name_of_file(tmp_path / "model.py") == "model.py"


def test_image_sets_are_called_so(project: Path) -> None:
    from PIL import Image

    for split in ("train", "val"):
        (project / split / "images").mkdir(parents=True)
        Image.fromarray(render(1).pixels).save(project / split / "images" / "a.png")
    specs = ("train/images", "train/images/a.png", "train/images/*.png", "val/images")
    assert [load_images(spec).name for spec in specs] == ["train:images"] * 3 + ["val:images"]
