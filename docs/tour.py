"""A tour: explain images, accept the explanations, change something, and see the drift.

    python docs/tour.py tour              # bundled scenes; torchvision's resize loses its antialiasing
    python docs/tour.py tour OLD NEW      # photographs; the model OLD is replaced by the model NEW

Both leave tour/reports/index.html. Models are specs such as `torchvision:resnet50@IMAGENET1K_V1`; the photographs come
with scikit-image, which xai_eval needs anyway. `tour_image.py` takes the images of the page for the README.

The change of the resize is imitated: torchvision turned antialiasing on for tensors in 0.17, and here it is turned
off again while the images are explained for the second time.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image
from torchvision.transforms import functional

from xai_eval import load_images
from xai_eval.cli.main import main

_SCENES = "scenes:6"
_PHOTOGRAPHS = ("chelsea", "coffee", "rocket")
_LARGER = 3  # times the size that the model takes, so that the images have to be resized
_GRAIN = 40.0  # standard deviation, of 255
_RUN = ["run", "cams", "--images", "images", "--methods", "gradcam", "--quiet"]
_ACCEPT = ["accept", "--all", "--reason", "first goldens"]


def tour(folder: Path) -> int:
    """Explain scenes in `folder`, accept the maps, change the resize, and return the exit code of `check`."""
    write_scenes(folder / "images")
    os.chdir(folder)
    main(_RUN)
    main(_ACCEPT)
    with without_antialiasing():
        main(_RUN)
        main(["explain-drift", "scene-00.png"])  # while the change is still there
    return main(["check"])


def tour_of_models(folder: Path, old: str, new: str) -> int:
    """Explain photographs with one model, accept the maps, and return the exit code of the run with the other."""
    (folder / "images").mkdir(parents=True)
    for name in _PHOTOGRAPHS:
        Image.fromarray(getattr(skimage.data, name)()).save(folder / "images" / f"{name}.png")
    os.chdir(folder)
    main([*_RUN, "--model", old])
    main(_ACCEPT)
    return main([*_RUN, "--model", new])


def write_scenes(folder: Path) -> None:
    """Write bundled scenes as larger PNG files, with noise as of a camera in low light."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for image in load_images(_SCENES).images:
        larger = image.pixels.repeat(_LARGER, axis=0).repeat(_LARGER, axis=1)
        grainy = np.clip(larger + noise.normal(0.0, _GRAIN, larger.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grainy).save(folder / f"{Path(image.name).name}.png")


@contextlib.contextmanager
def without_antialiasing() -> Iterator[None]:
    """Resize images without antialiasing while the context is open."""
    resize = functional.resize

    def without_antialias(image: Image.Image, size: int, **options: object) -> Image.Image:
        tensor = functional.pil_to_tensor(image)
        return functional.to_pil_image(resize(tensor, size, **{**options, "antialias": False}))

    functional.resize = without_antialias
    try:
        yield
    finally:
        functional.resize = resize


if __name__ == "__main__":
    folder, *models = sys.argv[1:]
    sys.exit(tour_of_models(Path(folder), *models) if models else tour(Path(folder)))
