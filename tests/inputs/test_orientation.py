"""Images that carry an orientation are as stored, or upright if asked for; masks are never laid on otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision.datasets.folder import pil_loader

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.images import load_images, names_images
from xai_eval.inputs.images.orientation import turned
from xai_eval.inputs.probes.probes import load_probe

PIXELS = np.random.RandomState(0).randint(0, 256, (20, 28, 3)).astype(np.uint8)
SQUARE = PIXELS[:, :20]
INSIDE = (np.arange(20)[:, None] < 6) & np.ones(20, bool)


def put(path: Path, pixels: np.ndarray, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, **({"exif": exif} if orientation != 1 else {}))
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_stored_is_as_image_folder_and_upright_as_viewers(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = put(tmp_path / f"a.{suffix}", PIXELS, orientation)
    stored, upright = decode(path), decode(path, upright=True)
    assert np.array_equal(stored.pixels, np.asarray(pil_loader(str(path))))
    with Image.open(path) as image:
        assert np.array_equal(upright.pixels, np.asarray(ImageOps.exif_transpose(image).convert("RGB")))
    assert upright.orientation == 1
    assert stored.orientation == (1 if suffix == "tif" else orientation)
    assert ("applied" in " ".join(upright.notes)) == (orientation != 1)


def test_turning_a_mask_is_turning_an_image() -> None:
    for orientation in range(1, 9):
        image = Image.fromarray(PIXELS)
        image.getexif()[0x0112] = orientation
        assert np.array_equal(turned(PIXELS, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("of_mask", range(1, 9))
@pytest.mark.parametrize("of_image", range(1, 9))
def test_a_mask_is_laid_on_as_it_was_drawn_or_refused(tmp_path: Path, of_image: int, of_mask: int) -> None:
    put(tmp_path / "images" / "a.png", SQUARE, of_image)
    put(tmp_path / "masks" / "a.png", INSIDE.astype(np.uint8) * 255, of_mask)
    if of_image == of_mask:
        assert np.array_equal(load_images(tmp_path).images[0].mask, INSIDE)
    else:
        with pytest.raises(InputUnavailable, match=rf"orientation {of_image}.* has {of_mask}: .*orientation=upright"):
            load_images(tmp_path)
    (image,) = load_images(f"{tmp_path}?orientation=upright").images
    assert np.array_equal(image.pixels, turned(SQUARE, of_image))
    assert np.array_equal(image.mask, turned(INSIDE, of_mask))


def test_label_maps_belong_to_upright_images(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", SQUARE, 6)
    put(tmp_path / "labels" / "a.png", INSIDE.astype(np.uint8))
    (tmp_path / "classes.txt").write_text("ground\nsky\n")
    with pytest.raises(InputUnavailable, match=r"a\.png has EXIF orientation 6, but .*a\.png has 1"):
        load_probe(tmp_path).read(0)
    upright = load_probe(f"{tmp_path}?orientation=upright")
    assert np.array_equal(upright.read(0).pixels, turned(SQUARE, 6))
    assert upright.digest != load_probe(tmp_path).digest
    put(tmp_path / "labels" / "a.png", INSIDE.astype(np.uint8), 3)
    with pytest.raises(InputUnavailable, match="has EXIF orientation 3; expected none"):
        upright.read(0)


def test_other_orientations_are_refused_and_names_stay_names(tmp_path: Path) -> None:
    put(tmp_path / "a.png", PIXELS, 6)
    assert load_images(f"{tmp_path}/a.png?orientation=stored").images[0].pixels.shape == PIXELS.shape
    assert load_images(f"{tmp_path}/*.png?orientation=upright").images[0].pixels.shape == (28, 20, 3)
    with pytest.raises(UsageError, match="'sideways'; expected 'stored'"):
        load_images(f"{tmp_path}?orientation=sideways")
    assert names_images("scenes:3?orientation=upright") and not names_images("photos?orientation=upright")
