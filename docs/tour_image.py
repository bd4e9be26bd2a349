"""Take the screenshots for the README: a browser shows the first case of a page.

python docs/tour.py tour OLD NEW
python docs/tour_image.py tour/reports/index.html docs/drift.webp "section.drift"
xai-eval run cams
python docs/tour_image.py reports/index.html docs/page.webp ".row"
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import chromium

_WINDOW = {"width": 1080, "height": 900}  # pixels of the page
_QUALITY = 90  # of WebP, a format in which photographs and text stay small in full colour
_LARGEST = 150_000  # bytes: the screenshot is part of the repository


def take_image(page: Path, image: Path, last: str) -> None:
    """Save a screenshot of the first case of a page, down to the first element that the selector `last` names."""
    with chromium.launched() as browser:
        tab = browser.new_page(viewport=_WINDOW)
        tab.goto(page.resolve().as_uri())
        case = tab.locator("article").first
        top, end = case.bounding_box(), case.locator(last).first.bounding_box()
        shown = {**top, "height": end["y"] + end["height"] - top["y"] + 8}
        taken = tab.screenshot(full_page=True, clip=shown)
    Image.open(io.BytesIO(taken)).convert("RGB").save(image, quality=_QUALITY, method=6)
    if image.stat().st_size > _LARGEST:
        raise SystemExit(f"{image} has {image.stat().st_size} bytes; expected {_LARGEST} at most.")


if __name__ == "__main__":
    take_image(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
