"""A tour of the gate: an upgrade of torchvision's resize, from the first goldens to the accepted drift.

    python docs/tour.py tour        # leaves tour/reports/index.html
    cd tour && xai-eval accept ...  # as the page says

`tour_image.py` takes the image of the page for the README.

The upgrade is played: torchvision turned antialiasing on for tensors in 0.17, and here it is turned off again while the
images are explained for the second time.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import functional

from xai_eval import load_images
from xai_eval.cli.main import main

_SCENES = "scenes:6"
_LARGER = 3  # times the size that the model wants, so that there is something to resize
_GRAIN = 40.0  # standard deviation, of 255


def tour(folder: Path) -> int:
    """Make images and goldens in `folder`, upgrade, and return the exit code of the gate."""
    write_images(folder / "images")
    os.chdir(folder)
    run = ["run", "cams", "--images", "images", "--methods", "gradcam", "--quiet"]
    main(run)
    main(["accept", "--all", "--reason", "first goldens"])
    with upgraded():
        main(run)
        main(["explain-drift", "scene-00.png"])  # while the upgrade is still there
    return main(["check"])


def write_images(folder: Path) -> None:
    """Write bundled scenes as larger PNG files, with the grain of a camera in the dusk."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for image in load_images(_SCENES).images:
        larger = image.pixels.repeat(_LARGER, axis=0).repeat(_LARGER, axis=1)
        grainy = np.clip(larger + noise.normal(0.0, _GRAIN, larger.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grainy).save(folder / f"{Path(image.name).name}.png")


@contextlib.contextmanager
def upgraded() -> Iterator[None]:
    """Resize tensors without antialiasing, whatever is asked for."""
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
    sys.exit(tour(Path(sys.argv[1])))
