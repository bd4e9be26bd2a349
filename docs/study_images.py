"""Make the small images of docs/study.md from the figures of a run of the bundled models.

xai-eval run
python docs/study_images.py reports/figures docs/study
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

# The name of an image, and the figure that it is made of.
FIGURES = {
    "layer_bars": "scenes-objects_layer_concepts",
    "unit_strips": "scenes-objects_units",
    "similarity_histograms": "similarity_distribution",
    "image_interpretation": "image_interpretation",
    "triptych": "scene-00_vis_0",
    "lime_beside_gradcam": "scene-00_comparison_0",
    "iou_by_area": "scenes-4-images_comparison_iou_by_area",
}
_WIDTH = 800  # pixels
_QUALITY = 60  # of WebP
_LARGEST = 300_000  # bytes of all together: they are part of the repository


def make_images(figures: Path, folder: Path) -> None:
    """Write one WebP file per entry of `FIGURES` into `folder`, from the PNG files of a report in `figures`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in FIGURES.items():
        drawn = Image.open(figures / f"{figure}.png").convert("RGB")
        width = min(_WIDTH, drawn.width)
        small = drawn.resize((width, round(drawn.height * width / drawn.width)), Image.Resampling.LANCZOS)
        small.save(folder / f"{name}.webp", quality=_QUALITY, method=6)
    size = sum(path.stat().st_size for path in folder.glob("*.webp"))
    if size > _LARGEST:
        raise SystemExit(f"The images in {folder} have {size} bytes together; expected {_LARGEST} at most.")


if __name__ == "__main__":
    make_images(Path(sys.argv[1]), Path(sys.argv[2]))
