from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forbidden import forbid
from PIL import Image

from xai_eval.errors import InputUnavailable, UsageError, XaiEvalError
from xai_eval.inputs import downloads as data
from xai_eval.inputs.images.file_names import intended_by_name
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.images.labelled import ImageSet, Intended, LabelledImage
from xai_eval.scenes import render


def put(path: Path, colour: int = 100, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 0, 0)).save(path)
    return path


def put_mask(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def half(size: tuple[int, int] = (30, 40)) -> np.ndarray:
    mask = np.zeros(size, dtype=np.uint8)
    mask[:, :20] = 255
    return mask


def names(images: ImageSet) -> list[str]:
    return [image.name for image in images.images]


def test_scenes_are_the_first_twelve_with_their_main_object_and_mask() -> None:
    images = load_images("scenes")
    assert images.name == "scenes"
    assert names(images) == [f"scene-{seed:02d}" for seed in range(12)]
    for seed, image in enumerate(images.images):
        scene = render(seed)
        assert np.array_equal(image.pixels, scene.pixels)
        assert image.digest == hashlib.sha256(scene.pixels.tobytes()).hexdigest()
        assert image.intended == Intended(scene.main_object)
        assert image.mask is not None
        assert np.array_equal(image.mask, scene.masks[scene.main_object])


def test_any_number_of_scenes() -> None:
    assert names(load_images("scenes:14"))[-1] == "scene-13"
    assert load_images("scenes:14").name == "scenes"


@pytest.mark.parametrize(
    "number",
    ["", "0", "-3", "many", "1.5", "\u0663", "1_0", "99999999999", pytest.param("9" * 5000, id="5,000 digits")],
)
def test_a_malformed_number_of_scenes(number: str) -> None:
    with pytest.raises(UsageError, match="expected a number of scenes") as told:
        load_images(f"scenes:{number}")
    assert len(str(told.value)) < 400


def test_a_folder_is_searched_in_sorted_order_for_images_only(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for name in ("b.PNG", "a/z.jpg", "c.jpeg", ".hidden.png", ".cache/x.png"):
        put(folder / name)
    (folder / "README.md").write_text("about these photographs")
    (folder / "labels.csv").write_text("a,b")
    images = load_images(str(folder))
    assert images.name == "photos"
    assert names(images) == ["a/z.jpg", "b.PNG", "c.jpeg"]
    first = images.images[0]
    assert first.digest == hashlib.sha256((folder / "a" / "z.jpg").read_bytes()).hexdigest()
    assert first.pixels.shape == (30, 40, 3)
    assert first.intended is None
    assert first.mask is None


def test_a_relative_folder_has_its_real_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path / "photos")
    assert load_images(".").name == "photos"


def test_a_file_is_taken_whatever_its_suffix(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png").rename(tmp_path / "image.bin")
    images = load_images(str(path))
    assert images.name == tmp_path.name
    assert names(images) == ["image.bin"]


def test_an_image_has_one_name_whether_given_by_folder_file_or_glob(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.png")
    specs = (tmp_path / "photos", tmp_path / "photos" / "a.png", tmp_path / "photos" / "*.png")
    sets = [load_images(str(spec)) for spec in specs]
    assert {(images.name, *names(images)) for images in sets} == {("photos", "a.png")}
    assert [images.complete for images in sets] == [True, False, False]


def test_a_glob_is_named_from_the_folder_that_it_spells_out(tmp_path: Path) -> None:
    for name in ("one/x.png", "two/x.png", "two/y.jpg", "two/notes.txt"):
        path = tmp_path / "photos" / name
        put(path) if path.suffix != ".txt" else path.write_text("no image")
    images = load_images(str(tmp_path / "photos" / "*" / "*"))
    assert images.name == "photos"
    assert names(images) == ["one/x.png", "two/x.png", "two/y.jpg"]


def test_a_relative_glob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path)
    images = load_images("photos/*.png")
    assert (images.name, names(images)) == ("photos", ["a.png"])


def test_a_recursive_glob(tmp_path: Path) -> None:
    for name in ("a.png", "deep/er/b.png"):
        put(tmp_path / name)
    assert names(load_images(str(tmp_path / "**" / "*.png"))) == ["a.png", "deep/er/b.png"]


def test_brackets_in_an_existing_name_are_no_glob(tmp_path: Path) -> None:
    assert names(load_images(str(put(tmp_path / "a[1].png")))) == ["a[1].png"]


def test_no_path_of_this_machine_is_kept(tmp_path: Path) -> None:
    put(tmp_path / "photos" / "a.png")
    for spec in ("photos", "photos/a.png", "photos/*"):
        images = load_images(str(tmp_path / spec))
        kept = [images.name, *(text for image in images.images for text in (image.name, image.source))]
        assert not any(str(tmp_path) in text for text in kept)
        assert all(kept)


# The files of a folder with their text (None: a valid image), the spec below the folder, the error, and its message.
REFUSED: dict[str, tuple[dict[str, str | None], str, type[XaiEvalError], str]] = {
    "no path": ({}, "gone", InputUnavailable, "does not exist; expected a file, a folder, a glob or one of scenes"),
    "no file": ({}, "gone.png", InputUnavailable, "does not exist; expected a file, a folder, a glob or one of scenes"),
    "an empty folder": ({}, "", InputUnavailable, "is empty; expected files ending in"),
    "no image": ({"README.md": "nothing here"}, "", InputUnavailable, "holds 1 files but no image"),
    "a glob of no image": ({"a.txt": "text"}, "*", InputUnavailable, r"matches no image .*\(1 other matches\)"),
    "a broken image": ({"a.png": None, "b.png": ""}, "", InputUnavailable, r"b\.png is empty"),
    "no mask": (
        {"images/a.png": None, "images/b.png": None, "masks/a.png": None},
        "",
        InputUnavailable,
        "has no mask for 1 of 2 images, first 'b'",
    ),
    "two images for one mask": (
        {"images/a.png": None, "images/a.jpg": None, "masks/a.png": None},
        "",
        UsageError,
        "same stem",
    ),
}


@pytest.mark.parametrize(("files", "spec", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_specs_without_usable_images_are_refused(
    tmp_path: Path, files: dict[str, str | None], spec: str, error: type[XaiEvalError], message: str
) -> None:
    for name, text in files.items():
        if text is not None:
            (tmp_path / name).write_text(text)
        elif name.startswith("masks"):
            put_mask(tmp_path / name, half())
        else:
            put(tmp_path / name)
    with pytest.raises(error, match=message):
        load_images(str(tmp_path / spec))


@pytest.mark.parametrize(
    ("spec", "meant"), [("scene:3", "scenes:3"), ("Scenes", "scenes"), ("photograph", "photographs")]
)
def test_a_misspelt_bundled_set_is_suggested(spec: str, meant: str) -> None:
    with pytest.raises(InputUnavailable, match=rf"Did you mean {meant}\?"):
        load_images(spec)


@pytest.mark.parametrize("spec", [".", "deep", "deep/b.png", "*/*.png", "**/*.png", "with_masks"])
def test_a_folder_that_cannot_be_listed_is_named_and_never_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    for name in ("a.png", "other/c.png", "deep/b.png"):
        put(tmp_path / name)
    put(tmp_path / "with_masks" / "masks" / "a.png")
    put(tmp_path / "with_masks" / "images" / "deep" / "a.png")
    forbid(monkeypatch, tmp_path / ("with_masks/images/deep" if spec == "with_masks" else "deep"))
    with pytest.raises(InputUnavailable, match=r"deep(/images|/b\.png)? cannot be read.*permissions"):
        load_images(str(tmp_path / spec))


def test_what_a_spec_does_not_lead_to_need_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "one/b.png", "deep/c.png", ".hidden/d.png"):
        put(tmp_path / "photos" / name)
    forbid(monkeypatch, tmp_path / "photos" / ".hidden")
    assert names(load_images(str(tmp_path / "photos"))) == ["a.png", "deep/c.png", "one/b.png"]
    forbid(monkeypatch, tmp_path / "photos" / "deep")
    assert names(load_images(str(tmp_path / "photos" / "*.png"))) == ["a.png"]
    assert names(load_images(str(tmp_path / "photos" / "o*" / "*.png"))) == ["one/b.png"]


def test_names_that_no_system_takes(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b.png")
    with pytest.raises(InputUnavailable, match="cannot be read"):
        load_images(str(tmp_path / ("n" * 300)))
    with pytest.raises(UsageError, match="no_such_user"):
        load_images("~no_such_user_of_this_machine/photos")
    with pytest.raises(XaiEvalError, match="pattern") as told:
        load_images(str(tmp_path / "**.png"))
    assert told.value.exit_code == (2 if sys.version_info < (3, 13) else 3)  # later it means *.png


def test_a_path_is_taken_and_other_things_are_not(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    assert names(load_images(tmp_path)) == ["a.png"]
    for wrong in (3, ["a.png"], None):
        with pytest.raises(UsageError, match="expected a spec"):
            load_images(wrong)  # type: ignore[arg-type]


def test_a_data_root_that_cannot_be_looked_into(empty_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty_root.mkdir()
    forbid(monkeypatch, empty_root)
    for spec in ("imagenet-samples", "object-masks"):
        with pytest.raises(InputUnavailable, match=r"data-root/.* cannot be read"):
            load_images(spec)


def test_two_images_of_one_name_are_refused() -> None:
    image = LabelledImage(name="a", pixels=np.zeros((16, 16, 3), dtype=np.uint8), digest="0")
    with pytest.raises(UsageError, match="several images called a"):
        ImageSet("mine", (image, image))


def test_images_and_masks_are_matched_by_stem(tmp_path: Path) -> None:
    put(tmp_path / "images" / "n02007558_flamingo.JPEG")
    put(tmp_path / "images" / "sub" / "b.png")
    put_mask(tmp_path / "masks" / "n02007558_flamingo.png", half())
    put_mask(tmp_path / "masks" / "sub" / "b.png", 255 - half())
    images = load_images(str(tmp_path))
    assert names(images) == ["n02007558_flamingo.JPEG", "sub/b.png"]
    first, second = images.images
    assert first.mask is not None
    assert np.array_equal(first.mask, half() > 0)
    assert second.mask is not None
    assert np.array_equal(second.mask, half() == 0)
    assert first.intended == Intended("flamingo", "n02007558")


def test_object_masks_are_found_in_the_data_root(empty_root: Path) -> None:
    put(empty_root / "object-masks" / "images" / "a.png")
    put_mask(empty_root / "object-masks" / "masks" / "a.png", half())
    images = load_images("object-masks")
    assert images.name == "object-masks"
    assert images.images[0].mask is not None


def test_missing_object_masks_are_explained(empty_root: Path) -> None:
    with pytest.raises(InputUnavailable) as caught:
        load_images("object-masks")
    for part in (
        str(empty_root / "object-masks"),
        "images/ and masks/",
        "cannot be downloaded",
        "XAI_EVAL_DATA",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (half((20, 40)), "is 40 x 20 pixels; expected 40 x 30"),
        (half() // 255, "holds the values 0, 1; expected 255 on the object"),
        (half() // 2, "holds the values 0, 127"),
        (half() * 0, "holds the values 0; expected"),
    ],
)
def test_files_that_are_not_masks_are_refused(tmp_path: Path, mask: np.ndarray, message: str) -> None:
    put(tmp_path / "images" / "a.png")
    put_mask(tmp_path / "masks" / "a.png", mask)
    with pytest.raises(InputUnavailable, match=message):
        load_images(str(tmp_path))


def photographs(site_files: dict[str, bytes], tmp_path: Path) -> dict[str, bytes]:
    for number, name in enumerate(("n02007558_flamingo.JPEG", "n01608432_kite.JPEG")):
        site_files[f"/{name}"] = put(tmp_path / "made" / name, colour=number * 90).read_bytes()
    return site_files


def test_imagenet_samples_are_downloaded_once_and_only_the_listed_ones_are_taken(
    site: object, empty_root: Path, tmp_path: Path, edit_manifest: Callable[..., Path]
) -> None:
    files = photographs(site.files, tmp_path)
    edit_manifest(
        downloads={
            f"imagenet-samples{path}": {
                "url": site.url + path,
                "file": f"imagenet-samples{path}",
                "sha256": hashlib.sha256(body).hexdigest(),
                "source": "a test",
            }
            for path, body in files.items()
        }
    )
    images = load_images("imagenet-samples")
    assert images.name == "imagenet-samples"
    assert names(images) == ["n01608432_kite.JPEG", "n02007558_flamingo.JPEG"]
    assert [image.intended for image in images.images] == [
        Intended("kite", "n01608432"),
        Intended("flamingo", "n02007558"),
    ]
    put(empty_root / "imagenet-samples" / "n02123045_tabby.JPEG")
    asked = list(site.asked)
    assert names(load_images("imagenet-samples")) == [*names(images), "n02123045_tabby.JPEG"]
    assert site.asked == asked


def test_the_study_has_ten_photographs() -> None:
    assert len(data.download_entries("imagenet-samples")) == 10


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("n02007558_flamingo", Intended("flamingo", "n02007558")),
        ("n02098286_West_Highland_white_terrier", Intended("West Highland white terrier", "n02098286")),
        ("n04037443_racer", Intended("racer", "n04037443")),
        ("n01440764_10026", Intended("tench", "n01440764")),
        ("flamingo", None),
        ("n0200755_flamingo", None),
        ("xn02007558_flamingo", None),
        ("n02007558", None),
        ("scan_n02007558_flamingo", None),
    ],
)
def test_the_class_in_a_file_name_is_looked_up(stem: str, expected: Intended | None) -> None:
    assert intended_by_name(stem) == (expected, ())


def test_a_name_that_disagrees_with_its_id_is_noted_and_the_id_counts() -> None:
    intended, notes = intended_by_name("n04037443_snake")
    assert intended == Intended("racer", "n04037443")
    assert notes == ("the file name says 'snake', but n04037443 is 'racer'",)


def test_an_unknown_id_leaves_the_class_open() -> None:
    intended, notes = intended_by_name("n99999999_flamingo")
    assert intended is None
    assert notes == ("n99999999 in the file name is no class of ImageNet-1k; intended class unknown",)


def test_notes_of_decoding_and_of_the_name_are_kept(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "n04037443_snake.png")
    (image,) = load_images(str(tmp_path)).images
    assert image.notes[0] == "grayscale converted to RGB"
    assert "n04037443 is 'racer'" in image.notes[1]


@pytest.mark.parametrize("module", ["images.images", "downloads", "images.decode", "images.imagenet_classes"])
def test_images_are_read_without_torch(module: str) -> None:
    code = f"import sys; import xai_eval.inputs.{module}; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("False", "")


@pytest.mark.real
def test_the_photographs_of_the_study(real_data: Path) -> None:
    images = load_images("imagenet-samples")
    study = {Path(entry.file).name for entry in data.download_entries("imagenet-samples")}
    assert len(study) == 10
    assert study <= set(names(images))
    assert all(image.intended is not None for image in images.images)
    profiles = {image.name.split("_")[0]: image.notes for image in images.images if image.notes}
    assert profiles.keys() == {"n02098286"}  # the others have none, or one of sRGB
    assert "'Color LCD' not applied" in profiles["n02098286"][0]
    assert min(min(image.pixels.shape[:2]) for image in images.images) > 200


@pytest.mark.real
def test_the_photographs_with_masks(real_data: Path) -> None:
    images = load_images("object-masks")
    assert len(images.images) == 11
    for image in images.images:
        assert image.mask is not None
        assert 0.02 < image.mask.mean() < 0.5
        assert image.intended is not None
    profiles = {image.name.split("_")[0]: image.notes[0].split("'")[1] for image in images.images if image.notes}
    assert profiles == {
        "n02006656": "Adobe RGB (1998)",
        "n02098286": "Color LCD",
        "n04612504": "Camera RGB Profile",
    }
